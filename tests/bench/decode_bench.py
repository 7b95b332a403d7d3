#!/usr/bin/env python3
"""Measures our sampler and other readers on the same clips: seconds of video sampled per second of CPU time.

One picture a second at the model's size (100,352 pixels at most), one thread each. Every measurement is a process of
its own; what counts is its CPU time (user and system) from opening the file to the last picture, imports left out.
A reader is exact where each of its samples is nearer to the picture of its second, counted in a plain sequential decode,
than to the ones before and behind it, which on these moving clips no scaling hides.

The clips are made on the first run: 60 s at 30 a second, a moving pattern with grain, B-frames, key pictures 250 apart.

usage: decode_bench.py --ours build/release/tests/bench/decode_bench [--heights 1080] [--codecs h264,hevc] [--repeat 2]
needs ffmpeg with libx264, libx265, libvpx-vp9 and libsvtav1; a reader whose Python package is missing is left out
"""
import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS, RATE = 60, 30
WIDTHS = {1080: 1920, 720: 1280, 360: 640}
PATTERN = ("testsrc2=s=2304x1296:r={rate}:d={seconds},crop=1920:1080:x='192+150*sin(t*1.3)':y='108+80*cos(t*0.9)',"
           "scale={width}:{height}:flags=bicubic,noise=alls=5:allf=t,format=yuv420p")
ENCODERS = {
    "h264": ("mp4", "-c:v libx264 -preset medium -crf 23 -g 250 -bf 3"),
    "hevc": ("mp4", "-c:v libx265 -preset veryfast -crf 25 -x265-params "
             "log-level=none:pools=1:frame-threads=1:keyint=250:bframes=4"),
    "vp9": ("webm", "-c:v libvpx-vp9 -deadline good -cpu-used 5 -crf 33 -b:v 0 -g 250"),
    "av1": ("mp4", "-c:v libsvtav1 -preset 10 -crf 35 -g 250 -svtav1-params lp=1"),
}


def make_clip(folder, codec, height):
    extension, options = ENCODERS[codec]
    clip = folder / f"{codec}_{height}p.{extension}"
    if not clip.exists():
        print(f"making {clip}", file=sys.stderr)
        pattern = PATTERN.format(rate=RATE, seconds=SECONDS, width=WIDTHS[height], height=height)
        part = clip.with_name("part-" + clip.name)
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-threads", "1", "-f", "lavfi", "-i", pattern, *options.split(),
                        "-threads", "1", str(part)], check=True, stderr=subprocess.DEVNULL)
        part.rename(clip)
    return clip


# ---- The readers: each yields pictures [height, width, 3] of the size asked for -------------------


def read_pyav(file, width, height):
    import av
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type = "NONE"
        start, shown, wanted = None, None, 0
        convert = lambda frame: frame.reformat(width, height, "rgb24", interpolation="BICUBIC").to_ndarray()
        for frame in container.decode(stream):
            start = frame.pts if start is None else start
            while shown is not None and (frame.pts - start) * stream.time_base > wanted:
                yield convert(shown)
                wanted += 1
            shown = frame
        if (shown.pts - start) * stream.time_base >= wanted:
            yield convert(shown)


def read_decord(file, width, height):
    import decord
    reader = decord.VideoReader(file, ctx=decord.cpu(0), width=width, height=height, num_threads=1)
    yield from reader.get_batch(list(range(0, len(reader), RATE))).asnumpy()


def read_torchcodec(file, width, height, seek_mode="exact"):
    import torch
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize
    torch.set_num_threads(1)
    decoder = VideoDecoder(file, num_ffmpeg_threads=1, seek_mode=seek_mode, dimension_order="NHWC",
                           transforms=[Resize((height, width))])
    begin = decoder.metadata.begin_stream_seconds
    yield from decoder.get_frames_played_at([begin + k for k in range(SECONDS)]).data.numpy()


def read_torchcodec_approximate(file, width, height):
    yield from read_torchcodec(file, width, height, "approximate")


def read_opencv(file, width, height):
    import cv2
    cv2.setNumThreads(1)
    capture = cv2.VideoCapture(file, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    index = 0
    while capture.grab():
        if index % RATE == 0:
            picture = cv2.resize(capture.retrieve()[1], (width, height), interpolation=cv2.INTER_AREA)
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        index += 1


PYTHON_READERS = {"PyAV": ("av", read_pyav), "decord": ("decord", read_decord),
                  "torchcodec": ("torchcodec", read_torchcodec),
                  "torchcodec approximate": ("torchcodec", read_torchcodec_approximate),
                  "OpenCV": ("cv2", read_opencv)}


def run_python_reader(name, file, width, height, raw):
    """In the child."""
    package, read = PYTHON_READERS[name]
    importlib.import_module(package)
    if package == "torchcodec":
        importlib.import_module("torchcodec.transforms")
    before = time.process_time()
    pictures = list(read(file, width, height))
    print(time.process_time() - before)
    with open(raw, "wb") as out:
        for picture in pictures:
            out.write(picture.tobytes())


# ---- The measurement -------------------------------------------------------------------------------


def measure_ours(ours, file, raw):
    result = json.loads(subprocess.run([ours, file, "--raw", raw], check=True, capture_output=True).stdout)
    return result["cpu_seconds"], result


def measure_ffmpeg(file, width, height, raw):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-threads", "1", "-filter_threads", "1", "-i", file, "-vf",
                    f"fps=1:round=up,scale={width}:{height}:flags=bicubic", "-pix_fmt", "rgb24", "-f", "rawvideo",
                    "-threads", "1", raw], check=True, stdin=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_python_reader(name, file, width, height, raw):
    done = subprocess.run([sys.executable, __file__, "--reader", name, file, str(width), str(height), raw],
                          capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def write_reference(file, width, height, raw):
    """The pictures of each second and the ones before and behind them; a plain sequential decode, counted."""
    kept = f"lt(mod(n\\,{RATE})\\,2)+eq(mod(n\\,{RATE})\\,{RATE - 1})"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", file, "-vf",
                    f"select={kept},scale={width}:{height}:flags=bicubic", "-fps_mode", "passthrough", "-pix_fmt", "rgb24",
                    "-f", "rawvideo", raw], check=True, stdin=subprocess.DEVNULL)


def right_pictures(raw, reference, width, height):
    """How many samples are nearest to the picture of their second, whatever they were scaled with."""
    import numpy
    shape = (-1, height * width * 3)
    pictures = numpy.fromfile(raw, numpy.uint8).reshape(shape).astype(numpy.int16)
    candidates = numpy.fromfile(reference, numpy.uint8).reshape(shape)  # 0, 1, 29, 30, 31, 59, 60 ...
    right = 0
    for k, picture in enumerate(pictures[:SECONDS]):
        near = range(max(0, 3 * k - 1), min(len(candidates), 3 * k + 2))
        right += min(near, key=lambda i: numpy.abs(picture - candidates[i]).mean()) == 3 * k
    return right


def measure_clip(ours, clip, repeat, scratch):
    file, raw, reference = str(clip), str(scratch / "samples"), str(scratch / "reference")
    _, said = measure_ours(ours, file, raw)
    width, height = said["width"], said["height"]
    write_reference(file, width, height, reference)
    ways = {"ours": lambda: measure_ours(ours, file, raw)[0],
            "ffmpeg fps=1": lambda: measure_ffmpeg(file, width, height, raw)}
    for name, (package, _) in PYTHON_READERS.items():
        if importlib.util.find_spec(package):
            ways[name] = lambda name=name: measure_python_reader(name, file, width, height, raw)
    row = dict.fromkeys(ways)
    for _ in range(repeat):
        for name, way in ways.items():
            spent = way()
            if spent is None or os.path.getsize(raw) == 0:
                continue  # it cannot read the clip
            best = max(SECONDS / spent, row[name]["speed"] if row[name] else 0)
            row[name] = {"speed": best, "right": right_pictures(raw, reference, width, height)}
    row["decoded"] = said["decoded"]
    return row


def print_table(results):
    names = list(dict.fromkeys(name for row in results.values() for name in row if name not in ("decoded", "ours")))
    print("| clip | ours | times the best exact other | " + " | ".join(names) + " | pictures we decoded |")
    print("| --- " * (len(names) + 4) + "|")

    def show(cell):
        if cell is None:
            return "fails"
        return f"{cell['speed']:.1f}" + ("" if cell["right"] == SECONDS else f" ({cell['right']} right)")

    for clip, row in results.items():
        exact = [row[name]["speed"] for name in names if row.get(name) and row[name]["right"] == SECONDS]
        print(f"| {clip} | {show(row['ours'])} | {row['ours']['speed'] / max(exact):.2f} | "
              + " | ".join(show(row.get(name)) for name in names) + f" | {row['decoded']} of {SECONDS * RATE} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="the built tests/bench/decode_bench")
    parser.add_argument("--folder", type=Path, default=Path("build/bench_clips"), help="of the clips and the results")
    parser.add_argument("--heights", default="360,720,1080")
    parser.add_argument("--codecs", default=",".join(ENCODERS))
    parser.add_argument("--repeat", type=int, default=2, help="the best of so many")
    parser.add_argument("--reader", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reader:
        name, file, width, height, raw = arguments.reader
        return run_python_reader(name, file, int(width), int(height), raw)
    if not arguments.ours:
        parser.error("--ours is missing")
    os.environ["OMP_NUM_THREADS"] = "1"
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "results.json"  # a run of some clips adds to those of others
    results = json.loads(kept.read_text()) if kept.exists() else {}
    for height in map(int, arguments.heights.split(",")):
        for codec in arguments.codecs.split(","):
            clip = make_clip(arguments.folder, codec, height)
            with tempfile.TemporaryDirectory() as scratch:
                results[clip.stem] = measure_clip(arguments.ours, clip, arguments.repeat, Path(scratch))
            kept.write_text(json.dumps(results, indent=1))
    print_table(results)


if __name__ == "__main__":
    main()

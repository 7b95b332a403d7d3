"""Times a live session against transformers, second by second, on the same small model and stream.

    pip install torch==2.11.0 transformers==5.23.0 safetensors
    cmake --preset release -DSTREAMO_BUILD_BENCH=ON && bash scripts/build.sh release live_bench
    python tests/bench/live_bench.py [--long 600 3600]

`cached` feeds transformers each second's new tokens and keeps its cache; `published` feeds it the whole
conversation again each second, as Streamo's evaluation does. Both compute the last position's logits only. The
published way is timed at a few seconds, because each costs what it costs whatever came before. The probabilities
of the states at the last second must agree.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SECONDS, NEAR = 120, 10  # a second's cost is the median over so many before it


def worker(args):
    import torch
    from safetensors.torch import load_file
    from transformers import DynamicCache, Qwen2_5_VLForConditionalGeneration

    torch.set_grad_enabled(False)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        args.folder, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()
    stream = load_file(f"{args.folder}/stream.safetensors")
    ids, positions, pixels = stream["input_ids"], stream["position_ids"], stream["pixel_values"]
    ends, grid = stream["ends"].tolist(), stream["grid"]
    patches = int(grid.prod())
    cache, seconds, begin = DynamicCache(), [], 0
    chosen = range(SECONDS) if args.worker == "cached" else [29, 59, SECONDS - 2, SECONDS - 1]
    for second in chosen:
        start = time.perf_counter()
        first = second if args.worker == "cached" else 0
        end = ends[second]
        logits = model(
            input_ids=ids[None, begin:end],
            position_ids=positions[:, None, begin:end],
            pixel_values=pixels[first * patches : (second + 1) * patches],
            image_grid_thw=grid.repeat(second + 1 - first, 1),
            past_key_values=cache if args.worker == "cached" else None,
            use_cache=args.worker == "cached",
            logits_to_keep=1,
        ).logits[0, -1]
        states = logits[stream["states"]].softmax(-1).tolist()
        seconds.append(time.perf_counter() - start)
        if args.worker == "cached":
            begin = end
    at = dict(zip(chosen, seconds))
    print(json.dumps({"threads": torch.get_num_threads(), "at": at, "probabilities": states}))


def run(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} failed")
    return json.loads(done.stdout) if done.stdout.strip() else None


def cost(seconds, second):
    return statistics.median(seconds[second - NEAR : second])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/release/tests/bench/live_bench")
    parser.add_argument("--long", type=int, nargs="*", default=[600], help="seconds of ours alone")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--worker", choices=["cached", "published"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args)
    with tempfile.TemporaryDirectory() as folder:
        ours = [args.binary, "--folder", folder]
        run([*ours, "--write", "--config", ROOT / "tests/bench/live_model.json", "--seconds", SECONDS])
        found = {"ours": run([*ours, "--seconds", SECONDS])}
        found["ours, no window"] = run([*ours, "--seconds", SECONDS, "--window", 0, "--overlap", 0])
        for way in ("cached", "published"):
            found[way] = run([sys.executable, __file__, "--worker", way, "--folder", folder])
        for length in args.long:
            found[f"ours, {length} s"] = run([*ours, "--seconds", length])
    mine = found["ours"]
    for way in ("cached", "published"):
        gap = max(abs(a - b) for a, b in zip(mine["probabilities"], found[way]["probabilities"]))
        if gap > 1e-4:
            sys.exit(f"error: the states' probabilities differ by {gap} from transformers ({way})")
    last = {
        "ours": cost(mine["seconds"], SECONDS),
        "ours, no window": cost(found["ours, no window"]["seconds"], SECONDS),
        "cached": statistics.median(list(found["cached"]["at"].values())[-NEAR:]),
        "published": statistics.mean(list(found["published"]["at"].values())[-2:]),
    }
    print(f"| way | s at second {SECONDS} | against ours |\n| --- | --- | --- |")
    for way, seconds in last.items():
        print(f"| {way} | {seconds:.4f} | {seconds / last['ours']:.2f} |")
    print("\n| ours at second | s (median of 10) | slowest from 120 s on | caches MB | peak memory MB |\n| --- | --- | --- | --- | --- |")
    for name, run_of in found.items():
        if "cache_bytes" not in run_of or name == "ours, no window":
            continue
        seconds = run_of["seconds"]
        slowest = max(seconds[SECONDS - NEAR :])
        print(
            f"| {len(seconds)} | {cost(seconds, len(seconds)):.4f} | {slowest:.4f} |"
            f" {run_of['cache_bytes'] / 1e6:.0f} | {run_of['peak_bytes'] / 1e6:.0f} |"
        )
    if args.json:
        args.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()

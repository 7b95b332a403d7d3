"""Checks that picture files reach the model with the pixels that transformers' image processor gives it.

    pip install torch==2.11.0 torchvision==0.26.0 transformers==5.23.0 pillow
    python tests/oracle/pictures_oracle.py build/streamo

Makes picture files of many kinds and sizes, reads them as transformers does (Pillow, turned by Exif, on white),
and compares Qwen2VLImageProcessor (torchvision's path) with `streamo frames FILE`, bit for bit: the resized
pixels, and from ours the normalised patches. Also: files that Pillow refuses, ours must refuse. Prints one line
a difference; exit status 1 when there is any, 77 where the libraries are missing.

--golden FOLDER writes the few files of tests/golden/pictures instead: pictures, and beside each as NAME.png the
pixels that Pillow reads from it.
"""

import argparse
import concurrent.futures
import io
import pathlib
import subprocess
import sys
import tempfile
import zlib

try:
    import numpy as np
    import torch
    from PIL import Image, ImageOps
    from transformers import Qwen2VLImageProcessor
    from transformers.image_transforms import convert_to_rgb
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

MIN_PIXELS, MAX_PIXELS = 3136, 100352
SIDE = 14
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of PNG
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}

rng = np.random.default_rng(20)


def paint(height, width, channels=3, depth=8):
    """Slopes with edges and noise: no two ways of rounding agree on it by chance."""
    y, x = np.mgrid[0:height, 0:width]
    slope = np.stack([(x * (3 + c) + y * (2 * c + 1)) / (height + width) % 1 for c in range(channels)], -1)
    picture = 0.6 * slope + 0.4 * rng.random((height, width, channels))
    picture[height // 3 : height // 2, width // 4 : width // 2] = rng.random(channels)
    return (picture * (2**depth - 1)).round().astype(np.uint16 if depth == 16 else np.uint8)


def png(pixels, colour_type, depth, interlaced=False, chunks=()):
    """A PNG file of [height, width, channels] values of `depth` bits: Pillow does not write all kinds."""
    height, width = pixels.shape[:2]

    def rows(part):
        data = b""
        for row in part.reshape(part.shape[0], -1):
            if depth == 16:
                data += b"\0" + row.astype(">u2").tobytes()
            else:
                bits = np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
                data += b"\0" + np.packbits(bits.reshape(-1)).tobytes()
        return data

    def chunk(name, data):
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [pixels]
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, colour_type, 0, 0, interlaced])
    content = zlib.compress(b"".join(rows(part) for part in parts if part.size))
    body = b"".join(chunk(*item) for item in [(b"IHDR", header), *chunks, (b"IDAT", content), (b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + body


def save(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def png_files():
    size = (61, 83)
    for colour_type, depths in {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), GREY_ALPHA: (8, 16), RGBA: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                pixels = paint(*size, CHANNELS[colour_type], depth)
                yield f"type{colour_type}-{depth}bit-{interlaced:d}.png", png(pixels, colour_type, depth, interlaced)
    for depth in (1, 2, 4, 8):
        colours = rng.integers(0, 256, 3 * 2**depth, dtype=np.uint8).tobytes()
        pixels = paint(*size, 1, depth)
        plain = [(b"PLTE", colours)]
        yield f"palette-{depth}bit.png", png(pixels, PALETTE, depth, chunks=plain)
        fading = (b"tRNS", bytes(range(0, 256, 17))[: 2**depth])
        yield f"palette-{depth}bit-fading.png", png(pixels, PALETTE, depth, True, chunks=[*plain, fading])
        yield f"palette-{depth}bit-hole.png", png(pixels, PALETTE, depth, chunks=[*plain, (b"tRNS", b"\0")])
    pixels = paint(*size)
    key = b"".join(int(value).to_bytes(2, "big") for value in pixels[20, 30])
    yield "rgb-key.png", png(pixels, RGB, 8, chunks=[(b"tRNS", key)])
    grey = paint(*size, 1)
    yield "grey-key.png", png(grey, GREY, 8, chunks=[(b"tRNS", int(grey[20, 30, 0]).to_bytes(2, "big"))])
    yield "turned.png", save(Image.fromarray(pixels), "PNG", exif=orientation(6))
    yield "gamma.png", png(pixels, RGB, 8, chunks=[(b"gAMA", (30000).to_bytes(4, "big"))])


def jpeg_files():
    for height, width in ((1, 1), (7, 5), (16, 16), (61, 83), (130, 257), (480, 640), (1080, 1920)):
        image = Image.fromarray(paint(height, width))
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            for progressive in (False, True):
                name = f"{width}x{height}-{sampling.replace(':', '')}-{progressive:d}.jpg"
                quality = int(rng.integers(20, 98))
                yield name, save(image, "JPEG", subsampling=sampling, quality=quality, progressive=progressive)
    image = Image.fromarray(paint(90, 121))
    yield "restarts.jpg", save(image, "JPEG", restart_marker_blocks=3)
    yield "grey.jpg", save(image.convert("L"), "JPEG")
    yield "cmyk.jpg", save(image.convert("CMYK"), "JPEG", quality=90)
    yield "stored-rgb.jpg", save(image, "JPEG", keep_rgb=True)
    for value in range(1, 9):
        yield f"turn{value}.jpg", save(image, "JPEG", exif=orientation(value))


def other_files():
    image = Image.fromarray(paint(75, 101))
    clear = Image.fromarray(paint(75, 101, 4))
    for mode in ("RGB", "L", "P", "1"):
        yield f"{mode}.bmp", save(image.convert(mode), "BMP")
        yield f"{mode}.tif", save(image.convert(mode), "TIFF")
    yield "lzw.tif", save(image, "TIFF", compression="tiff_lzw")
    yield "turned.tif", save(image, "TIFF", exif=orientation(8))
    yield "lossless.webp", save(image, "WEBP", lossless=True)
    yield "lossless-alpha.webp", save(clear, "WEBP", lossless=True)
    yield "turned.webp", save(image, "WEBP", lossless=True, exif=orientation(3))


def sized_files():
    """Sizes at random, from one pixel to long and thin."""
    for i in range(40):
        height, width = (int(np.exp(rng.uniform(0, np.log(1500)))) for _ in range(2))
        if max(height, width) > 200 * min(height, width):
            continue
        yield f"sized{i}-{width}x{height}.png", save(Image.fromarray(paint(height, width)), "PNG")


def broken_files():
    """What neither may open."""
    image = Image.fromarray(paint(90, 121))
    jpeg, progressive, whole = save(image, "JPEG"), save(image, "JPEG", progressive=True), save(image, "PNG")
    yield "cut.jpg", jpeg[: len(jpeg) * 2 // 3]
    yield "cut-progressive.jpg", progressive[: len(progressive) * 2 // 3]
    yield "header-only.jpg", jpeg[:200]
    yield "no-end-marker.jpg", jpeg[:-2]
    yield "cut.png", whole[: len(whole) // 2]
    yield "checksum.png", whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:]
    yield "bomb.png", whole[:16] + (20000).to_bytes(4, "big") * 2 + whole[24:29] + zlib.crc32(
        whole[12:16] + (20000).to_bytes(4, "big") * 2 + whole[24:29]).to_bytes(4, "big") + whole[33:]
    yield "thin.png", save(Image.fromarray(paint(2, 402)), "PNG")
    yield "text.jpg", b"this is no picture\n"


def write_golden(folder):
    image = Image.fromarray(paint(29, 43))
    files = {
        "halved-colour.jpg": save(image, "JPEG", subsampling="4:2:0", quality=70),
        "progressive.jpg": save(image, "JPEG", subsampling="4:2:2", quality=50, progressive=True),
        "grey.jpg": save(image.convert("L"), "JPEG", quality=40),
        "cmyk.jpg": save(image.convert("CMYK"), "JPEG", quality=60),
        "alpha.png": png(paint(9, 14, 4), RGBA, 8),
        "key.png": png(paint(9, 14, 1, 4), GREY, 4, True, chunks=[(b"tRNS", b"\0\7")]),
        "palette.png": png(paint(9, 14, 1, 2), PALETTE, 2, chunks=[(b"PLTE", bytes(range(1, 145, 12))), (b"tRNS", b"\x80")]),
        "grey-16bit.png": png(paint(9, 14, 1, 16) >> 7, GREY, 16),
        "rgb-16bit.png": png(paint(9, 14, 3, 16), RGB, 16),
        "alpha-16bit.png": png(paint(9, 14, 2, 16), GREY_ALPHA, 16),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
        Image.fromarray(convert_to_rgb(Image.open(folder / name), return_numpy=True)).save(folder / (name + ".png"))


def expect(path):
    """Resized pixels [h, w, 3] and normalised patches by transformers."""
    image = ImageOps.exif_transpose(Image.open(path))
    limits = {"size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}}
    raw = Qwen2VLImageProcessor(**limits, do_rescale=False, do_normalize=False)(images=[image], return_tensors="pt")
    normal = Qwen2VLImageProcessor(**limits)(images=[image], return_tensors="pt")
    _, rows, columns = raw["image_grid_thw"][0].tolist()
    patches = raw["pixel_values"].reshape(rows // 2, columns // 2, 2, 2, 3, 2, SIDE, SIDE)[:, :, :, :, :, 0]
    pixels = patches.permute(0, 2, 5, 1, 3, 6, 4).reshape(rows * SIDE, columns * SIDE, 3)
    return pixels.to(torch.uint8).numpy(), normal["pixel_values"]


def patches_of(pixels):
    """As src/model/qwen2_5_vl/model.cpp makes them."""
    processor = Qwen2VLImageProcessor()
    mean, std = (torch.tensor(values) * 255.0 for values in (processor.image_mean, processor.image_std))
    values = (torch.from_numpy(pixels).float() - mean) / std
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    blocks = values.reshape(rows // 2, 2, SIDE, columns // 2, 2, SIDE, 3).permute(0, 3, 1, 4, 6, 2, 5)
    return blocks.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1).reshape(rows * columns, -1)


def ours(streamo, path):
    """(pixels, None) or (None, message)"""
    out = path.parent / (path.name + ".out")
    run = subprocess.run(
        [streamo, "frames", path, "--min-pixels", str(MIN_PIXELS), "--max-pixels", str(MAX_PIXELS), "--out", out],
        capture_output=True, text=True, timeout=60)  # fmt: skip
    if run.returncode != 0:
        return None, run.stderr.strip() if run.returncode == 11 else f"exit status {run.returncode}: {run.stderr}"
    return np.array(Image.open(out / "000000.png")), None


def compare(path, found, message):
    if found is None:
        return message
    try:
        pixels, normal = expect(path)
    except OSError as error:  # Pillow's
        return f"only transformers refuses it: {error}"
    if pixels.shape != found.shape:
        return f"size {found.shape} instead of {pixels.shape}"
    if not np.array_equal(pixels, found):
        difference = np.abs(pixels.astype(int) - found)
        return f"{(difference > 0).mean():.2%} of the values differ, by up to {difference.max()}"
    if not torch.equal(patches_of(found), normal):
        return "the normalised patches differ"
    return None


def refused(path, found, message):
    try:
        expect(path)
    except Exception:  # whatever Pillow and transformers raise
        return None if found is None and message.startswith("error: ") else f"not refused: {message}"
    return "transformers opens it"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("streamo", help="the program")
    parser.add_argument("--golden", type=pathlib.Path, help="write golden files into this folder and stop")
    arguments = parser.parse_args()
    streamo = arguments.streamo
    if arguments.golden:
        write_golden(arguments.golden)
        return 0
    torch.set_num_threads(1)
    checks = [(compare, item) for make in (png_files, jpeg_files, other_files, sized_files) for item in make()]
    checks += [(refused, item) for item in broken_files()]
    failed = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        paths = [pathlib.Path(folder) / name for _, (name, _) in checks]
        for path, (_, (_, content)) in zip(paths, checks):
            path.write_bytes(content)
        results = list(pool.map(lambda path: ours(streamo, path), paths))
        for (check, (name, _)), path, result in zip(checks, paths, results):
            complaint = check(path, *result)
            if complaint:
                failed += 1
                print(f"{name}: {complaint}")
    print(f"{len(checks)} files, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

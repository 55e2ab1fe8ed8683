"""Reading barcodes on photos: this project's reader, and zxing-cpp alone on the same pixels.

`.venv/bin/python benchmarks/barcodes.py [--photos DIR] [--count N]`. Random EAN-13 numbers are drawn at random angles
onto frames with shapes, blurred by a third of a narrow bar and saved as JPEG; `bar` is the width of a narrow bar in
pixels of the frame. A number that is read but not there counts as wrong. Milliseconds are CPU time on one thread, the
median.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter

from embedder import datasets, images
from embedder.barcodes import gtin
from embedder.barcodes.reader import RETAIL_BARS, WANT, read

#: Frame, pixels of a narrow bar, JPEG quality.
TRIALS = [
    ((640, 480), 1.4, 85),
    ((1280, 960), 1.2, 85),
    ((1280, 960), 1.5, 85),
    ((1280, 960), 1.5, 40),
    ((1280, 960), 2.5, 85),
    ((2048, 1536), 1.5, 85),
    ((2048, 1536), 2.5, 85),
    ((4000, 3000), 4.5, 85),
]
MODULES = 113  # of an EAN-13 with its white margins
SEED = 7


def draw(rng: np.random.Generator, size: tuple[int, int], bar: float, quality: int) -> tuple[str, bytes]:
    """A number of 14 digits, and a JPEG with its barcode at a random place."""
    digits = "".join(map(str, rng.integers(0, 10, 12)))
    number = digits + str(gtin.check_digit(digits))
    frame = Image.new("RGB", size, tuple(map(int, rng.integers(0, 256, 3))))
    pen = ImageDraw.Draw(frame)
    for _ in range(14):
        x, y = int(rng.integers(size[0])), int(rng.integers(size[1]))
        wide, high = map(int, rng.integers(size[0] // 10, size[0] // 2, 2))
        pen.ellipse((x, y, x + wide, y + high), fill=tuple(map(int, rng.integers(0, 256, 3))))
    drawn = zxingcpp.write_barcode_to_image(zxingcpp.create_barcode(number, zxingcpp.EAN13), scale=8)
    code = Image.fromarray(np.array(drawn)).convert("RGBA")
    width = round(MODULES * bar)
    code = code.resize((width, round(width * code.height / code.width)), Image.Resampling.LANCZOS)
    code = code.rotate(float(rng.uniform(0, 360)), expand=True, resample=Image.Resampling.BICUBIC)
    at = (int(rng.integers(size[0] - code.width)), int(rng.integers(size[1] - code.height)))
    frame.paste(code, at, code)
    out = io.BytesIO()
    frame.filter(ImageFilter.GaussianBlur(bar / 3)).save(out, "JPEG", quality=quality)
    return "0" + number, out.getvalue()


def alone(picture: Image.Image) -> list[str]:
    """What zxing-cpp alone reads."""
    found = zxingcpp.read_barcodes(picture.convert("L"), formats=RETAIL_BARS)
    return [gtin.parse_gtin(each.symbology_identifier + each.text) for each in found]


def ours(picture: Image.Image) -> list[str]:
    return [barcode.gtin for barcode in read(picture)]


def measure(photos: list[tuple[str, bytes]]) -> str:
    """One row: the size that was read, decoding, and for each reader correct, wrong, milliseconds."""
    decoding: list[float] = []
    taken: dict[str, list[float]] = {"ours": [], "alone": []}
    right, wrong = dict.fromkeys(taken, 0), dict.fromkeys(taken, 0)
    for number, data in photos:
        began = time.process_time()
        picture = images.decode(data, want=WANT)
        decoding.append(time.process_time() - began)
        for name, reader in (("ours", ours), ("alone", alone)):
            began = time.process_time()
            found = set(reader(picture))
            taken[name].append(time.process_time() - began)
            right[name] += number in found
            wrong[name] += bool(found - {number})
    ms = {name: 1000 * statistics.median(times) for name, times in [*taken.items(), ("decode", decoding)]}
    size = " x ".join(map(str, picture.size))
    return f"{size:>12} {ms['decode']:7.1f}" + "".join(
        f" | {right[name]:4} right {wrong[name]:2} wrong {ms[name]:6.1f} ms" for name in taken
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, metavar="DIR", help="also measure real photos without barcodes")
    parser.add_argument("--count", type=int, default=30, help="photos per row (default: 30)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"{options.count} photos a trial; decoding in ms; this project's reader | zxing-cpp alone")
    for size, bar, quality in TRIALS:
        rng = np.random.default_rng(SEED)
        photos = [draw(rng, size, bar, quality) for _ in range(options.count)]
        print(f"{size[0]:4} x {size[1]:4} bar {bar} quality {quality} read at {measure(photos)}", flush=True)
    if options.photos:
        paths = [path for some in datasets.find_photos(options.photos).values() for path in some[: options.count]]
        print(f"{len(paths)} photos of {options.photos.name} read at {measure([('', p.read_bytes()) for p in paths])}")


if __name__ == "__main__":
    main()

"""From a phone's photo to the network's input: JPEG decoding at a reduced scale, compared with a full decode.

`.venv/bin/python benchmarks/decoding.py [--photos DIR] [--data DIR]`. Photos of 12 megapixels are generated during the
run, with low, normal and high grain: the size of a file decides how long its entropy decoding takes, which a reduced
scale can't shorten. Both decodes must lead to the same vector (cosine), and with `--data` (one folder per SKU) to the
same SKU at rank 1. Writes docs/measurements-decoding.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common.drawn_photos import draw, encode
from common.figures import save
from common.timing import interleaved
from PIL import Image

from embedder import barcodes, datasets, images
from embedder.bundle import RELEASED
from embedder.inference import Embedder, Vectors

GOAL, GOAL_COSINE = 4.0, 0.995
#: 12 megapixels, as a phone takes them.
SIZE = (4000, 3000)
#: Grain of the generated photos, in grey levels.
GRAIN = {"little grain": 2.0, "usual grain": 8.0, "much grain": 16.0}
ROUNDS = 15


def embed(embedder: Embedder, picture: Image.Image) -> Vectors:
    """Like Embedder.embed_bytes, for a picture that is already decoded."""
    size = embedder.bundle.size
    mean = embedder.embed([images.view(picture, size, name) for name in embedder.bundle.views]).mean(axis=0)
    return mean / np.linalg.norm(mean)


def measure(embedder: Embedder, name: str, data: bytes) -> dict[str, Any]:
    """One photo, decoded both ways."""
    size = embedder.bundle.size
    full, small = images.decode(data), images.decode(data, want=size)
    times = interleaved(
        {
            "both": lambda: images.fit(images.decode(data, want=size), size),
            "both_full": lambda: images.fit(images.decode(data), size),
            "decode": lambda: images.decode(data, want=size),
            "decode_full": lambda: images.decode(data),
        },
        ROUNDS,
    )
    return {
        "photo": name,
        "megabytes": round(len(data) / 1e6, 1),
        "pixels": " x ".join(map(str, full.size)),
        "decoded_at": " x ".join(map(str, small.size)),
        "ms": round(times["both"], 1),
        "full_ms": round(times["both_full"], 1),
        "decode_ms": round(times["decode"], 1),
        "full_decode_ms": round(times["decode_full"], 1),
        "ratio": round(times["both_full"] / times["both"], 2),
        "cosine": round(float(embed(embedder, full) @ embed(embedder, small)), 4),
    }


def added(embedder: Embedder, size: tuple[int, int]) -> dict[str, float]:
    """Milliseconds of decoding a photo for all that is read from it when it is added, and of other ways to do it."""
    data, sides = draw(size, 8.0), (images.quality.SIDE, *embedder.reference_sides, barcodes.WANT)
    times = interleaved(
        {
            "once for each scale, as in use": lambda: images.decode_each(data, sides),
            "the largest scale alone": lambda: images.decode(data, want=barcodes.WANT),
            "in full for each": lambda: [images.decode(data) for _ in sides],
        },
        ROUNDS,
    )
    return {name: round(ms, 1) for name, ms in times.items()}


def enlarged(data: bytes) -> bytes:
    """Scale a photo up to 12 megapixels, as from a phone. A smaller one would be decoded in full anyway."""
    picture = images.decode(data)
    grow = (SIZE[0] * SIZE[1] / (picture.width * picture.height)) ** 0.5
    if grow <= 1:
        return data
    return encode(picture.resize((round(picture.width * grow), round(picture.height * grow)), Image.Resampling.BICUBIC))


def decisions(embedder: Embedder, folder: Path, limit: int) -> dict[str, Any]:
    """Whether the nearest other photo has the same SKU with both decodes."""
    owner = {path: sku for sku, paths in datasets.find_photos(folder).items() for path in paths}
    paths = list(owner)
    gallery = np.stack([vector for _, vector in embedder.embed_files(paths)])
    asked = range(0, len(paths), max(1, len(paths) // limit))
    cosines, same = [], 0
    for i in asked:
        data = enlarged(paths[i].read_bytes())
        ways = [
            embed(embedder, picture)
            for picture in (images.decode(data), images.decode(data, want=embedder.bundle.size))
        ]
        scores = np.stack(ways) @ gallery.T
        scores[:, i] = -1  # itself
        one, other = (owner[paths[nearest]] for nearest in scores.argmax(axis=1))
        same += one == other
        cosines.append(float(ways[0] @ ways[1]))
    return {"photos": len(cosines), "same_sku_first": same, "lowest_cosine": round(min(cosines), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, metavar="DIR", help="a phone's JPEGs instead of generated ones")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="photos, one folder per SKU: also compare the SKU at rank 1"
    )
    parser.add_argument("--limit", type=int, default=60, help="how many photos of DATA are queries (default: 60)")
    options = parser.parse_args()
    embedder = Embedder.open(RELEASED)
    if options.photos:
        paths = [path for some in datasets.find_photos(options.photos).values() for path in some]
        photos = {path.name: path.read_bytes() for path in paths[:20]}
    else:
        photos = {name: draw(SIZE, grain) for name, grain in GRAIN.items()}
    print(f"decode and resize to {embedder.bundle.size} px, bundle {embedder.bundle.id}; ms, median of {ROUNDS} rounds")
    print(
        f"{'photo':20} {'MB':>5} {'decoded at':>12} {'ms':>7} {'(decode)':>9} {'full':>7} {'(decode)':>9}"
        f" {'faster':>7} {'goal':>5} {'cosine':>7} {'goal':>6}"
    )
    rows = []
    for name, data in photos.items():
        row = measure(embedder, name, data)
        rows.append(row)
        print(
            f"{row['photo'][:20]:20} {row['megabytes']:5.1f} {row['decoded_at']:>12} {row['ms']:7.1f}"
            f" {row['decode_ms']:9.1f} {row['full_ms']:7.1f} {row['full_decode_ms']:9.1f}"
            f" {row['ratio']:6.1f}x {GOAL:4.0f}x {row['cosine']:7.4f} {GOAL_COSINE:>6}"
        )
    figures: dict[str, Any] = {"bundle": embedder.bundle.id, "goal": GOAL, "photos": rows}
    if options.data:
        figures["decisions"] = found = decisions(embedder, options.data, options.limit)
        print(
            f"same SKU first: {found['same_sku_first']} of {found['photos']} (goal: all); "
            f"lowest cosine {found['lowest_cosine']:.4f} (goal: {GOAL_COSINE})"
        )
    figures["added"] = {f"{w} x {h}": added(embedder, (w, h)) for w, h in ((640, 480), (2048, 1536), SIZE)}
    for shape, times in figures["added"].items():
        print(f"added, {shape}: " + "; ".join(f"{name} {ms:.1f} ms" for name, ms in times.items()))
    save("decoding", figures)


if __name__ == "__main__":
    main()

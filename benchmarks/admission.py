"""How often the checks on new photos flag ordinary photos, and degraded copies of them.

`.venv/bin/python benchmarks/admission.py DATA`. DATA contains grocery-store/, grozi-in-store/, luma-apparel/ and
dvd-covers/. Every photo is measured unchanged. A sample is degraded: darker and brighter in linear light, out of focus,
motion-blurred, put through embedder/datasets/degradation.py. It is also saved again in four ways: each copy must be
recognized as a near-duplicate, while no two different photos of a set may be. Then each grocery photo is treated as a
new product's: its vector is compared with those of all other SKUs, with the bundle's thresholds. Writes
docs/measurements-admission.json.
"""

from __future__ import annotations

import argparse
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import cv2
import numpy as np
from common.figures import save
from PIL import Image, ImageFilter

from embedder import datasets, images, matching
from embedder.bundle import RELEASED
from embedder.images import quality
from embedder.inference import Embedder
from embedder.matching import near_duplicates

#: One photo in so many of a set is degraded.
EVERY = 8
GAMMA = 2.2
SAVED = {
    "quality 50": (1.0, 50),
    "half the size": (0.5, 75),
    "0.3 of the size": (0.3, 60),
    "0.7, quality 30": (0.7, 30),
}


def shrunk(picture: Image.Image) -> Image.Image:
    scale = min(1.0, quality.SIDE / max(picture.size))
    size = [round(side * scale) for side in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)


def exposed(stops: float) -> Callable[[Image.Image], Image.Image]:
    """Change the exposure by so many stops, in linear light."""
    table = [min(255, round(255 * min(1.0, (level / 255) ** GAMMA * 2**stops) ** (1 / GAMMA))) for level in range(256)]
    return lambda picture: picture.point(table * 3)


def moved(pixels: int, degrees: float) -> Callable[[Image.Image], Image.Image]:
    """Motion blur of so many pixels, in the picture at SIDE."""
    kernel = np.zeros((pixels, pixels), np.float32)
    kernel[pixels // 2] = 1
    turn = cv2.getRotationMatrix2D((pixels // 2, pixels // 2), degrees, 1)
    kernel = cv2.warpAffine(kernel, turn, (pixels, pixels))
    kernel /= kernel.sum()
    return lambda picture: Image.fromarray(cv2.filter2D(np.asarray(picture), -1, kernel))


WORSE: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "2 stops darker": ("too_dark", exposed(-2)),
    "3 stops darker": ("too_dark", exposed(-3)),
    "4 stops darker": ("too_dark", exposed(-4)),
    "2 stops brighter": ("too_bright", exposed(2)),
    "3 stops brighter": ("too_bright", exposed(3)),
    "4 stops brighter": ("too_bright", exposed(4)),
    "Gaussian 1.5 px": ("too_blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5))),
    "Gaussian 2 px": ("too_blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(2))),
    "Gaussian 3 px": ("too_blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(3))),
    "moved 9 px": ("too_blurred", moved(9, 30)),
    "moved 15 px": ("too_blurred", moved(15, 70)),
}


def of_set(paths: Sequence[Path]) -> dict[str, Any]:
    """The share of unchanged photos in which each fault is found."""
    found: Counter[str] = Counter()
    flagged = 0
    for path in paths:
        data = path.read_bytes()
        faults = images.faults(images.measure(images.decode(data, want=quality.SIDE), min(images.dimensions(data))))
        found.update(faults)
        flagged += bool(faults)
    shares = {fault: round(count / len(paths), 4) for fault, count in sorted(found.items())}
    return {"photos": len(paths), "any": round(flagged / len(paths), 4), **shares}


def of_worse(paths: Sequence[Path]) -> dict[str, float]:
    """Of photos without a warning, the share in which the added fault is found after degradation."""
    hits: Counter[str] = Counter()
    asked = 0
    for path in paths:
        data = path.read_bytes()
        small = shrunk(images.decode(data, want=quality.SIDE))
        side = min(images.dimensions(data))
        if images.faults(images.measure(small, side)):
            continue
        asked += 1
        for name, (fault, worse) in WORSE.items():
            hits[name] += fault in images.faults(images.measure(worse(small), side))
        low = images.decode(datasets.degrade(data, 0))
        hits["degrade.py (any fault)"] += bool(images.faults(images.measure(low, min(low.size))))
    return {name: round(hits[name] / asked, 3) for name in [*WORSE, "degrade.py (any fault)"]}


def saved_again(data: bytes, share: float, jpeg: int) -> bytes:
    picture = images.decode(data)
    file = io.BytesIO()
    picture.resize((round(picture.width * share), round(picture.height * share))).save(file, "JPEG", quality=jpeg)
    return file.getvalue()


def of_saved(paths: Sequence[Path]) -> dict[str, float]:
    """The share of photos that are recognized as the same picture after being saved again."""
    hits: Counter[str] = Counter()
    for path in paths:
        data = path.read_bytes()
        cells, own = matching.color_grid_of_photo(data), matching.extract(data, matching.REFERENCE)
        for name, (share, jpeg) in SAVED.items():
            again = saved_again(data, share, jpeg)
            new = matching.color_grid(images.decode(again, want=quality.SIDE))
            hits[name] += matching.is_same_picture(new, cells, matching.extract(again, matching.REFERENCE), own)
    return {name: round(hits[name] / len(paths), 3) for name in SAVED}


def of_pairs(paths: Sequence[Path]) -> dict[str, int]:
    """How many pairs of different photos are taken for the same picture: by color grid, then by local features, too."""
    cells = np.stack([matching.color_grid_of_photo(path.read_bytes()) for path in paths])
    flat = cells.reshape(len(cells), -1)
    by_cells, both = 0, 0
    for place in range(len(paths)):
        apart = np.abs(flat[place + 1 :] - flat[place]).mean(axis=1)
        for other in np.flatnonzero(apart < near_duplicates.MAX_MEAN_DIFFERENCE) + place + 1:
            if matching.is_same_picture(cells[place], cells[other]):
                by_cells += 1
                pair = [matching.extract(paths[one].read_bytes(), matching.REFERENCE) for one in (place, other)]
                both += matching.is_same_picture(cells[place], cells[other], *pair)
    return {"pairs": len(paths) * (len(paths) - 1) // 2, "by colors": by_cells, "by colors and details": both}


def of_close(skus: Sequence[str], paths: Sequence[Path]) -> dict[str, float]:
    """The share of photos that would be matched with another SKU: as its SKU's first photos, and as further photos."""
    embedder = Embedder.open(RELEASED)
    vectors = np.stack(list(embedder.map(lambda path: embedder.embed_bytes(path.read_bytes()), paths)))
    limits = embedder.bundle.thresholds
    embedder.close()
    names, number = np.unique(np.array(skus), return_inverse=True)
    new, more = 0, 0
    for place in range(len(paths)):
        cosines = vectors @ vectors[place]
        cosines[place] = -1
        best = np.array([cosines[number == sku].max() for sku in range(len(names))])
        more += _matched(best, limits.score, limits.margin, but=int(number[place]))
        best[number[place]] = -1
        new += _matched(best, limits.score, limits.margin, but=-1)
    return {"first photos": round(new / len(paths), 4), "further photos": round(more / len(paths), 4)}


def _matched(best: np.ndarray[Any, np.dtype[np.float32]], score: float, margin: float, *, but: int) -> bool:
    second, first = np.sort(best)[-2:]
    return bool(first >= score and first - second >= margin and int(np.argmax(best)) != but)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    folders = {
        "grocery-store/train": "grocery-store/train",
        "grocery-store/val": "grocery-store/val",
        "grocery-store/iconic": "grocery-store/iconic-images-and-descriptions",
        "luma-apparel": "luma-apparel",
        "dvd-covers": "dvd-covers",
        "grozi-in-store": "grozi-in-store",
    }
    photos = {name: datasets.find_photos(options.data / folder) for name, folder in folders.items()}
    paths = {name: [path for own in some.values() for path in own] for name, some in photos.items()}
    train = "grocery-store/train"
    figures: dict[str, Any] = {"as they are": {name: of_set(some) for name, some in paths.items()}}
    print(figures, flush=True)
    figures["made worse"] = {train: of_worse(paths[train][::EVERY])}
    figures["saved again"] = {name: of_saved(paths[name][::EVERY]) for name in (train, "luma-apparel", "dvd-covers")}
    figures["different photos"] = {name: of_pairs(paths[name]) for name in (train, "dvd-covers", "luma-apparel")}
    skus = [sku for sku, own in photos[train].items() for _ in own]
    figures["close to another"] = {train: of_close(skus, paths[train])}
    for name, found in figures.items():
        print(name, found)
    save("admission", figures)


if __name__ == "__main__":
    main()

"""The print test: is there print on what a photo shows? Fits the linear probe on a bundle's vectors, and measures it.

`.venv/bin/python benchmarks/print_probe.py DATA [--bundle BUNDLE] [--write]`. DATA holds grocery-store/, dvd-covers/,
grozi-in-store/ and products/. Fitted, and the threshold chosen, on the sets of FITTED: loose fruit and vegetables have
no print; packs, boxes and covers have, as they are and, the groceries, as of a poor camera in poor light (48 px, dark,
blurred, noisy: embedder.datasets.degrade). Measured on sets that the fit has not seen. Prints a Markdown table of the
share of photos that are said to have no print; `--write` puts the probe beside the bundle's model
(embedder/inference/print_probe.py).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from catalog.demo import camera
from catalog.demo.products import products
from embedder.bundle import RELEASED
from embedder.datasets import degrade
from embedder.inference import Embedder, print_probe

#: The sets of the fit; the others are measured.
FITTED = ("train", "shops", "pharmacy", "snacks", "books", "dvd")
PLAIN = ("Fruit", "Vegetables")
SUFFIXES = (".jpg", ".jpeg", ".png")


class Sample(NamedTuple):
    """Photos of a kind in a set, and whether they are degraded."""

    name: str
    kind: str
    photos: list[bytes]
    poor: bool = False


def samples(data: Path) -> Iterator[Sample]:
    grocery, rng = data / "grocery-store", np.random.default_rng(0)

    def drawn(folder: Path, most: int | None = None) -> list[bytes]:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if most and len(paths) > most:
            paths = [paths[place] for place in sorted(rng.permutation(len(paths))[:most])]
        return [path.read_bytes() for path in paths]

    for part, most in (("train", 250), ("val", None)):
        for kind in (*PLAIN, "Packages"):
            yield Sample(part, kind, drawn(grocery / part / kind, most))
    yield Sample("dvd-covers", "covers", drawn(data / "dvd-covers"))
    yield Sample("in-store", "packs", drawn(data / "grozi-in-store", 300))
    for folder in sorted(path for path in (data / "products").iterdir() if path.is_dir()):
        yield Sample(folder.name, "products", drawn(folder, 60))
    for kind in (*PLAIN, "Packages"):
        yield Sample("catalog pictures", kind, drawn(grocery / "iconic-images-and-descriptions" / kind))
    yield Sample("val", "Packages", drawn(grocery / "val" / "Packages"), poor=True)
    yield Sample("train", "Packages", drawn(grocery / "train" / "Packages", 200), poor=True)
    yield Sample("dvd-covers", "covers", drawn(data / "dvd-covers"), poor=True)
    yield Sample("in-store", "packs", drawn(data / "grozi-in-store", 150), poor=True)
    ordered = sorted(products(), key=lambda product: product.sku)
    packs = [camera.encode(camera.query(product, place)) for product in ordered for place in range(3)]
    yield Sample("drawn", "packs", packs)
    yield Sample("drawn", "packs", packs, poor=True)


def measure(embedder: Embedder, data: Path) -> list[tuple[Sample, np.ndarray]]:
    """Each sample, and its vectors, float32 [photos, dim]."""
    found, count = [], 0
    for sample in samples(data):
        photos = sample.photos
        if sample.poor:
            photos = [degrade(raw, count + place) for place, raw in enumerate(photos)]
        count += len(photos)
        found.append((sample, np.stack(list(embedder.map(embedder.embed_bytes, photos)))))
    return found


def fit(measured: list[tuple[Sample, np.ndarray]], model: str) -> print_probe.PrintProbe:
    sides = [
        np.concatenate([rows for sample, rows in measured if sample.name in FITTED and (sample.kind in PLAIN) == plain])
        for plain in (True, False)
    ]
    return print_probe.fit(plain=sides[0], printed=sides[1], model=model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bundle", type=Path, default=RELEASED)
    parser.add_argument("--write", action="store_true", help="put the probe beside the bundle's model")
    options = parser.parse_args()
    embedder = Embedder.open(options.bundle)
    measured = measure(embedder, options.data)
    probe = fit(measured, print_probe.model_hash(embedder.bundle))
    print("| set | kind | photos | without print |")
    print("|---|---|---|---|")
    for sample, rows in measured:
        marks = [mark for mark, said in (("fitted", sample.name in FITTED), ("48 px", sample.poor)) if said]
        name = f"{sample.name} ({', '.join(marks)})" if marks else sample.name
        share = np.mean([probe.lacks_print(row) for row in rows])
        print(f"| {name} | {sample.kind} | {len(rows)} | {share:.3f} |")
    if options.write:
        probe.write(options.bundle)
    embedder.close()


if __name__ == "__main__":
    main()

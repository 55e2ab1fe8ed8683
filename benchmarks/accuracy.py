"""Top-1 accuracy of a bundle on real photos, by view: the whole photo alone, or the whole and its centre.

`.venv/bin/python benchmarks/accuracy.py DATA [BUNDLE]`. DATA contains grocery-store/ (train, val, iconic-images-and-
descriptions), grozi-in-store/ and dvd-covers/, one folder per SKU; missing sets are skipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from common.photo_sets import cover_photos

from embedder import datasets
from embedder.bundle import RELEASED, load_bundle
from embedder.datasets import Photos, split_references
from embedder.evaluation import embed_photos
from embedder.evaluation.metrics import sku_scores, top_k_accuracy
from embedder.inference import Embedder


def sets(data: Path) -> Iterator[tuple[str, Photos, Photos]]:
    """(name, gallery, queries) of each set in DATA."""
    train: Photos = {}
    if (grocery := data / "grocery-store").is_dir():
        train, val = datasets.find_photos(grocery / "train"), datasets.find_photos(grocery / "val")
        yield "grocery val", train, val
        yield (
            "grocery val, catalog pictures only",
            datasets.find_photos(grocery / "iconic-images-and-descriptions"),
            val,
        )
    if (in_store := data / "grozi-in-store").is_dir():
        yield "in-store crops, 3 references", *split_references(datasets.find_photos(in_store), 3)
    if (data / "dvd-covers").is_dir():
        pictures, shots = cover_photos(data)
        yield "flat packs among clutter, 1 reference", train | pictures, shots


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    views = (("whole",), ("whole", "centre"))
    embedders = [Embedder(replace(bundle, views=names)) for names in views]
    print(
        f"{'bundle ' + bundle.id:40} {'gallery':>8} {'queries':>8}  " + "  ".join(f"{'+'.join(v):>12}" for v in views)
    )
    for name, gallery, queries in sets(options.data):
        shares = []
        for embedder in embedders:
            known, asked = embed_photos(embedder, gallery), embed_photos(embedder, queries)
            scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
            shares.append(top_k_accuracy(scores, names, asked.skus)[0])
        sizes = f"{len(known.skus):8} {len(asked.skus):8}"
        print(f"{name:40} {sizes}  " + "  ".join(f"{share:12.3f}" for share in shares))


if __name__ == "__main__":
    main()

"""The paper's way of asking: a random fifth of the grocery photos, and of these the ones that no bundle was trained on.

`.venv/bin/python benchmarks/paper.py DATA BUNDLE...`

DATA contains grocery-store/. The photos of its train and val splits are split 80/20 by the seed of `embedder train`,
and the 80 % are the gallery. The released bundles were trained on the train split, a bundle of
embedder/configs/paper-*.toml on the 80 %: those of the 20 % that are of the val split are new to both. Prints a
Markdown table of top-1.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from common.photo_sets import flat

from embedder import datasets
from embedder.inference import Embedder, Vectors

SHARE, SEED = 0.2, 1


def embed(embedder: Embedder, paths: list[Path]) -> Vectors:
    return np.stack(list(embedder.map(lambda path: embedder.embed_bytes(path.read_bytes()), paths)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="+")
    options = parser.parse_args()
    photos = defaultdict(list)
    val: set[Path] = set()
    for split in ("train", "val"):
        for sku, paths in datasets.find_photos(options.data / "grocery-store" / f"{split}.txt").items():
            photos[sku] += paths
            val |= set(paths) if split == "val" else set()
    gallery, queries = datasets.split_share(photos, SHARE, SEED)
    (references, known), (asked, shown) = flat(gallery), flat(queries)
    new = np.array([path in val for path in shown])
    print(f"| bundle | top-1 of {len(asked)} | of the {new.sum()} of the val split |")
    print("|---|---|---|")
    for folder in options.bundle:
        embedder = Embedder.open(folder)
        best = np.argmax(embed(embedder, shown) @ embed(embedder, known).T, axis=1)
        right = np.array([references[place] == sku for place, sku in zip(best, asked, strict=True)])
        print(
            f"| {embedder.bundle.name} | {right.mean():.1%} | {right[new].sum()}: {right[new].mean():.1%} |", flush=True
        )
        embedder.close()


if __name__ == "__main__":
    main()

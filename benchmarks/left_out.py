"""How bundles recognize held-out products: SKUs that no training saw, enrolled with a few photos each.

`.venv/bin/python benchmarks/left_out.py DATA --left-out BUNDLE [--start NETWORK=ARRAYS.npz] BUNDLE...`

DATA contains grocery-store/ (train, val), grozi-in-store/, luma-apparel/ and dvd-covers/. The SKUs are those that the
training of `--left-out BUNDLE` held out of each set, alone in the gallery; the flat packs of dvd-covers are added to
the grocery gallery, one catalog picture each. `--start` also measures initial weights without training: the frozen
network, pooled, with the projected features that a training starts with. One line per bundle and set, JSON with --json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common.photo_sets import cover_photos

from embedder import datasets, evaluation
from embedder.bundle import BundleParts, load_bundle, write_bundle
from embedder.datasets import Photos, split_references
from embedder.evaluation.protocols import Protocol
from embedder.inference import Embedder


def frozen(start: str, size: int, dim: int, folder: Path) -> Path:
    """NETWORK=ARRAYS.npz -> a bundle of the initial weights."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from embedder.networks import backbones, embedding_network
    from embedder.training import export

    name, _, arrays = start.partition("=")
    network = embedding_network.build_embedder(backbones.build_backbone(name, arrays), "pooled", dim, size)
    out = folder / name
    write_bundle(
        out, BundleParts(export.to_litert(network, size), name=f"{name}, frozen", version="0", dim=dim, size=size)
    )
    return out


def protocols(data: Path, left_out: set[str]) -> Iterator[tuple[str, Protocol]]:
    """(name, protocol) of each set: held-out SKUs with few references, val against train, flat packs among clutter."""
    train, val = (datasets.find_photos(data / "grocery-store" / part) for part in ("train", "val"))
    yield "grocery val, 81 SKUs", Protocol(train, val, "")
    both: Photos = {sku: train.get(sku, []) + val.get(sku, []) for sku in {**train, **val}}
    sets = (
        ("grocery", both, (1, 3)),
        ("in-store", datasets.find_photos(data / "grozi-in-store"), (1, 3)),
        ("apparel", datasets.find_photos(data / "luma-apparel"), (1, 2)),  # three views at most
    )
    for name, photos, references in sets:
        kept = {sku: paths for sku, paths in photos.items() if sku in left_out}
        for count in references:
            yield f"{name}, {len(kept)} left out, {count} ref.", Protocol(*split_references(kept, count), "")
    pictures, shots = cover_photos(data)
    yield "flat packs in clutter, 1 ref.", Protocol({**train, **pictures}, shots, "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("bundles", type=Path, nargs="*")
    parser.add_argument("--left-out", type=Path, required=True, help="the bundle whose training held the SKUs out")
    parser.add_argument("--start", action="append", default=[], help="NETWORK=ARRAYS.npz, measured frozen")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    judge = load_bundle(options.left_out)
    left_out = set(judge.training["left_out"])
    with tempfile.TemporaryDirectory() as folder:
        starts = [frozen(start, judge.size, judge.dim, Path(folder)) for start in options.start]
        for path in [*starts, *options.bundles]:
            embedder = Embedder.open(path)
            label = f"{embedder.bundle.name} {embedder.bundle.id}"
            if not options.json:
                print(f"\n{label}, {embedder.bundle.size} px\n{'':38} top-1  top-5    mAP  AUROC  with margin")
            for name, protocol in protocols(options.data, left_out):
                figures = evaluation.evaluate_protocol(embedder, protocol).figures
                away = figures.rejection
                assert away is not None and figures.mean_average_precision is not None
                row = (figures.top1, figures.top5, figures.mean_average_precision, away.auroc, away.auroc_margin)
                if options.json:
                    keys = ("top1", "top5", "mean_average_precision", "auroc", "auroc_margin")
                    print(json.dumps({"bundle": label, "set": name, **dict(zip(keys, row, strict=True))}))
                else:
                    print(f"{name:36} " + " ".join(f"{value:6.3f}" for value in row), flush=True)
            embedder.close()


if __name__ == "__main__":
    main()

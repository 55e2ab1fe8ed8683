"""Embedding with LiteRT, as in serving, compared with `tf.function` and `keras.predict` on the same weights.

`.venv/bin/python benchmarks/embedding.py [--backbone NAME --weights PATH]`. Speed does not depend on the values of the
weights, so they are random unless a file is given. All three must give the same vectors before anything is timed.
Needs TensorFlow (extra `train`). Writes docs/measurements-embedding.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if importlib.util.find_spec("tensorflow") is None:
    print("benchmarks/embedding.py skipped: no TensorFlow here (extra `train`).")
    sys.exit(0)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read when TensorFlow is imported

import numpy as np
import tensorflow as tf
from common.figures import save

from catalog.demo import camera
from catalog.demo.products import products
from embedder import images
from embedder.bundle import RELEASED, BundleParts, load_bundle, write_bundle
from embedder.inference import Embedder
from embedder.networks.backbones import BACKBONES, build_backbone
from embedder.networks.embedding_network import build_embedder
from embedder.training import export

#: How many times faster LiteRT should be, with one photo.
GOALS = {"tf.function": 4.0, "keras.predict": 15.0}
#: The network of the paper, and the one that is released.
DEFAULT = ["mobilenetv3large", "efficientnetlite0"]
SAME = 0.999
DIM = 256
BATCH = 32
#: Batch -> rounds, and timed calls of each in a round.
ROUNDS = {1: (12, 4), BATCH: (5, 1)}


def build(name: str, weights: str, photos: Any) -> Any:
    """The network. With random weights its batch norm takes the statistics of the photos.

    Without them every photo would get about the same vector, and comparing vectors would be meaningless.
    """
    tf.keras.utils.set_random_seed(7)
    network = build_embedder(build_backbone(name, weights), "pooled", DIM)
    if weights == "none":
        for layer in network.submodules:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = 0.0
        network(photos.astype(np.float32), training=True)
    return network


def traced(network: Any, batch: int, size: int) -> Any:
    return tf.function(
        lambda photos: network(tf.cast(photos, tf.float32), training=False),
        input_signature=[tf.TensorSpec((batch, size, size, 3), tf.uint8)],
    )


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int, times: int) -> dict[str, float]:
    """Median milliseconds of each call; the calls alternate.

    The first call of each turn is not counted: it pays for the caches that the previous call has filled, and for that
    call's threads, which are still spinning.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            for _ in range(times):
                began = time.perf_counter()
                call()
                taken[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(each) for name, each in taken.items()}


def compare(name: str, network: Any, embedder: Embedder, photos: Any) -> Iterator[dict[str, Any]]:
    """Rows for one photo, then for a batch: uint8 [BATCH, size, size, 3]."""
    size = embedder.bundle.size
    for count in (1, BATCH):
        # Keras gets floats, as it wants them; the other two get the bytes and cast them themselves.
        batch, floats, pixels = photos[:count], photos[:count].astype(np.float32), list(photos[:count])
        function = traced(network, count, size)
        calls: dict[str, Callable[[], Any]] = {
            "LiteRT": lambda p=pixels: embedder.embed(p),
            "tf.function": lambda f=function, b=batch: f(b).numpy(),
            "keras.predict": lambda f=floats: network.predict(f, batch_size=len(f), verbose=0),
        }
        vectors = {way: np.reshape(call(), (count, DIM)) for way, call in calls.items()}
        cosine = min(float((vectors["LiteRT"] * vectors[peer]).sum(axis=1).min()) for peer in GOALS)
        if cosine <= SAME:
            sys.exit(f"{name} at {size} px: the vectors differ (cosine {cosine:.4f}), so their speed is no comparison.")
        times = interleaved(calls, *ROUNDS[count])
        yield {
            "network": name,
            "size": size,
            "photos": count,
            "ms": {way: round(taken, 1) for way, taken in times.items()},
            "times_faster": {peer: round(times[peer] / times["LiteRT"], 1) for peer in GOALS},
            "lowest_cosine": round(cosine, 5),
        }


def print_head() -> None:
    cores = os.cpu_count()
    print(f"ms, medians; one photo: LiteRT on one core, its peers on {cores}; a batch: all on {cores}")
    ways = "".join(f" {way:>13}" for way in ("LiteRT", *GOALS))
    ratios = "".join(f" {peer + ' /':>15} {'goal':>4}" for peer in GOALS)
    print(f"{'network':18} {'px':>4} {'photos':>6}{ways}{ratios} {'cosine':>8}", flush=True)


def print_row(row: dict[str, Any]) -> None:
    goals = {peer: f"{goal:.0f}x" if row["photos"] == 1 else "" for peer, goal in GOALS.items()}
    ways = "".join(f" {taken:13.1f}" for taken in row["ms"].values())
    ratios = "".join(f" {times:14.1f}x {goals[peer]:>4}" for peer, times in row["times_faster"].items())
    print(
        f"{row['network']:18} {row['size']:4} {row['photos']:6}{ways}{ratios} {row['lowest_cosine']:8.5f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", choices=BACKBONES, action="append", help=f"repeatable (default: {DEFAULT})")
    parser.add_argument("--weights", default="none", help="an .npz of arrays for the one backbone (default: none)")
    parser.add_argument("--size", type=int, action="append", help="pixels a side (default: 224, and as released)")
    options = parser.parse_args()
    backbones = options.backbone or DEFAULT
    if options.weights != "none" and len(backbones) != 1:
        parser.error("weights are made for one backbone: name it by --backbone")
    sizes = options.size or sorted({224, load_bundle(RELEASED).size})
    pictures = [camera.query(product, 1) for product in products()[:BATCH]]
    rows: list[dict[str, Any]] = []
    print_head()
    for name in backbones:
        network = None
        for size in sizes:
            photos = np.stack([images.fit(picture, size) for picture in pictures])
            network = network or build(name, options.weights, photos)
            with tempfile.TemporaryDirectory() as folder:
                model = export.to_litert(network, size)
                facts = {"name": name, "version": "0", "dim": DIM, "size": size, "views": ("whole",)}
                embedder = Embedder(write_bundle(Path(folder) / "bundle", BundleParts(model, **facts)))
                for row in compare(name, network, embedder, photos):
                    rows.append(row)
                    print_row(row)
                embedder.close()
    save("embedding", {"goals_at_one_photo": GOALS, "rows": rows})


if __name__ == "__main__":
    main()

"""Embedding a gallery from disk (read, decode, resize, both views), compared with the network alone on the same cores.

`.venv/bin/python benchmarks/gallery.py [--data DIR]`. Photos of one megapixel are generated in a temporary folder
unless DATA names real ones. The network alone gets the same views, decoded beforehand. When all cores are busy,
decoding can't be hidden behind the network: the CPU time of both shows what share is possible at all. Writes
docs/measurements-gallery.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.drawn_photos import draw
from common.figures import save

from embedder import datasets, images
from embedder.bundle import RELEASED
from embedder.inference import Embedder

GOAL = 0.85
SIZE = (1152, 864)
DRAWN = 64
GRAIN = 8.0
ROUNDS = 7


def measure(calls: dict[str, Callable[[], Any]], photos: int) -> dict[str, dict[str, float]]:
    """Photos per second and CPU milliseconds per photo of each call; medians of alternating rounds."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            cpu, began = time.process_time(), time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - began, time.process_time() - cpu))
    return {
        name: {
            "photos_a_second": photos / statistics.median(wall for wall, _ in times),
            "cpu_ms": statistics.median(cpu for _, cpu in times) / photos * 1000,
        }
        for name, times in taken.items()
    }


def compare(embedder: Embedder, paths: list[Path]) -> dict[str, Any]:
    bundle = embedder.bundle

    def decoded(path: Path) -> list[images.Pixels]:
        picture = images.decode(path.read_bytes(), want=bundle.size)
        return [images.view(picture, bundle.size, name) for name in bundle.views]

    views = [pixels for path in paths for pixels in decoded(path)]
    found = measure(
        {
            "gallery": lambda: list(embedder.embed_files(paths)),
            "network": lambda: embedder.embed(views),
            "decoding": lambda: list(embedder.map(decoded, paths)),
        },
        len(paths),
    )
    return {
        "bundle": bundle.id,
        "photos": len(paths),
        "views_a_photo": len(bundle.views),
        "cores": embedder.workers,
        **{f"{name}_per_core": round(one["photos_a_second"] / embedder.workers, 1) for name, one in found.items()},
        **{f"{name}_cpu_ms": round(one["cpu_ms"], 2) for name, one in found.items()},
        "share": round(found["gallery"]["photos_a_second"] / found["network"]["photos_a_second"], 3),
        "share_by_cpu": round(found["network"]["cpu_ms"] / found["gallery"]["cpu_ms"], 3),
        "goal": GOAL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="real photos instead of generated ones")
    parser.add_argument("--limit", type=int, default=300, help="how many photos of DATA (default: 300)")
    options = parser.parse_args()
    embedder = Embedder.open(RELEASED)
    with tempfile.TemporaryDirectory() as folder:
        if options.data:
            found = [path for some in datasets.find_photos(options.data).values() for path in some]
            paths = found[:: max(1, len(found) // options.limit)]
        else:
            paths = [Path(folder) / f"{i}.jpg" for i in range(DRAWN)]
            for i, path in enumerate(paths):
                path.write_bytes(draw(SIZE, GRAIN, seed=i))
        figures = compare(embedder, paths)
    print(f"{figures['photos']} photos of {figures['views_a_photo']} views, {figures['cores']} cores")
    print(f"{'':28} {'photos/s a core':>16} {'CPU ms a photo':>15}")
    for name, what in (("gallery", "gallery from disk"), ("network", "network alone"), ("decoding", "decoding alone")):
        print(f"{what:28} {figures[f'{name}_per_core']:16.1f} {figures[f'{name}_cpu_ms']:15.2f}")
    print(f"gallery / network: {figures['share']:.0%} (goal: {GOAL:.0%}; by CPU time: {figures['share_by_cpu']:.0%})")
    save("gallery", figures)


if __name__ == "__main__":
    main()

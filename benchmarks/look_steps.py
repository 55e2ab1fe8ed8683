"""CPU time of a query photo by step, both looks: vector, local features, visual words, verification, appearance.

`.venv/bin/python benchmarks/look_steps.py [--photos N] [--rounds R]`. N photos of drawn packs, 640 x 480; verified are
the 30 references of a shortlist, three of them compared by appearance. NumPy's OpenBLAS has one thread, as when
serving. Writes part `steps` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from common.figures import save
from common.processes import alone

from catalog.demo import camera
from catalog.demo.products import products
from embedder import openblas
from embedder.bundle import RELEASED
from embedder.inference import Embedder
from embedder.matching import QUERY, REFERENCE, compare, extract, picture, reranker, verify_many

REFERENCES = 30
GOAL_MS = 75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=49, help="photos asked")
    parser.add_argument("--rounds", type=int, default=3, help="times each is asked")
    options = parser.parse_args()
    os.environ.update(openblas.environment())  # for the process that measures
    figures = alone(measure, options.photos, options.rounds)
    for step, one in figures.items():
        print(f"{step:32} {one['cpu_ms']:6.1f} ms of CPU" + (f", {one['ms']:6.1f} ms" if "ms" in one else ""))
    save("second-look", figures, part="steps")


def measure(photos: int, rounds: int) -> dict[str, dict[str, float]]:
    """Step -> its median CPU time and wall time in milliseconds."""
    embedder = Embedder.open(RELEASED)
    packs = [product for product in products() if product.known]
    pictures = [camera.encode(camera.reference(product, 0)) for product in packs[:REFERENCES]]
    references = [embedder.extract_reference_local(raw)[0] for raw in pictures]
    small = [picture(raw, REFERENCE.side) for raw in pictures]
    times: dict[str, list[tuple[float, float]]] = {}

    def clock(step: str, call: Callable[[], Any]) -> Any:
        cpu, began = time.process_time(), time.perf_counter()
        result = call()
        times.setdefault(step, []).append((time.process_time() - cpu, time.perf_counter() - began))
        return result

    for _ in range(rounds):
        for place in range(photos):
            raw = camera.encode(camera.query(packs[place % len(packs)], place // len(packs)))
            clock("vector, two views", lambda raw=raw: embedder.embed_bytes(raw))
            clock("local features alone", lambda raw=raw: extract(raw, QUERY))
            found, _ = clock("local features and words", lambda raw=raw: embedder.extract_query(raw))
            agreed = clock(
                f"verification of {REFERENCES} references",
                lambda found=found: verify_many(found, references, reranker.THREADS),
            )
            outlines = [(one.outline, at) for at, one in enumerate(agreed) if one.outline is not None]
            if len(outlines) >= reranker.COMPARED:
                clock(
                    f"appearance of {reranker.COMPARED} references",
                    lambda raw=raw, outlines=outlines: _compare(raw, outlines[: reranker.COMPARED], small),
                )
    figures = {
        step: {"cpu_ms": _median([cpu for cpu, _ in taken]), "ms": _median([wall for _, wall in taken])}
        for step, taken in times.items()
    }
    together = sum(one["cpu_ms"] for step, one in figures.items() if step != "local features alone")
    figures["together"] = {"cpu_ms": round(together, 1), "goal_cpu_ms": GOAL_MS}
    return figures


def _compare(raw: bytes, outlines: list[tuple[Any, int]], small: list[Any]) -> None:
    query = picture(raw, QUERY.side)
    for outline, at in outlines:
        compare(small[at], query, outline)


def _median(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 1)


if __name__ == "__main__":
    main()

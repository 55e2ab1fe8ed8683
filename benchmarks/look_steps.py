"""CPU time of a query photo by step, both looks: decoding, vector, local features, words, verification, appearance.

`.venv/bin/python benchmarks/look_steps.py [--photos N] [--rounds R]`. N photos of drawn packs, 640 x 480. By step,
verified are the 30 references of a shortlist, three of them compared by appearance: the most that an easy photo costs.
Then the same photos to a real catalog of these packs, where the look ends as soon as one is beyond doubt. NumPy's
OpenBLAS has one thread, as when serving. Writes part `steps` of docs/measurements-second-look.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common.figures import save
from common.processes import alone
from PIL import Image

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.demo import camera
from catalog.demo.products import products as drawn_products
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from embedder import images, matching, openblas
from embedder.bundle import RELEASED
from embedder.inference import Embedder
from embedder.matching import QUERY, REFERENCE, compare, detect, reranker, verify_many

REFERENCES = 30
WHOLE = "a recognition by both looks"
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
    packs = [product for product in drawn_products() if product.known]
    pictures = [camera.encode(camera.reference(product, 0)) for product in packs[:REFERENCES]]
    references = [embedder.extract_reference_local(raw)[0] for raw in pictures]
    small = [matching.picture(raw, REFERENCE.side) for raw in pictures]
    times: dict[str, list[tuple[float, float]]] = {}

    def clock(step: str, call: Callable[[], Any]) -> Any:
        cpu, began = time.process_time(), time.perf_counter()
        result = call()
        times.setdefault(step, []).append((time.process_time() - cpu, time.perf_counter() - began))
        return result

    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": folder, "CATALOG_SECOND_LOOK": "always"}))
        for product in packs:
            photo = NewPhoto("front.jpg", camera.encode(camera.reference(product, 0)))
            products.create(catalog, Facts(product.sku), [photo], Intake("benchmark", check="off"))
        for _ in range(rounds):
            for place in range(photos):
                raw = camera.encode(camera.query(packs[place % len(packs)], place // len(packs)))
                picture = clock("decoding", lambda raw=raw: images.decode(raw, want=QUERY.side))
                clock("vector, two views", lambda picture=picture: embedder.embed_picture(picture))
                query = clock("small picture", lambda picture=picture: images.shrink(picture, QUERY.side))
                clock("local features alone", lambda query=query: detect(query, QUERY))
                found, _ = clock("local features and words", lambda query=query: embedder.extract_query_picture(query))
                agreed = clock(
                    f"verification of {REFERENCES} references", lambda found=found: verify_many(found, references)
                )
                outlines = [(one.outline, at) for at, one in enumerate(agreed) if one.outline is not None]
                if len(outlines) >= reranker.COMPARED:
                    clock(
                        f"appearance of {reranker.COMPARED} references",
                        lambda query=query, outlines=outlines: _compare(query, outlines[: reranker.COMPARED], small),
                    )
                clock(WHOLE, lambda raw=raw: recognize(catalog, raw))
        catalog.close()
    figures = {
        step: {"cpu_ms": _median([cpu for cpu, _ in taken]), "ms": _median([wall for _, wall in taken])}
        for step, taken in times.items()
    }
    together = sum(one["cpu_ms"] for step, one in figures.items() if step not in ("local features alone", WHOLE))
    figures["together"] = {"cpu_ms": round(together, 1), "goal_cpu_ms": GOAL_MS}
    return figures


def _compare(query: Image.Image, outlines: list[tuple[Any, int]], small: list[Any]) -> None:
    pixels = np.asarray(query)
    for outline, at in outlines:
        compare(small[at], pixels, outline)


def _median(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 1)


if __name__ == "__main__":
    main()

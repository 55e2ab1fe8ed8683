"""Mirrored photos, as of a till's front camera: how many covers are matched, and how many strangers are accepted.

`.venv/bin/python benchmarks/mirrored.py DATA`

DATA contains dvd-covers/: `reference.jpg` of every cover is enrolled in a catalog (SQLite, Edge), and the photos of its
four cameras, 800 px wide, are asked as they are and mirrored. Then every second cover is retired, and its photos are
asked again as an unknown product's; so are the demo's unknown products in the demo's catalog. Prints a Markdown table:
matched correctly, wrong among the matches, strangers accepted, answers that say `mirrored`, milliseconds of processor
time of those that are `unknown` (median).
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from common.photo_sets import cover_photos, flat
from PIL import Image, ImageOps

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.demo import camera
from catalog.demo.products import products as drawn_products
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.recognition import Recognition, recognize

WIDTH = 800
Asked = Sequence[tuple[str, Image.Image]]


def shot(path: Path) -> Image.Image:
    picture = Image.open(path).convert("RGB")
    return picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)))


def fill(catalog: Catalog, photos: dict[str, list[bytes]]) -> None:
    catalog.generations.ready()
    for sku, shots in photos.items():
        new = [NewPhoto(f"{place}.jpg", data) for place, data in enumerate(shots)]
        products.create(catalog, Facts(sku, sku), new, Intake("benchmark"))


def ask(catalog: Catalog, asked: Asked, *, mirrored: bool) -> list[tuple[str, Recognition, float]]:
    found = []
    for sku, picture in asked:
        data = camera.encode(ImageOps.mirror(picture) if mirrored else picture)
        began = time.process_time()
        found.append((sku, recognize(catalog, data), 1000 * (time.process_time() - began)))
    return found


def row(name: str, answers: list[tuple[str, Recognition, float]], *, known: bool) -> str:
    matches = [(sku, answer) for sku, answer, _ in answers if answer.decision == "match"]
    right = sum(answer.matches[0].sku == sku for sku, answer in matches)
    times = [milliseconds for _, answer, milliseconds in answers if answer.decision == "unknown"]
    if known:
        counted = f"{right} of {len(answers)} | {len(matches) - right} |"
    else:
        counted = f"| | {len(matches)} of {len(answers)}"
    told = sum(answer.mirrored for _, answer, _ in answers)
    median = f"{statistics.median(times):.0f}" if times else ""
    return f"| {name} | {counted} | {told} | {median} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    pictures, shots = cover_photos(parser.parse_args().data)
    print("| photos | matched correctly | wrong | strangers accepted | said to be mirrored | ms of an `unknown` |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))
        fill(catalog, {sku: [path.read_bytes() for path in paths] for sku, paths in pictures.items()})
        asked = [(sku, shot(path)) for sku, path in zip(*flat(shots), strict=True)]
        for mirrored, name in ((False, "covers"), (True, "covers, mirrored")):
            print(row(name, ask(catalog, asked, mirrored=mirrored), known=True), flush=True)
        retired = set(sorted(pictures)[::2])
        for sku in retired:
            products.set_active(catalog, sku, False, actor="benchmark")
        strangers = [(sku, picture) for sku, picture in asked if sku in retired]
        for mirrored, name in ((False, "covers, unknown"), (True, "covers, unknown, mirrored")):
            print(row(name, ask(catalog, strangers, mirrored=mirrored), known=False), flush=True)
        catalog.close()
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": folder}))
        drawn = drawn_products()
        fill(catalog, {p.sku: [camera.encode(camera.reference(p, n)) for n in range(4)] for p in drawn if p.known})
        asked = [(p.sku, camera.query(p, index)) for p in drawn if not p.known for index in range(3)]
        for mirrored, name in ((False, "demo, unknown"), (True, "demo, unknown, mirrored")):
            print(row(name, ask(catalog, asked, mirrored=mirrored), known=False), flush=True)
        catalog.close()


if __name__ == "__main__":
    main()

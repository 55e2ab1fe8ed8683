"""What the second look changes: the same queries to a real catalog with the first look alone, and with both.

`.venv/bin/python benchmarks/looks.py DATA [--bundle BUNDLE] [--sets NAME,..] [--most 300]`

DATA contains grocery-store/, dvd-covers/, grozi-in-store/ and luma-apparel/. For each set the references are enrolled
in its own catalog (SQLite, Edge). At most so many photos are queries, drawn with a seed, once with
CATALOG_SECOND_LOOK=off and once with auto. Then every second SKU is retired, and its photos are queried again as an
unknown product's. Prints a Markdown table: first (the first match is right, whatever the decision), matched correctly,
wrong among the matches, unknown accepted, milliseconds (median, p95).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from common.photo_sets import cover_photos

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.products import Facts
from catalog.recognition import recognize
from embedder import datasets
from embedder.datasets import Photos, split_references

Asked = list[tuple[str, Path]]


def sets(data: Path) -> Iterator[tuple[str, Photos, Photos]]:
    """(name, references, queries)."""
    grocery = data / "grocery-store"
    train, val = (datasets.find_photos(grocery / part) for part in ("train", "val"))
    packs = datasets.find_photos(grocery / "iconic-images-and-descriptions" / "Packages")
    pictures, shots = cover_photos(data)
    yield "groceries", train, val
    yield "packs, catalog picture", packs, {sku: paths for sku, paths in val.items() if sku in packs}
    yield "covers among groceries", {**pictures, **train}, shots
    for name, folder, references in (
        ("in-store, 3 photos", "grozi-in-store", 3),
        ("in-store, 1 photo", "grozi-in-store", 1),
        ("apparel, 1 photo", "luma-apparel", 1),
    ):
        yield name, *split_references(datasets.find_photos(data / folder), references)


def ask(catalog: Catalog, asked: Asked, mode: str) -> tuple[list[tuple[str, bool]], list[float]]:
    """(decision, whether the first match is right) of each query, and milliseconds."""
    catalog = dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, second_look=mode))
    answers, times = [], []
    for sku, path in asked:
        answer = recognize(catalog, path.read_bytes())
        answers.append((answer.decision, bool(answer.matches) and answer.matches[0].sku == sku))
        times.append(answer.milliseconds)
    return answers, times


def measure(name: str, known: Photos, queries: Photos, bundle: str | None, most: int) -> Iterator[str]:
    named = [(sku, path) for sku, paths in queries.items() if sku in known for path in paths]
    asked = [named[place] for place in sorted(np.random.default_rng(1).permutation(len(named))[:most])]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env({"CATALOG_DATA": folder} | ({"CATALOG_MODEL": bundle} if bundle else {}))
        catalog = Catalog.open(settings)
        items = [transfer.Item(Facts(sku), list(paths), sku) for sku, paths in known.items()]
        transfer.import_items(catalog, items, actor="benchmark")
        count = sum(map(len, known.values()))
        found = {mode: ask(catalog, asked, mode) for mode in ("off", "auto")}
        gone = set(sorted({sku for sku, _ in asked})[::2])
        for sku in gone:
            products.set_active(catalog, sku, False, actor="benchmark")
        strangers = [one for one in asked if one[0] in gone]
        accepted = {mode: ask(catalog, strangers, mode)[0] for mode in found}
        for mode, (answers, times) in found.items():
            match = [right for decision, right in answers if decision == "match"]
            cells = (
                f"{np.mean([right for _, right in answers]):.3f}",
                f"{sum(match) / len(answers):.3f}",
                f"{1 - np.mean(match) if match else 0:.3f}",
                f"{np.mean([decision == 'match' for decision, _ in accepted[mode]]):.3f}",
                f"{np.median(times):.0f}, {np.percentile(times, 95):.0f}",
            )
            yield f"| {name} | {count:,} | {len(answers)} | {mode} | {' | '.join(cells)} |"
        catalog.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--bundle", help="(default: the released one)")
    parser.add_argument("--sets", help="only sets whose names begin with these, separated by commas")
    parser.add_argument("--most", type=int, default=300, help="queries of a set, at most")
    options = parser.parse_args()
    print(
        "| set | references | photos | second look | first | matched, right | wrong of matched "
        "| unknown accepted | ms (median, 95 %) |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, known, queries in sets(options.data):
        if options.sets is None or name.startswith(tuple(options.sets.split(","))):
            for line in measure(name, known, queries, options.bundle, options.most):
                print(line, flush=True)


if __name__ == "__main__":
    main()

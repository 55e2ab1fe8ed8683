"""Margins by product: right and wrong matches by the vector alone, with the bundle's margin and with those fitted.

`.venv/bin/python benchmarks/margins.py DATA [BUNDLE] [--vectors FILE]`. DATA contains grocery-store/ (train, val). The
margins are fitted from the gallery's photos alone (catalog/margins), the queries are of visits that it does not hold:

- val: the official split, train as the gallery; and turned round, val as the gallery: 60 of the products, with about 5
  photos each.
- visits C: all photos, in visits (linked by cosines of C or more); a third of each product's photos, whole visits drawn
  by a seed, asks the others. Six seeds together. Products of one visit are in the gallery only.
- numbers: the first half of each product's file numbers against the last third, and turned round.

Beside the fit by product: by pair (the margin between the product named and each of the next four, as far as their
photos were taken for each other), one margin for the whole catalog, and by product with whole products left out.
`--vectors` keeps the embedded photos for the next run.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catalog.config import WRONG_MATCHES
from catalog.margins import fitting, leaving_out
from catalog.margins.fitting import Answer, fit_margin
from embedder.bundle import RELEASED, Thresholds, load_bundle
from embedder.evaluation import embed_folder
from embedder.inference import Embedder

Floats = npt.NDArray[np.float64]
#: Limits of what a visit is, by which photos are split; and seeds of a split.
VISITS, SEEDS = (0.88, 0.9, 0.92), range(6)
RATES = (0.005, WRONG_MATCHES, 0.02)


class Photos(NamedTuple):
    vectors: npt.NDArray[np.float32]
    skus: npt.NDArray[np.str_]
    numbers: npt.NDArray[np.intp]

    def only(self, which: npt.NDArray[np.bool_]) -> Photos:
        return Photos(*(part[which] for part in self))


def splits(train: Photos, val: Photos) -> Iterator[tuple[str, list[tuple[Photos, Photos]]]]:
    """Name -> pairs of a gallery and queries."""
    yield "val", [(train, val)]
    yield "val, turned round", [(val, train.only(np.isin(train.skus, val.skus)))]
    both = Photos(*(np.concatenate(parts) for parts in zip(train, val, strict=True)))
    for limit in VISITS:
        yield f"visits {limit:g}", [by_visit(both, limit, seed) for seed in SEEDS]
    early, late = (np.zeros(len(both.skus), bool) for _ in range(2))
    for sku in np.unique(both.skus):
        own = np.flatnonzero(both.skus == sku)
        own = own[np.argsort(both.numbers[own], kind="stable")]
        early[own[: int(0.55 * len(own))]] = True
        late[own[int(0.65 * len(own)) :]] = True
    yield "numbers", [(both.only(early), both.only(late)), (both.only(late), both.only(early))]


def by_visit(photos: Photos, limit: float, seed: int) -> tuple[Photos, Photos]:
    drawn = np.random.default_rng(seed)
    asks = np.zeros(len(photos.skus), bool)
    for sku in np.unique(photos.skus):
        own = np.flatnonzero(photos.skus == sku)
        visit = visits(photos.vectors[own], limit)
        count = 0
        names = drawn.permutation(np.unique(visit))
        for name in names if len(names) > 1 else []:
            size = int((visit == name).sum())
            if count + size <= max(0.35 * len(own), 1) or (not count and size < 0.6 * len(own)):
                asks[own[visit == name]] = True
                count += size
    return photos.only(~asks), photos.only(asks)


def visits(vectors: npt.NDArray[np.float32], limit: float) -> npt.NDArray[np.intp]:
    usual, leaving_out.SAME_VISIT = leaving_out.SAME_VISIT, limit
    try:
        return leaving_out.visits(vectors)
    finally:
        leaving_out.SAME_VISIT = usual


class Ranked(NamedTuple):
    """Of queries: the five nearest SKUs (numbers), their scores, the true SKU."""

    order: npt.NDArray[np.intp]
    scores: Floats
    own: npt.NDArray[np.intp]

    @property
    def margin(self) -> Floats:
        return self.scores[:, 0] - self.scores[:, 1]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        return self.order[:, 0] == self.own


def rank(gallery: Photos, queries: Photos, hidden: npt.NDArray[np.bool_] | None = None) -> tuple[Ranked, Floats]:
    """`hidden` [queries, photos]: photos that a query can't see. Also the scores of all SKUs, [queries, skus]."""
    names, owner = np.unique(gallery.skus, return_inverse=True)
    cosines = (queries.vectors @ gallery.vectors.T).astype(float)
    if hidden is not None:
        cosines[hidden] = -1.0
    table = np.stack([cosines[:, owner == sku].max(axis=1) for sku in range(len(names))], axis=1)
    order = np.argsort(-table, axis=1, kind="stable")[:, :5]
    own = np.searchsorted(names, queries.skus)
    return Ranked(order, np.take_along_axis(table, order, 1), own), table


def left_out(gallery: Photos, limit: float) -> tuple[Ranked, Floats]:
    """The gallery's photos as queries, each without its visit; those of a product of one visit are not asked."""
    hidden = np.zeros((len(gallery.skus), len(gallery.skus)), bool)
    asked = np.ones(len(gallery.skus), bool)
    for sku in np.unique(gallery.skus):
        own = np.flatnonzero(gallery.skus == sku)
        visit = visits(gallery.vectors[own], limit)
        hidden[np.ix_(own, own)] = visit[:, None] == visit
        asked[own] = len(np.unique(visit)) > 1
    return rank(gallery, gallery.only(asked), hidden[asked])


def by_product(found: Ranked, limits: Thresholds, rate: float, count: int, shrinkage: int) -> Floats:
    """The margin of each product."""
    usual, fitting.SHRINKAGE = fitting.SHRINKAGE, shrinkage
    margins = np.full(count, limits.margin)
    high = found.scores[:, 0] >= limits.score
    for sku in range(count):
        own = np.flatnonzero(high & (found.order[:, 0] == sku))
        fitted = fit_margin([Answer(found.margin[one], bool(found.right[one])) for one in own], limits.margin, rate)
        margins[sku] = limits.margin if fitted is None else fitted.margin
    fitting.SHRINKAGE = usual
    return margins


def by_pair(found: Ranked, table: Floats, limits: Thresholds, count: int) -> Floats:
    """The margin of a product (row) over another (column) whose photos were taken for it."""
    margins = np.full((count, count), limits.margin)
    wrong = np.flatnonzero((found.scores[:, 0] >= limits.score) & ~found.right)
    gaps = found.scores[wrong, 0] - table[wrong, found.own[wrong]]
    np.maximum.at(margins, (found.order[wrong, 0], found.own[wrong]), gaps + fitting.ABOVE)
    return margins


def of_catalog(found: Ranked, limits: Thresholds, rate: float) -> float:
    """One margin for all products."""
    high = found.scores[:, 0] >= limits.score
    for margin in np.sort(np.unique([limits.margin, *found.margin[found.margin >= limits.margin]])):
        match = high & (found.margin >= margin)
        if (match & ~found.right).sum() <= rate * match.sum():
            return float(margin)
    return leaving_out.MOST


def methods(gallery: Photos, limits: Thresholds) -> Iterator[tuple[str, Callable[[Ranked], npt.NDArray[np.bool_]]]]:
    """Name -> which of the queries keep to the margins."""
    count = len(np.unique(gallery.skus))
    found, table = left_out(gallery, leaving_out.SAME_VISIT)

    def keeps(margins: Floats) -> Callable[[Ranked], npt.NDArray[np.bool_]]:
        return lambda asked: asked.margin >= margins[asked.order[:, 0]]

    yield "the bundle's margin", keeps(np.full(count, limits.margin))
    for rate in RATES:
        yield f"by product, {rate:.1%}", keeps(by_product(found, limits, rate, count, fitting.SHRINKAGE))
    yield "by product, not shrunk", keeps(by_product(found, limits, WRONG_MATCHES, count, 0))
    pairs = by_pair(found, table, limits, count)
    yield (
        "by pair",
        lambda asked: (asked.scores[:, :1] - asked.scores[:, 1:] >= pairs[asked.order[:, :1], asked.order[:, 1:]]).all(
            axis=1
        ),
    )
    for rate in RATES:
        yield f"whole catalog, {rate:.1%}", keeps(np.full(count, of_catalog(found, limits, rate)))
    strangers, _ = rank(gallery, gallery, gallery.skus[:, None] == gallery.skus)
    yield "by product, product left out", keeps(by_product(strangers, limits, 0.0, count, 0))


def load(data: Path, bundle: Path, kept: Path | None) -> tuple[Photos, Photos]:
    if kept and kept.is_file():
        stored = np.load(kept)
        parts = [stored[name] for name in ("vectors", "skus", "numbers", "part")]
    else:
        embedder = Embedder.open(bundle)
        found = [embed_folder(embedder, data / "grocery-store" / part) for part in ("train", "val")]
        paths = [path for part in found for path in part.paths]
        numbers = [int(re.findall(r"\d+", path.stem)[-1]) for path in paths]
        skus = [sku for part in found for sku in part.skus]
        part = np.repeat([0, 1], [len(one.skus) for one in found])
        parts = [np.concatenate([one.vectors for one in found]), np.array(skus), np.array(numbers), part]
        if kept:
            np.savez(kept, vectors=parts[0], skus=parts[1], numbers=parts[2], part=parts[3])
    both = Photos(*parts[:3])
    return both.only(parts[3] == 0), both.only(parts[3] == 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("bundle", type=Path, nargs="?", default=RELEASED)
    parser.add_argument("--vectors", type=Path)
    options = parser.parse_args()
    limits = load_bundle(options.bundle).thresholds
    train, val = load(options.data, options.bundle, options.vectors)
    print("| photos left out with their visit | asked | matches | wrong |\n|---|---|---|---|")
    for limit in (0.85, *VISITS, 0.95):
        found, _ = left_out(train, limit)
        match = (found.scores[:, 0] >= limits.score) & (found.margin >= limits.margin)
        wrong = (match & ~found.right).sum()
        print(f"| cosine {limit:g} | {len(found.own)} | {match.sum()} | {wrong} ({wrong / max(match.sum(), 1):.1%}) |")
    print("\n| queries | margin | asked | right | wrong | wrong among matches |\n|---|---|---|---|---|---|")
    for name, pairs in splits(train, val):
        sums: dict[str, npt.NDArray[np.intp]] = {}
        for gallery, queries in pairs:
            asked, _ = rank(gallery, queries)
            high = asked.scores[:, 0] >= limits.score
            for method, keeps in methods(gallery, limits):
                match = high & keeps(asked)
                counts = np.array([len(asked.own), (match & asked.right).sum(), (match & ~asked.right).sum()])
                sums[method] = sums.get(method, 0) + counts
        for method, (count, right, wrong) in sums.items():
            share = wrong / max(right + wrong, 1)
            print(f"| {name} | {method} | {count} | {right} ({right / count:.1%}) | {wrong} | {share:.2%} |")


if __name__ == "__main__":
    main()

"""How well what is seen of the print tells a product from a stranger that shares its artwork.

`.venv/bin/python benchmarks/copies.py DATA [--products books whisky snacks shops pharmacy]`

DATA contains dvd-covers/, grocery-store/ (grounds) and products/. Three kinds of sets: the demo's drawn packs, whose
strangers copy layout, pictures and form of known products; till views of products with as many copies (`embedder
till-views --copies`); and the covers of dvd-covers, photographed by four cameras, which have no strangers. For every
query the reference that most points agree with is compared, by light and dark (appearance.compare_coarse) and by fine
print (appearance.compare). The figure: AUROC of the right product's pairs over the strangers' pairs. The covers' pairs
are set against the demo's strangers. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common.photo_sets import cover_photos

from catalog.demo import camera
from catalog.demo.products import products
from embedder import datasets
from embedder.datasets import find_photos, write_till_views
from embedder.matching import (
    QUERY,
    REFERENCE,
    Appearance,
    LocalFeatures,
    compare,
    compare_coarse,
    extract,
    picture,
    reranker,
    verify,
)
from embedder.matching.reranker import Candidate


@dataclass(frozen=True)
class Photos:
    """References and queries of a set, as (SKU, bytes); a query whose SKU has no reference is a stranger's."""

    known: list[tuple[str, bytes]]
    asked: list[tuple[str, bytes]]


@dataclass(frozen=True)
class Pair:
    """A query and the reference that most of its points agree with."""

    right: bool
    stranger: bool
    inliers: int
    coarse: Appearance
    fine: Appearance


MEASURES: dict[str, Callable[[Pair], float]] = {
    "light and dark, agreement": lambda pair: pair.coarse.agreement,
    "light and dark, colour after one gain": lambda pair: -pair.coarse.colour,
    "fine print, agreement": lambda pair: pair.fine.agreement,
    "fine print, least": lambda pair: pair.fine.least,
    "hue": lambda pair: -pair.fine.colour,
    "inliers": lambda pair: pair.inliers,
}


def pairs_of(photos: Photos) -> list[Pair]:
    with ThreadPoolExecutor() as pool:
        known = list(pool.map(lambda one: extract(one[1], REFERENCE), photos.known))
        found = pool.map(lambda one: pair_of(*one, photos, known), photos.asked)
        return [pair for pair in found if pair is not None]


def pair_of(sku: str, raw: bytes, photos: Photos, known: Sequence[LocalFeatures]) -> Pair | None:
    details, query = extract(raw, QUERY), picture(raw, QUERY.side)
    candidates = [
        Candidate(name, 0.0, reference, verify(details, reference))
        for (name, _), reference in zip(photos.known, known, strict=True)
    ]
    places = reranker.comparable(candidates)
    if not places or (outline := candidates[places[0]].match.outline) is None:
        return None
    name, content = photos.known[places[0]]
    reference = picture(content, REFERENCE.side)
    coarse, fine = compare_coarse(reference, query, outline), compare(reference, query, outline)
    if coarse is None or fine is None:
        return None
    stranger = sku not in {one for one, _ in photos.known}
    return Pair(name == sku, stranger, candidates[places[0]].match.inliers, coarse, fine)


def demo() -> Photos:
    drawn = products()
    return Photos(
        [(one.sku, camera.encode(camera.reference(one, 0))) for one in drawn if one.known],
        [(one.sku, camera.encode(camera.query(one, index))) for one in drawn for index in range(3)],
    )


def till_views(data: Path, name: str, folder: Path) -> Photos:
    pictures, grounds = find_photos(data / "products" / name), find_photos(data / "grocery-store" / "train.txt")
    write_till_views(pictures, grounds, folder, products=150, queries=50, copies=50, seed=1)
    return Photos(loaded(find_photos(folder / "gallery.txt")), loaded(find_photos(folder)))


def loaded(photos: datasets.Photos) -> list[tuple[str, bytes]]:
    return [(sku, path.read_bytes()) for sku, paths in photos.items() for path in paths]


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    above = np.array(right)[:, None] - np.array(wrong)
    return float((above > 0).mean() + (above == 0).mean() / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--products", nargs="*", default=["books", "whisky", "snacks", "shops", "pharmacy"])
    options = parser.parse_args()
    sets = {"demo": pairs_of(demo())}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.products:
            sets[name] = pairs_of(till_views(options.data, name, Path(folder) / name))
    strangers = {name: [pair for pair in pairs if pair.stranger] for name, pairs in sets.items()}
    sets["covers"] = pairs_of(Photos(*map(loaded, cover_photos(options.data))))
    strangers["covers"] = strangers["demo"]
    rights = {name: [pair for pair in pairs if pair.right] for name, pairs in sets.items()}
    print("| compared | " + " | ".join(f"{n} ({len(rights[n])}, {len(strangers[n])})" for n in sets) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for label, measure in MEASURES.items():
        values = [auroc([measure(p) for p in rights[n]], [measure(p) for p in strangers[n]]) for n in sets]
        print(f"| {label} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


if __name__ == "__main__":
    main()

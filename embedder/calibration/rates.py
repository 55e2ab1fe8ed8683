"""Calibration sets, their folds, and the rates of right and wrong answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder import datasets
from embedder.datasets import set_name, split_references
from embedder.errors import DataError
from embedder.evaluation import Embedded, embed_folder, embed_photos
from embedder.inference import Embedder

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
#: Value of an `ambiguous` answer, where a right one counts 1: it names the candidates and lets a person choose.
#: Measured on grocery and in-store photos, fitted on 60 random halves of their SKUs for 10 % false accepts and answered
#: on the other halves: with 0.5, 70.9 % matched right, 1.4 % of the matches wrong, 7.9 % accepted; with 0, which gives
#: a high score and hardly any margin, 69.2, 3.3 and 10.1 %, and the false accepts of the two sets differ more (5 and
#: 15 %, not 7 and 9), as scores vary more between sets than margins. The cost: 80 % of the unknown told so, not 88.
AMBIGUOUS_CREDIT = 0.5


@dataclass(frozen=True)
class Known:
    """Rates of answers to products that the gallery holds; they sum to 1, every set weighs the same.

    right, wrong: answered `match` with the right SKU, with another; ambiguous, unknown: answered so.
    """

    right: float
    wrong: float
    ambiguous: float
    unknown: float

    @property
    def wrong_matches(self) -> float:
        """Share of wrong SKUs among the matches; 0 without any match."""
        matched = self.right + self.wrong
        return self.wrong / matched if matched else 0.0


@dataclass(frozen=True)
class Unknown:
    """Rates of answers to products that the gallery lacks; they sum to 1, every set weighs the same.

    accepted: answered `match`, a false accept; ambiguous, unknown: answered so.
    """

    accepted: float
    ambiguous: float
    unknown: float


@dataclass(frozen=True)
class Rates:
    """Rates of the same queries with their SKUs in the gallery (known) and held out of it (held_out)."""

    known: Known
    held_out: Unknown


@dataclass(frozen=True)
class Pair:
    """A calibration set: gallery and query photos. SKUs of the same name in two sets are one SKU.

    left_out: bool [queries, gallery], the references that a query is not answered by, since they are of its visit; None
    when those are kept. originals: the query photos before they were degraded, in the same order; None of queries that
    are as they were taken.
    """

    name: str
    gallery: Embedded
    queries: Embedded
    left_out: Bools | None = None
    originals: Embedded | None = None

    def askable(self) -> Bools:
        """Of each query [queries]: whether the gallery holds its SKU, by a photo that is not left out."""
        skus, number = np.unique(self.gallery.skus, return_inverse=True)
        column = {str(sku): place for place, sku in enumerate(skus)}
        own = np.array([column.get(sku, -1) for sku in self.queries.skus])
        if self.left_out is None:
            held: Bools = own >= 0
            return held
        return np.array([not hidden[number == sku].all() for sku, hidden in zip(own, self.left_out, strict=True)], bool)


@dataclass(frozen=True)
class SetRates:
    """One set: photo and SKU counts of gallery and queries (of SKUs that the gallery holds), out-of-fold rates.

    same_visit: queries of which references of their own visit were left out. not_asked: queries that were not asked,
    since no other reference of their SKU (or of two others) is left; not among `queries`.
    """

    name: str
    gallery: int
    gallery_skus: int
    queries: int
    skus: int
    rates: Rates
    same_visit: int = 0
    not_asked: int = 0


def check_asked(pair: Pair, held: bool, asked: int) -> None:
    """Raises DataError when no query of a set is asked; `held`: whether its gallery holds the SKU of any."""
    if not held:
        raise DataError(f"No query is of a SKU that its gallery holds ({pair.name}).")
    if not asked:
        raise DataError(
            f"Every reference that could answer {pair.name} is of the same visit as the query: "
            "give it references of another day, or --same-visit kept."
        )


def group_sets(pairs: Sequence[Pair]) -> list[int]:
    """The group of each set: sets that ask by the same photos, degraded or not, are one, and left out together."""
    group = list(range(len(pairs)))
    asked = [set((pair.originals or pair.queries).paths) for pair in pairs]
    for place, photos in enumerate(asked):
        for other in range(place):
            if group[other] != group[place] and not photos.isdisjoint(asked[other]):
                old, new = max(group[place], group[other]), min(group[place], group[other])
                group = [new if number == old else number for number in group]
    return group


def read_pair(embedder: Embedder, gallery: Path, queries: Path) -> Pair:
    """Folders or split files of gallery and queries -> a set. Raises DataError when one has no usable photo."""
    name = set_name(queries)
    if gallery.parent != queries:  # till views list their own gallery
        name += f" in {set_name(gallery)}"
    return Pair(name, embed_folder(embedder, gallery), embed_folder(embedder, queries))


def read_alone(embedder: Embedder, folder: Path, references: int) -> Pair:
    """A folder or split file -> a set: `references` photos of each SKU are the gallery, the rest queries.

    Raises DataError when there is no usable photo, or no query is left.
    """
    known, asked = split_references(datasets.find_photos(folder), references)
    if known and not asked:
        raise DataError(f"{folder}: no SKU has more than {references} photos, so none is left to ask: --references.")
    return Pair(set_name(folder), embed_photos(embedder, known), embed_photos(embedder, asked))


def in_low_quality(embedder: Embedder, pair: Pair, folder: Path, seed: int) -> Pair:
    """A set -> the same asked by degraded photos (datasets.degrade), which are written into a folder, made if missing.

    The visit of a degraded photo is that of its original. Raises DataError when no degraded photo can be used.
    """
    rows: dict[Path, int] = {}
    photos: datasets.Photos = {}
    for row, (path, sku) in enumerate(zip(pair.queries.paths, pair.queries.skus, strict=True)):
        folder.mkdir(parents=True, exist_ok=True)
        worse = folder / f"{row:06}.jpg"
        worse.write_bytes(datasets.degrade(path.read_bytes(), seed))
        rows[worse] = row
        photos.setdefault(sku, []).append(worse)
    queries = embed_photos(embedder, photos)
    places = [rows[path] for path in queries.paths]
    originals = Embedded(
        pair.queries.vectors[places],
        [pair.queries.skus[row] for row in places],
        [],
        0.0,
        tuple(pair.queries.paths[row] for row in places),
    )
    left_out = None if pair.left_out is None else pair.left_out[places]
    return Pair(f"{pair.name}, in low quality", pair.gallery, queries, left_out, originals)


def split_folds(
    place: npt.NDArray[np.intp], sku: npt.NDArray[np.str_], names: Sequence[str], folds: int, seed: int
) -> npt.NDArray[np.intp]:
    """Set (index into `names`) and SKU of each query, [queries] each -> its fold, 0 to folds - 1, drawn by the seed.

    All queries of a SKU are in one fold, across sets (grouped folds), and every fold has a share of every set's SKUs
    (stratified). Raises DataError when a set has too few SKUs for that.
    """
    skus, number = np.unique(sku, return_inverse=True)
    member = np.zeros((len(skus), len(names)), dtype=bool)
    member[number, place] = True
    # SKUs sorted by the sets they are in, shuffled within, then dealt to the folds in turn.
    order = np.lexsort((np.random.default_rng([seed, 7]).permutation(len(skus)), *member.T))
    fold_of = np.empty(len(skus), dtype=np.intp)
    fold_of[order] = np.arange(len(skus)) % folds
    for name, own in zip(names, member.T, strict=True):
        if len(np.unique(fold_of[own])) < folds:
            count = int(own.sum())
            fewer = f", or --folds {min(count, folds - 1)}" if count > 1 and folds > 2 else ""
            raise DataError(
                f"{name} asks for {count} SKUs that its gallery holds, too few for {folds} folds: "
                f"give it photos of more SKUs{fewer}."
            )
    fold: npt.NDArray[np.intp] = fold_of[number]
    return fold


def even_weights(place: npt.NDArray[np.intp]) -> Floats:
    """The set of each query -> its weight, [queries] each: every set weighs the same; the weights sum to 1."""
    _, number, count = np.unique(place, return_inverse=True, return_counts=True)
    weight: Floats = 1 / (len(count) * count[number])
    return weight

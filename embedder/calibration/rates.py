"""Photos to calibrate with, and the rates of right and wrong answers among them."""

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
#: What an `ambiguous` counts where a right answer counts 1: it names the candidates and leaves the choice to a person.
#: Measured on grocery and in-store photos, fitted on 60 random halves of their SKUs for 10 % false accepts and answered
#: on the other halves: with 0.5, 70.9 % matched right, 1.4 % of the matches wrong, 7.9 % accepted; with 0, which asks
#: for a high score and hardly any margin, 69.2, 3.3 and 10.1 %, and the false accepts of the two sets lie further apart
#: (5 and 15 %, not 7 and 9), as a score moves more from set to set than a margin. Its price: 80 % told unknown, not 88.
AMBIGUOUS_CREDIT = 0.5


@dataclass(frozen=True)
class Known:
    """Answers to products that the gallery holds, as shares that sum to 1, every set weighing the same.

    right, wrong: answered `match` with the right SKU, with another; ambiguous, unknown: answered so.
    """

    right: float
    wrong: float
    ambiguous: float
    unknown: float

    @property
    def wrong_matches(self) -> float:
        """Share of wrong SKUs among all answered `match`; 0 when none is."""
        matched = self.right + self.wrong
        return self.wrong / matched if matched else 0.0


@dataclass(frozen=True)
class Unknown:
    """Answers to products that the gallery does not hold, as shares that sum to 1, every set weighing the same.

    accepted: answered `match`, a false accept; ambiguous, unknown: answered so.
    """

    accepted: float
    ambiguous: float
    unknown: float


@dataclass(frozen=True)
class Rates:
    """Answers to the same queries with their SKUs in the gallery (known) and held out of it (held_out)."""

    known: Known
    held_out: Unknown


@dataclass(frozen=True)
class Pair:
    """A set to calibrate on: reference photos, and photos that ask. SKUs of one name in two sets are one SKU."""

    name: str
    gallery: Embedded
    queries: Embedded


@dataclass(frozen=True)
class SetRates:
    """One set: counts of its gallery, counts of its queries (of SKUs that the gallery holds), out-of-fold rates."""

    name: str
    gallery: int
    gallery_skus: int
    queries: int
    skus: int
    rates: Rates


def read_pair(embedder: Embedder, gallery: Path, queries: Path) -> Pair:
    """Folders or split files of references and of photos that ask -> a set. Raises DataError when one has no photo."""
    name = f"{set_name(queries)} in {set_name(gallery)}"
    return Pair(name, embed_folder(embedder, gallery), embed_folder(embedder, queries))


def read_alone(embedder: Embedder, folder: Path, references: int) -> Pair:
    """A folder or split file -> a set: so many photos of each SKU are references, the rest ask.

    Raises DataError when there is no photo, or none is left to ask.
    """
    known, asked = split_references(datasets.find_photos(folder), references)
    if known and not asked:
        raise DataError(f"{folder}: no SKU has more than {references} photos, so none is left to ask: --references.")
    return Pair(set_name(folder), embed_photos(embedder, known), embed_photos(embedder, asked))


def split_folds(
    place: npt.NDArray[np.intp], sku: npt.NDArray[np.str_], names: Sequence[str], folds: int, seed: int
) -> npt.NDArray[np.intp]:
    """Set (its place in `names`) and SKU of each query, [queries] each -> its fold, 0 to folds - 1, drawn by the seed.

    All queries of a SKU are in one fold, in whatever sets they are, and every fold has its share of every set's SKUs.
    Raises DataError when a set has too few SKUs for that.
    """
    skus, number = np.unique(sku, return_inverse=True)
    member = np.zeros((len(skus), len(names)), dtype=bool)
    member[number, place] = True
    # SKUs of the same sets side by side, by chance among themselves, then dealt out in turn.
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
    """The set of each query -> its weight, [queries] each: every set weighs the same, and all of them 1."""
    _, number, count = np.unique(place, return_inverse=True, return_counts=True)
    weight: Floats = 1 / (len(count) * count[number])
    return weight

"""The gallery: vectors and visual words of all reference photos, one collection ("generation") for each model bundle.

`Gallery` is what the rest of the catalog knows. Nothing outside this package imports Qdrant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from embedder.matching import VisualWords  # Only a type here: importing it would load OpenCV.

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class GalleryPoint:
    """One reference photo: `id` is a UUID derived by the caller, `vector` float32 [dim] of unit length.

    `product` is the product's UUID as text. `words` are None or empty for a photo without print, which is found by its
    vector alone.
    """

    id: str
    vector: Vector
    sku: str
    product: str
    words: VisualWords | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A point that was found; `score` is its cosine similarity to the query, -1 to 1."""

    id: str
    sku: str
    product: str
    score: float


class Gallery(Protocol):
    """A vector store that is safe to use from many threads.

    Every method may raise GalleryLockedError (embedded, open in another process), GalleryUnavailableError (a server
    that does not answer), or GalleryError for anything else that the store can't do. Methods that need a generation
    raise GalleryMismatchError when there is none of that name; every write can be repeated.
    """

    def create(self, generation: str, dim: int) -> None:
        """Make an empty generation for vectors [dim]; one that exists is left as it is.

        Raises GalleryMismatchError when it exists for another dimension.
        """

    def generations(self) -> list[str]:
        """Names of the generations that exist, sorted. Collections of other programs are not listed."""

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """Write points; one that has the id of an older point replaces it, words and all. Then safe from kill -9.

        Raises GalleryMismatchError when a vector is not [dim], GalleryError when one has no direction (zero, NaN) or
        when words are not as embedder.matching.Words says; nothing is written then. GalleryMismatchError, too, when
        there are words that the store can't add to a generation made without. Large input is written in chunks: after
        any other error, repeat all of it.
        """

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """Remove points; an id that isn't there is no error."""

    def search(
        self, generation: str, vector: Vector, limit: int, *, products: Collection[str] | None = None
    ) -> list[Hit]:
        """At most `limit` nearest points to a query vector [dim], best first.

        With `products` (each as in GalleryPoint) only points of these are found: none of them, no point.
        Raises GalleryMismatchError when the vector is not [dim].
        """

    def shortlist(
        self,
        generation: str,
        vector: Vector,
        words: VisualWords | None,
        limit: int,
        *,
        products: Collection[str] | None = None,
    ) -> list[Hit]:
        """At most `limit` points that are near to a vector [dim] or share rare words, the most promising first.

        One query: the ranks by vector and by words (weighed by how rare each is in the generation) are fused (RRF).
        `Hit.score` is the cosine here too, so the hits are not in its order: a photo that the words brought may have
        any. Without words (None or empty) this is `search`. `products` are as there; how rare a word is does not depend
        on them. Raises what `upsert` does for such a vector and words.
        """

    def ids(self, generation: str) -> set[str]:
        """Ids of all points. What is written meanwhile may or may not be in it."""

    def count(self, generation: str) -> int:
        """How many points there are, exactly."""

    def optimize(self, generation: str) -> None:
        """Index what was written, and return when that is done.

        Embedded, this holds Python's global lock for seconds to minutes: only for a process that serves nobody.
        """

    def release(self, generation: str) -> None:
        """Let go of the generation, so that another process may open it. The next call opens it again."""

    def drop(self, generation: str) -> None:
        """Remove the generation and all its points; no error when there is none."""

    def close(self) -> None:
        """Let go of everything."""

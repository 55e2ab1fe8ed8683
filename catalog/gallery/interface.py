"""The protocol of a gallery and its types: all that the rest of the catalog knows of it."""

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

    `product` is the product's UUID as text. `words` is None or empty for a photo without print, which is found by its
    vector alone.
    """

    id: str
    vector: Vector
    sku: str
    product: str
    words: VisualWords | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A search hit; `score` is its cosine similarity to the query, -1 to 1."""

    id: str
    sku: str
    product: str
    score: float


class Gallery(Protocol):
    """A thread-safe vector store. Every write is idempotent.

    Every method may raise GalleryLockedError (embedded, open in another process), GalleryUnavailableError (a server
    that does not answer), or GalleryError for any other failure of the store. Methods that need a generation raise
    GalleryMismatchError when there is none of that name.
    """

    def create(self, generation: str, dim: int) -> None:
        """Create an empty generation for vectors [dim]; one that exists is left as it is.

        Raises GalleryMismatchError when it exists for another dimension.
        """

    def generations(self) -> list[str]:
        """Names of the existing generations, sorted. Collections of other programs are not listed."""

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """Write points; a point replaces an older one of its id, words and all. On return they survive kill -9.

        Raises GalleryMismatchError when a vector is not [dim], GalleryError when one has no direction (zero, NaN) or
        when words are not as embedder.matching.VisualWords says; nothing is written then. GalleryMismatchError, too,
        for words that the store can't add to a generation created without them. Large input is written in chunks:
        after any other error, repeat all of it.
        """

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """Remove points; an unknown id is no error."""

    def search(
        self, generation: str, vector: Vector, limit: int, *, products: Collection[str] | None = None
    ) -> list[Hit]:
        """At most `limit` nearest neighbours of a query vector [dim], best first.

        With `products` (as in GalleryPoint) only points of these products; an empty collection finds nothing.
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
        """Hybrid search: at most `limit` points near a vector [dim] or with rare words in common, best first.

        One query: the ranks by vector and by words (weighted by IDF in the generation) are fused by reciprocal rank
        fusion (RRF). `Hit.score` is the cosine here too, so the hits are not sorted by it: one that the words found may
        have any. Without words (None or empty) this is `search`. `products` is as there; the IDF does not depend on
        it. Raises what `upsert` does for such a vector and words.
        """

    def vectors(self, generation: str, ids: Sequence[str]) -> dict[str, Vector]:
        """The stored vectors of points, float32 [dim] of unit length, by id; an unknown id is left out."""

    def points(self, generation: str, ids: Sequence[str]) -> list[GalleryPoint]:
        """The stored points, words and all, as they can be written into another generation; an unknown id is left out.

        In no order. The vectors are of unit length.
        """

    def ids(self, generation: str) -> set[str]:
        """Ids of all points. Points written meanwhile may or may not be among them."""

    def count(self, generation: str) -> int:
        """Exact number of points."""

    def disk_bytes(self, generation: str) -> int | None:
        """Bytes that a generation takes on the disk of this host; None for one that is elsewhere. It is not opened."""

    def optimize(self, generation: str) -> None:
        """Index what was written, and return when that is done.

        Embedded, this holds the GIL for seconds to minutes: only for a process that serves nobody.
        """

    def release(self, generation: str) -> None:
        """Close the generation, so that another process may open it. The next call opens it again."""

    def drop(self, generation: str) -> None:
        """Remove the generation and all its points; no error when there is none."""

    def close(self) -> None:
        """Close everything."""

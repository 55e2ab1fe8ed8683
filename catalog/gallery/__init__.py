"""The gallery: vectors and visual words of all reference photos, one collection ("generation") for each model bundle.

`Gallery` is what the rest of the catalog knows. Nothing outside this package imports Qdrant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from catalog.errors import ConfigError, GalleryError, GalleryMismatchError

if TYPE_CHECKING:
    from embedder.words import Words  # Only a type here: importing it would load OpenCV.

Vector = npt.NDArray[np.float32]

VECTOR_NAME = "embedding"
WORDS_NAME = "words"
"""The sparse vector beside it. Generations that were made before there were words get it added."""

PRODUCT = "product"
"""The payload's key that searches are filtered by; it is indexed."""

PREFETCH = 2
"""How many times its limit a shortlist takes of each kind: below that in both lists, nothing can come up in it."""

RRF_K = 2
"""Qdrant's own constant. With the classic 60 the 30th of both lists goes before the first of one; but what the
embedding can't tell apart only the words know, and the other way round."""

RRF_WEIGHTS = (1.0, 1.001)
"""Of embedding and words, all but equal: equal ones tie at every rank, and Qdrant breaks ties at random."""

CHUNK = 256
"""Points in one write: about 5 ms of a serving process's time, four times that with words, and well below a server's
limit for one request."""

PAGE = 2000
"""Ids in one page of a scroll."""

_PREFIX = "sku-gallery-"
# A name is a folder as well; "<generation>.lock" is the lock file beside it.
_NAME = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(?<!\.lock)")


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
    words: Words | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A point that was found; `score` is its cosine similarity to the query, -1 to 1."""

    id: str
    sku: str
    product: str
    score: float


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is called, and how it keeps generations that are made from now on (None: as it pleases)."""

    timeout: int = 5
    """Seconds that one try may wait for the server: by gRPC for the whole answer, by HTTP for each part of it."""
    tries: int = 3
    """Of a call that the server doesn't answer, or can't now; a hundred milliseconds apart, then twice as many."""
    grpc_port: int | None = None
    """Where the server speaks gRPC, if that is to be spoken."""
    ca: Path | None = None
    """Certificates (PEM) that the server's is checked by, in place of the public ones."""
    shards: int | None = None
    replicas: int | None = None
    on_disk: bool = False
    """Vectors and words are read from disk as they are needed, not kept in memory."""
    quantized: bool = False
    """A copy of the vectors in int8 is searched, and the vectors themselves order what it finds."""


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
        when words are not as embedder.words.Words says; nothing is written then. GalleryMismatchError, too, when there
        are words that the store can't add to a generation made without. Large input is written in chunks: after any
        other error, repeat all of it.
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
        words: Words | None,
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


def collection_name(bundle_id: str) -> str:
    """The generation of a model bundle, which no other bundle's vectors ever enter.

    Raises GalleryError when the id can't be part of a collection's (and a folder's) name.
    """
    return checked_name(_PREFIX + bundle_id)


def checked_name(generation: str) -> str:
    """The name, when collection_name() could have made it; raises GalleryError otherwise."""
    if not is_generation(generation):
        raise GalleryError(f"{generation!r} is not the name of a generation ({_PREFIX}<bundle id>).")
    return generation


def is_generation(name: str) -> bool:
    """Whether collection_name() could have made this name."""
    return _NAME.fullmatch(name) is not None


def check_vectors(generation: str, dim: int, vectors: Iterable[Vector]) -> None:
    """Raises GalleryMismatchError for a vector that is not [dim], GalleryError for one that has no direction."""
    for vector in vectors:
        if vector.shape != (dim,):
            raise GalleryMismatchError(
                f"{generation} holds vectors of {dim} numbers, but was given one of shape {list(vector.shape)}: "
                "it was made by another model."
            )
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            raise GalleryError(f"A vector of length {length} for {generation} has no direction to compare.")


def check_words(generation: str, words: Iterable[Words | None]) -> None:
    """Raises GalleryError for words that are not as embedder.words.Words says; None is fine."""
    for one in words:
        if one is None:
            continue
        indexes, values = one.indexes, one.values
        # Types don't hold at run time: -1 in int64 is a word that the store would refuse half-way.
        typed = (indexes.dtype, values.dtype) == (np.dtype(np.uint32), np.dtype(np.float32))
        if not typed or indexes.ndim != 1 or indexes.shape != values.shape:
            raise GalleryError(
                f"Words for {generation} are uint32 [m] and float32 [m], not {indexes.dtype} {list(indexes.shape)} and "
                f"{values.dtype} {list(values.shape)}."
            )
        if (indexes[1:] <= indexes[:-1]).any():
            raise GalleryError(f"Words for {generation} are not in ascending order, each once.")
        if not ((values > 0) & (values < np.inf)).all():
            raise GalleryError(f"Words for {generation} weigh something that is not above zero, or no number.")


def to_hit(id: object, payload: Mapping[str, Any] | None, score: float) -> Hit:
    """A Hit of what Qdrant found; raises GalleryError for a point that another program wrote."""
    try:
        fields = payload or {}
        return Hit(str(id), fields["sku"], fields["product"], score)
    except KeyError as error:
        raise GalleryError(f"Point {id} has no {error}: it was not written by this catalog.") from error


def to_listed(id: object, payload: Mapping[str, Any] | None, vectors: object, query: Vector) -> Hit:
    """A Hit of what a fused query found, together with its vectors by name; raises as `to_hit` does.

    The score of a fused query says how high a point ranks, and nothing about the photo: it would be taken for a cosine.
    """
    if not isinstance(vectors, Mapping) or VECTOR_NAME not in vectors:
        raise GalleryError(f"Point {id} has no {VECTOR_NAME!r}: it was not written by this catalog.")
    found = np.asarray(vectors[VECTOR_NAME], np.float32)
    cosine = float(found @ query) / (float(np.linalg.norm(found)) * float(np.linalg.norm(query)))
    return to_hit(id, payload, cosine)


def unknown_generation(generation: str, place: str) -> GalleryMismatchError:
    """The error for a generation that is not in a place (a folder or an address)."""
    return GalleryMismatchError(f"There is no {generation} in the gallery at {place}: it has to be built first.")


def open_gallery(url: str, *, api_key: str | None = None, options: ServerOptions | None = None) -> Gallery:
    """The gallery at "edge:PATH" or "http(s)://HOST[:6333]"; nothing is opened and nobody is called yet.

    `api_key` and `options` are for a server. Raises ConfigError for any other URL, and for options that can't be used.
    """
    # Imported only when used: an embedded catalog never loads the client, nor the other way round.
    scheme, _, path = url.partition(":")
    if scheme == "edge" and path:
        from catalog.gallery.edge import EdgeGallery

        return EdgeGallery(Path(path))
    if _is_server(url):
        from catalog.gallery.server import ServerGallery

        return ServerGallery.open(url, api_key, options or ServerOptions())
    raise ConfigError("The gallery's URL is not understood: it is edge:PATH or http://HOST:6333 (no user or password).")


def _is_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it. A password in a URL would end in messages and logs; the API key has its own place.
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        return False

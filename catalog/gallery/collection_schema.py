"""Schema of a generation's collection: its name, the vectors and payload of its points, and their validation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import GalleryError, GalleryMismatchError

if TYPE_CHECKING:
    from embedder.matching import VisualWords  # Only a type here: importing it would load OpenCV.
from catalog.gallery.interface import GalleryPoint, Hit, Vector

VECTOR_NAME = "embedding"
WORDS_NAME = "words"
"""The sparse vector of visual words. Generations created before there were words get it added."""

PRODUCT = "product"
"""The payload key that searches filter by; it is indexed."""

CHUNK = 256
"""Points per write: about 5 ms of a serving process's time, four times that with words, and well below a server's
limit for one request."""

PAGE = 2000
"""Ids per page of a scroll."""

_PREFIX = "sku-gallery-"
# A name is a folder as well; "<generation>.lock" is the lock file beside it.
_NAME = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(?<!\.lock)")


def collection_name(bundle_id: str) -> str:
    """Name of a model bundle's generation, which never holds vectors of another bundle.

    Raises GalleryError when the id can't be part of a collection's (and a folder's) name.
    """
    return checked_name(_PREFIX + bundle_id)


def checked_name(generation: str) -> str:
    """The name, if collection_name() could have made it; else raises GalleryError."""
    if not is_generation(generation):
        raise GalleryError(f"{generation!r} is not the name of a generation ({_PREFIX}<bundle id>).")
    return generation


def is_generation(name: str) -> bool:
    """Whether collection_name() could have made this name."""
    return _NAME.fullmatch(name) is not None


def check_vectors(generation: str, dim: int, vectors: Iterable[Vector]) -> None:
    """Raises GalleryMismatchError for a vector that is not [dim], GalleryError for one without a direction."""
    for vector in vectors:
        if vector.shape != (dim,):
            raise GalleryMismatchError(
                f"{generation} holds vectors of {dim} numbers, but was given one of shape {list(vector.shape)}: "
                "it was made by another model."
            )
        length = float(np.linalg.norm(vector))
        if not 0 < length < np.inf:
            raise GalleryError(f"A vector of length {length} for {generation} has no direction to compare.")


def check_words(generation: str, words: Iterable[VisualWords | None]) -> None:
    """Raises GalleryError for words that are not as embedder.matching.VisualWords says; None is fine."""
    for sparse in words:
        if sparse is None:
            continue
        indexes, values = sparse.indexes, sparse.values
        # Types aren't checked at run time: -1 in int64 is a word that the store would refuse half-way.
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
    """A point that Qdrant found as a Hit; raises GalleryError for one that another program wrote."""
    try:
        fields = payload or {}
        return Hit(str(id), fields["sku"], fields["product"], score)
    except KeyError as error:
        raise GalleryError(f"Point {id} has no {error}: it was not written by this catalog.") from error


def to_listed(id: object, payload: Mapping[str, Any] | None, vectors: object, query: Vector) -> Hit:
    """A point that a fused query found, with its vectors by name, as a Hit; raises as `to_hit` does.

    The score is computed anew: that of a fused query depends on ranks alone, and would be taken for a cosine.
    """
    cosine = float(to_vector(id, vectors) @ query) / float(np.linalg.norm(query))
    return to_hit(id, payload, cosine)


def to_vector(id: object, vectors: object) -> Vector:
    """A point's vectors by name -> its embedding, float32 [dim] of unit length.

    Raises GalleryError for a point that another program wrote.
    """
    if not isinstance(vectors, Mapping) or VECTOR_NAME not in vectors:
        raise GalleryError(f"Point {id} has no {VECTOR_NAME!r}: it was not written by this catalog.")
    found = np.asarray(vectors[VECTOR_NAME], np.float32)
    unit: Vector = found / np.float32(np.linalg.norm(found))
    return unit


def to_stored(id: object, payload: Mapping[str, Any] | None, vectors: object) -> GalleryPoint:
    """A point with payload and vectors by name, as it can be written again; raises as `to_hit` does."""
    from embedder.matching import VisualWords  # here, for it loads OpenCV

    to_vector(id, vectors)  # raises for what is none
    # The very numbers that are stored: made of unit length once more, a score would differ in its last digits.
    vector, hit = np.asarray(vectors[VECTOR_NAME], np.float32), to_hit(id, payload, 1.0)  # type: ignore[index]
    sparse = vectors.get(WORDS_NAME) if isinstance(vectors, Mapping) else None
    if sparse is None:
        return GalleryPoint(hit.id, vector, hit.sku, hit.product)
    indexes, values = np.asarray(sparse.indices, np.uint32), np.asarray(sparse.values, np.float32)
    order = np.argsort(indexes)
    return GalleryPoint(hit.id, vector, hit.sku, hit.product, VisualWords(indexes[order], values[order]))


def unknown_generation(generation: str, place: str) -> GalleryMismatchError:
    """The error for a generation that is not in a place (a folder or an address)."""
    return GalleryMismatchError(f"There is no {generation} in the gallery at {place}: it has to be built first.")

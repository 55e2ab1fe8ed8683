"""A generation's collection: its name, what its points hold, and what is checked of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from catalog.errors import GalleryError, GalleryMismatchError

if TYPE_CHECKING:
    from embedder.matching import VisualWords  # Only a type here: importing it would load OpenCV.
from catalog.gallery.interface import Hit, Vector

VECTOR_NAME = "embedding"
WORDS_NAME = "words"
"""The sparse vector beside it. Generations that were made before there were words get it added."""

PRODUCT = "product"
"""The payload's key that searches are filtered by; it is indexed."""

CHUNK = 256
"""Points in one write: about 5 ms of a serving process's time, four times that with words, and well below a server's
limit for one request."""

PAGE = 2000
"""Ids in one page of a scroll."""

_PREFIX = "sku-gallery-"
# A name is a folder as well; "<generation>.lock" is the lock file beside it.
_NAME = re.compile(re.escape(_PREFIX) + r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}(?<!\.lock)")


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


def check_words(generation: str, words: Iterable[VisualWords | None]) -> None:
    """Raises GalleryError for words that are not as embedder.matching.Words says; None is fine."""
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

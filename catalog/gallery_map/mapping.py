"""Making the map of the live generation's gallery: new photos beside those that are on it, or all anew."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.catalog import Catalog
from catalog.errors import CatalogError, ConfigError
from catalog.gallery import Vector
from catalog.gallery_map import computing, layout, map_rows
from catalog.gallery_map.map_rows import Known
from catalog.generations import LiveModel
from catalog.progress import Progress, no_progress
from catalog.right_of_way import piece

#: Photos of a map, at most: its time grows with their square (40,000: docs/measurements-catalog.md).
MOST = 100_000
#: Vectors that are read from the gallery at once; tills use it in between.
CHUNK = 200
#: Share of the photos that may have changed since all were laid out together; beyond it, they are again.
CHANGED = 0.1


class MapTooLargeError(CatalogError):
    """There are more photos than a map is made of."""

    code = "map_too_large"


@dataclass(frozen=True)
class Mapped:
    """What a map shows: its photos, those of them that lie apart, and the pairs of products that look alike.

    `made` is False where the map showed all of it already, and nothing was done.
    """

    made: bool
    photos: int
    apart: int = 0
    pairs: int = 0


def map_gallery(catalog: Catalog, progress: Progress = no_progress, *, anew: bool = False) -> Mapped:
    """Make the map of the live generation, and show it. `anew`: lay out all photos, whatever is on the map.

    Without it, only if photos came or went. What `progress` raises stops it, and leaves the map that is shown.
    Raises ConfigError without the extra `map`, MapTooLargeError, a GalleryError, GalleryRefillingError, MapFailedError,
    and ConflictError when another generation becomes live meanwhile.
    """
    if not layout.is_installed():
        raise ConfigError("A map needs openTSNE: install photo-catalog[map].")
    began = time.monotonic()
    model = catalog.generations.ready()
    catalog.generations.check_filled(model)
    if (count := map_rows.count_photos(catalog.database, model.generation_id)) > MOST:
        raise MapTooLargeError(f"A map is made of up to {MOST:,} photos; there are {count:,}.")
    known = map_rows.read(catalog.database, model.generation_id)
    if known.is_current and not anew:
        return Mapped(False, len(known.photos))
    photos, vectors = _read_vectors(catalog, model, list(known.photos), progress)
    given = _as_input(known, model, photos, vectors, anew=anew)
    found = computing.compute_apart(given, progress)
    seconds = time.monotonic() - began
    new = set(photos) - known.places.keys()
    placed = set() if found.laid_out else known.placed | new
    map_rows.write(catalog.database, model.generation_id, photos, placed, found, seconds=seconds)
    return Mapped(True, len(photos), int((found.look_alikes.apart > 0).sum()), len(found.look_alikes.pairs))


def _read_vectors(
    catalog: Catalog, model: LiveModel, photos: Sequence[uuid.UUID], progress: Progress
) -> tuple[list[uuid.UUID], Vector]:
    """The photos whose vectors are in the gallery, and these, float32 [n, dim]."""
    vectors = np.empty((len(photos), model.embedder.bundle.dim), np.float32)
    there: list[uuid.UUID] = []
    for start in range(0, len(photos), CHUNK):
        some = photos[start : start + CHUNK]
        with piece():
            found = catalog.gallery.vectors(model.collection, [str(photo) for photo in some])
        for photo in some:
            if (vector := found.get(str(photo))) is not None:
                vectors[len(there)] = vector
                there.append(photo)
        progress(0, computing.PARTS)
    return there, vectors[: len(there)]


def _as_input(
    known: Known, model: LiveModel, photos: Sequence[uuid.UUID], vectors: Vector, *, anew: bool
) -> computing.MapInput:
    thresholds = model.embedder.bundle.thresholds
    numbers = {product: number for number, product in enumerate(dict.fromkeys(known.photos.values()))}
    products = np.array([numbers[known.photos[photo]] for photo in photos], np.int32)
    needed = [max(thresholds.margin, known.margins.get(known.photos[photo], 0)) for photo in photos]
    places = np.full((len(photos), 2), np.nan, np.float32)
    if not anew and known.changed <= CHANGED * len(photos):
        for place, photo in enumerate(photos):
            places[place] = known.places.get(photo, (np.nan, np.nan))
    return computing.MapInput(vectors, products, np.array(needed, np.float32), thresholds.score, places)

"""Resemblance of stored photos of two products: a copy of the same picture, the same pack, or as near as if they were.

What lookalikes.py and checking.py ask of a new photo, asked of two that are in the catalog already.
"""

from __future__ import annotations

from dataclasses import dataclass

from catalog.admission.checking import NEAR
from catalog.admission.lookalikes import AREA, POINTS
from catalog.errors import CatalogError
from catalog.storage import PhotoStore, feature_store
from embedder import matching
from embedder.errors import ImageError
from embedder.matching import ColorGrid, LocalFeatures

#: Photos of two products whose vectors are this near look the same, though too little is printed on them to be sure:
#: in 14 sets of pictures of different products none has another one this near (at 0.95 one in eighty).
VERY_NEAR = 0.97


@dataclass(frozen=True)
class Resemblance:
    """How two photos are alike. `cosine`: of their vectors. `same_picture`: one is a copy of the other.

    `points`: local features that match, where they show the same pack; None where they do not.
    """

    cosine: float
    points: int | None
    same_picture: bool

    @property
    def strength(self) -> tuple[bool, int, float]:
        """The greater, the more certain that both are of one product."""
        return self.same_picture, self.points or 0, self.cosine


class StoredPhotos:
    """Compares stored photos, each of which is read once. For one piece of work: it forgets nothing."""

    def __init__(self, photos: PhotoStore) -> None:
        self._photos = photos
        self._features: dict[str, LocalFeatures] = {}
        self._grids: dict[str, ColorGrid] = {}

    def local(self, photo: str) -> LocalFeatures:
        """The local features of a photo (SHA-256). Raises NotFoundError, StorageError or ImageError."""
        if photo not in self._features:
            self._features[photo] = feature_store.load_or_extract(self._photos, photo)
        return self._features[photo]

    def compare(self, one: str, other: str, cosine: float) -> Resemblance | None:
        """The resemblance of two photos (SHA-256); None when they are not alike, or one can't be read."""
        if one == other:
            return Resemblance(cosine, None, same_picture=True)
        try:
            features, others = self.local(one), self.local(other)
            same = cosine >= NEAR and matching.is_same_picture(self._grid(one), self._grid(other), features, others)
        except (CatalogError, ImageError):  # a lost photo is for `catalog doctor` to report
            return None
        agreement = matching.verify(features, others)
        points = agreement.inliers if agreement.inliers >= POINTS and agreement.area >= AREA else None
        if same or points is not None or cosine >= VERY_NEAR:
            return Resemblance(cosine, points, same)
        return None

    def _grid(self, photo: str) -> ColorGrid:
        if photo not in self._grids:
            self._grids[photo] = matching.color_grid_of_photo(self._photos.get(photo))
        return self._grids[photo]

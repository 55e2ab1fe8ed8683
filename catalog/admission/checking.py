"""Check a photo before it is accepted: quality, near-duplicates in the catalog, closeness to another product.

Warnings about it go to the person or program that adds it; saving anyway overrides them.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select

from catalog.admission import lookalikes
from catalog.admission.lookalikes import LookAlike
from catalog.catalog import Catalog
from catalog.enrollment import ReadPhoto
from catalog.errors import CatalogError, PhotoQuestionableError, PhotoWarning
from catalog.gallery import Hit
from catalog.generations import LiveModel
from catalog.recognition import candidates, decide
from catalog.storage import feature_store
from catalog.storage.tables import Photo, Product
from embedder import images, matching
from embedder.errors import ImageError
from embedder.images.quality import SMALLEST, Fault

log = logging.getLogger(__name__)
#: Near-duplicates: a picture that was saved much smaller still has this cosine, and is among this many nearest.
NEAR, NEAREST = 0.8, 4


@dataclass(frozen=True)
class PhotoCheck:
    """Result of the check of one photo; `like` as in lookalikes.py."""

    warnings: tuple[PhotoWarning, ...] = ()
    like: LookAlike | None = None

    @property
    def codes(self) -> list[str]:
        """Codes of the warnings, for the photo's row."""
        return [warning.code for warning in self.warnings]


def check_photos(
    catalog: Catalog, live: LiveModel, sku: str, photos: Sequence[ReadPhoto], *, compare: bool
) -> list[PhotoCheck]:
    """Check photos that are to be added to a product, whether it exists yet or not -> results, in their order.

    A photo that the product has already gets no warning: it is not added. `compare`: search the gallery, too. While
    that is unavailable, only the other checks are made: warnings are advice, and no reason to turn people away.
    """
    with catalog.database.read() as session:
        own = session.scalar(select(Product.id).where(Product.sku == sku))
        known = set(session.scalars(select(Photo.sha256).where(Photo.product_id == own)))
    asks = compare and _is_ready(catalog, live)
    comparisons = [_Comparison(catalog, live, sku, own, photo) for photo in photos]
    # The gallery is called by this thread: a slow one must not hold up the embedder's threads, which tills wait for.
    listed = [one.shortlist() if asks and one.photo.sha256 not in known else None for one in comparisons]

    def check(place: int) -> _Checked:
        photo = photos[place]
        if photo.sha256 in known:
            return _Checked()
        warnings = [_fault(fault, photo) for fault in images.faults(photo.quality)]
        if not compare:
            return _Checked(warnings)
        for before in range(place):
            if _is_same(photo, photos[before]):
                first = photos[before].filename
                message = f"It is the same picture as {first}, which comes with it: it adds nothing."
                warnings.append(PhotoWarning("same_picture", message, photo=photos[before].sha256))
                break
        compared = comparisons[place].compare(listed[place])
        return _Checked([*warnings, *compared.warnings], compared.like, compared.alone)

    results = []
    for one, checked in zip(comparisons, list(live.embedder.map(check, range(len(photos)))), strict=True):
        close = one.find_close() if checked.alone else None
        results.append(PhotoCheck((*checked.warnings, *([close] if close else [])), checked.like))
    return results


def refuse(photos: Sequence[ReadPhoto], checked: Sequence[PhotoCheck]) -> None:
    """Raises PhotoQuestionableError for the first photo with a warning; its `rejected` has all of them."""
    found = [
        PhotoQuestionableError(photo.filename, check.warnings, sha256=photo.sha256)
        for photo, check in zip(photos, checked, strict=True)
        if check.warnings
    ]
    if found:
        found[0].rejected = list(found)
        raise found[0]


def _fault(fault: Fault, photo: ReadPhoto) -> PhotoWarning:
    sentences = {
        "too_small": f"It is too small: {photo.width} x {photo.height} pixels, and a product needs {SMALLEST}.",
        "too_dark": "It is too dark: take it in more light.",
        "too_bright": "It is too bright: colors are burnt out.",
        "too_blurred": "It is blurred: hold still, and let the camera focus.",
    }
    return PhotoWarning(fault, sentences[fault])


def _is_same(photo: ReadPhoto, other: ReadPhoto) -> bool:
    return matching.is_same_picture(photo.cells, other.cells, photo.features.local, other.features.local)


def _is_ready(catalog: Catalog, live: LiveModel) -> bool:
    try:
        catalog.generations.ensure_collection(live)
    except CatalogError as error:
        log.warning("photos are not compared with the gallery's: %s", error)
        return False
    return True


@dataclass(frozen=True)
class _Checked:
    """What a photo was found to be like; `alone`: it is like no other photo, but may be near another product."""

    warnings: list[PhotoWarning] = field(default_factory=list)
    like: LookAlike | None = None
    alone: bool = False


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Compares one photo with the catalog's: same picture, same pack, near another product. Raises no CatalogError.

    `own` is the id of its product, None before it exists.
    """

    catalog: Catalog
    live: LiveModel
    sku: str
    own: uuid.UUID | None
    photo: ReadPhoto

    def shortlist(self) -> list[Hit] | None:
        """The photos in the gallery to compare it with; None when that can't be asked."""
        extracted = self.photo.features
        try:
            return self.catalog.gallery.shortlist(
                self.live.collection, extracted.vector, extracted.words, lookalikes.LISTED
            )
        except CatalogError as error:
            self._note(error)
            return None

    def compare(self, listed: Sequence[Hit] | None) -> _Checked:
        """Compare it with the photos of its very content, and with those that are `listed`."""
        try:
            like = lookalikes.same_file(self.catalog.database, self.own, self.photo.sha256)
            if like is not None:
                return _Checked([self._same_picture(like.sku, like.name, like.photo, 1.0)], like)
            if listed is None:
                return _Checked()
            found = self._find_same(listed)
            like = lookalikes.same_pack(self.catalog, self.own, self.photo.features, listed)
        except CatalogError as error:
            self._note(error)
            return _Checked()
        warnings = [found] if found else []
        others = {warning.sku for warning in warnings} - {self.sku}
        if like is not None and like.sku not in others:
            warnings.append(_same_pack(like))
        return _Checked(warnings, like, alone=like is None and not others)

    def find_close(self) -> PhotoWarning | None:
        """A warning when the photo's vector alone would match another product."""
        try:
            matches = candidates.nearest_products(self.catalog, self.live, self.photo.features.vector)
        except CatalogError as error:
            self._note(error)
            return None
        if decide(matches, self.live.embedder.bundle.thresholds) != "match" or matches[0].sku == self.sku:
            return None
        first = matches[0]
        message = f"It looks like {first.name} ({first.sku}), and would be recognized as that: {first.score:.2f} of 1."
        return PhotoWarning("close_to_other", message, first.sku, first.name, first.photo, round(first.score, 4))

    def _note(self, error: CatalogError) -> None:
        log.warning("photo %s was not compared with others: %s", self.photo.sha256[:12], error)

    def _find_same(self, hits: Sequence[Hit]) -> PhotoWarning | None:
        near = sorted((hit for hit in hits if hit.score >= NEAR), key=lambda hit: -hit.score)[:NEAREST]
        facts = candidates.facts_of(self.catalog.database, near)
        for hit in near:
            row = facts.get(hit.id)
            if row is not None and self._shows_same(row):
                return self._same_picture(row.sku, row.name, row.sha256, hit.score)
        return None

    def _shows_same(self, row: Row[Any]) -> bool:
        try:
            stored = matching.color_grid_of_photo(self.catalog.photos.get(row.sha256))
            others = feature_store.load(self.catalog.photos, row.sha256)
        except (CatalogError, ImageError):  # a lost photo is for `catalog doctor` to report
            return False
        return matching.is_same_picture(self.photo.cells, stored, self.photo.features.local, others)

    def _same_picture(self, sku: str, name: str, photo: str, cosine: float) -> PhotoWarning:
        message = (
            "The product has this picture already: it adds nothing."
            if sku == self.sku
            else f"The same picture is in the catalog as {name} ({sku}): it would be answered as either."
        )
        return PhotoWarning("same_picture", message, sku, name, photo, round(cosine, 4))


def _same_pack(like: LookAlike) -> PhotoWarning:
    message = f"It seems to show the same pack as {like.name} ({like.sku}): {like.points} printed details agree."
    return PhotoWarning("same_pack", message, like.sku, like.name, like.photo, points=like.points)

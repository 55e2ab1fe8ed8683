"""Comparing the photos of products in the background, a few at a time, to find those that are in the catalog twice.

A photo is compared once in a generation, with the photos of other products that the gallery shortlists for it, by
vector and visual words, as when it is added. What was found is kept in SQL, so the page of duplicates reads a table. A
change by a person writes nothing here.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from catalog.admission import Resemblance, StoredPhotos
from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.gallery import Hit, Vector
from catalog.generations import LiveModel
from catalog.margins import PAGE
from catalog.progress import Progress, Steps, no_progress
from catalog.recognition import candidates
from catalog.right_of_way import piece
from catalog.storage import Database
from catalog.storage.tables import ComparedPhoto, Enrollment, LookAlikePair, Photo, Product
from embedder.errors import ImageError
from embedder.matching import VisualWords

#: Photos that the gallery shortlists for a photo, and other products that it is compared with, at most.
LISTED, COMPARED = 32, 6
#: Photos that are compared before the background goes on with other work: about 0.1 s of CPU.
SLICE = 4
#: Photos of a product after which what was read of others is forgotten: local features of a photo are some 100 kB.
KEPT = 32
#: Seconds between two looks for photos that were not compared yet, while there are none.
LOOK_EVERY = 30.0

#: A pair of products, the lesser id first.
Pair = tuple[uuid.UUID, uuid.UUID]


def pair_of(one: uuid.UUID, other: uuid.UUID) -> Pair:
    """Two products in the order that they are stored in."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True)
class _Alike:
    """How two products are alike, by a photo of each, in the order of their pair."""

    photos: tuple[uuid.UUID, uuid.UUID]
    how: Resemblance


class _Product:
    """A product whose photos are compared, SLICE at a time. `is_done`: none of them is left."""

    def __init__(self, catalog: Catalog, product_id: uuid.UUID) -> None:
        self.id, self.is_done = product_id, False
        self._catalog = catalog
        self._photos = _count_photos(catalog.database, product_id)
        self._after: uuid.UUID | None = None  # the last photo that was compared
        self._stored, self._read = StoredPhotos(catalog.photos), 0

    def compare_slice(self, model: LiveModel) -> int:
        """Compare the next photos that were not compared yet, in the order of their ids; returns how many.

        Raises GalleryError. The gallery is asked, and photos are read, outside of any transaction.
        """
        catalog = self._catalog
        photos = _uncompared(catalog.database, model.generation_id, self.id, self._after)
        if self._read >= KEPT:
            self._stored, self._read = StoredPhotos(catalog.photos), 0
        self._read += len(photos)
        vectors = catalog.gallery.vectors(model.collection, [str(identity) for identity in photos])
        found: dict[Pair, _Alike] = {}
        for name, vector in vectors.items():
            with piece():
                self._compare(model, uuid.UUID(name), photos[uuid.UUID(name)], vector, found)
        with piece():
            _write(catalog.database, model.generation_id, self.id, [uuid.UUID(name) for name in vectors], found)
        self._after, self.is_done = max(photos, default=None), len(photos) < SLICE
        return len(vectors)

    def _compare(
        self, model: LiveModel, identity: uuid.UUID, photo: str, vector: Vector, found: dict[Pair, _Alike]
    ) -> None:
        """Add to `found` how a photo (SHA-256) is like those of other products."""
        catalog = self._catalog
        words = _words(model, self._stored, photo)
        # Its own photos may all be nearer than any other product's.
        hits = catalog.gallery.shortlist(model.collection, vector, words, LISTED + self._photos)
        near = _first_of_others(hits, self.id)
        facts = candidates.facts_of(catalog.database, near)
        for hit in near:
            how = self._stored.compare(photo, facts[hit.id].sha256, hit.score) if hit.id in facts else None
            if how is not None:
                _keep_best(found, (self.id, identity), (uuid.UUID(hit.product), uuid.UUID(hit.id)), how)


class Comparing:
    """The serving process's part: SLICE photos a call, and a look for more every LOOK_EVERY seconds."""

    def __init__(self) -> None:
        self._waiting: list[uuid.UUID] = []
        self._product: _Product | None = None  # whose photos are not all compared
        self._look_at = 0.0

    def run(self, catalog: Catalog) -> int:
        """Compare the next photos, if any, and if no other process is at it; returns how many.

        Raises GalleryError, or what `Generations.ready` does.
        """
        if self._product is None and not self._waiting and time.monotonic() < self._look_at:
            return 0
        with catalog.database.alone() as alone:
            if not alone:
                return 0
            model = catalog.generations.ready()
            if self._product is None and not self._waiting:
                self._look_at = time.monotonic() + LOOK_EVERY
                self._waiting = look(catalog.database, model.generation_id)
            product, self._product = self._product, None
            if product is None:
                if not self._waiting:
                    return 0
                product = _Product(catalog, self._waiting.pop())
            # Kept afterwards: one that can't be compared does not keep the others from it.
            compared = product.compare_slice(model)
            self._product = None if product.is_done else product
            return compared


def compare_all(catalog: Catalog, progress: Progress = no_progress) -> int:
    """Compare every photo that was not compared yet; returns how many. `progress` counts products. Raises GalleryError.

    If it is killed, the next run continues where it ended. Waits while another process does this.
    """
    with catalog.database.alone(wait=True):
        model = catalog.generations.ready()
        waiting = look(catalog.database, model.generation_id)
        steps, total = Steps(progress, len(waiting)), 0
        for product_id in waiting:
            total += compare_product(catalog, model, product_id)
            steps.advance()
        return total


def look(database: Database, generation_id: int) -> list[uuid.UUID]:
    """Forget what was found of photos that are gone, and list the active products with photos not compared yet."""
    _forget_gone(database, generation_id)
    with database.read() as session:
        known = exists().where(
            ComparedPhoto.generation_id == generation_id, ComparedPhoto.photo_id == Enrollment.photo_id
        )
        query = (
            select(Photo.product_id)
            .select_from(Enrollment)
            .join(Photo, Photo.id == Enrollment.photo_id)
            .join(Product, Product.id == Photo.product_id)
            .where(Enrollment.generation_id == generation_id, Enrollment.done, Product.active, ~known)
        )
        return list(session.scalars(query.distinct().order_by(Photo.product_id)))


def compare_product(catalog: Catalog, model: LiveModel, product_id: uuid.UUID) -> int:
    """Compare a product's photos that were not compared yet; returns how many. Raises GalleryError."""
    product, total = _Product(catalog, product_id), 0
    while not product.is_done:
        total += product.compare_slice(model)
    return total


def _words(model: LiveModel, stored: StoredPhotos, photo: str) -> VisualWords | None:
    """The visual words of a photo; None where the model has none, or the photo can't be read."""
    if model.embedder.vocabulary is None:
        return None
    try:
        return model.embedder.vocabulary.encode(stored.local(photo))
    except (CatalogError, ImageError):  # a lost photo is for `catalog doctor` to report
        return None


def _uncompared(
    database: Database, generation_id: int, product_id: uuid.UUID, after: uuid.UUID | None
) -> dict[uuid.UUID, str]:
    """SLICE photos (SHA-256 by id) of a product in the gallery that were not compared; none of a retired product."""
    known = exists().where(ComparedPhoto.generation_id == generation_id, ComparedPhoto.photo_id == Photo.id)
    query = (
        select(Photo.id, Photo.sha256)
        .join(Product, Product.id == Photo.product_id)
        .join(Enrollment, Enrollment.photo_id == Photo.id)
        .where(Photo.product_id == product_id, Product.active, ~known)
        .where(Enrollment.generation_id == generation_id, Enrollment.done)
        .order_by(Photo.id)
        .limit(SLICE)
    )
    if after is not None:
        query = query.where(Photo.id > after)
    with database.read() as session:
        return dict(session.execute(query).all())


def _count_photos(database: Database, product_id: uuid.UUID) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(Photo.product_id == product_id)) or 0


def _first_of_others(hits: Sequence[Hit], product_id: uuid.UUID) -> list[Hit]:
    """The first photo of each of at most COMPARED other products, of hits, best first."""
    first: dict[str, Hit] = {}
    for hit in hits:
        if hit.product != str(product_id):
            first.setdefault(hit.product, hit)
    return list(first.values())[:COMPARED]


def _keep_best(
    found: dict[Pair, _Alike], one: tuple[uuid.UUID, uuid.UUID], other: tuple[uuid.UUID, uuid.UUID], how: Resemblance
) -> None:
    """Keep the resemblance of two (product, photo) if it is the strongest of these products."""
    pair = pair_of(one[0], other[0])
    photos = (one[1], other[1]) if pair[0] == one[0] else (other[1], one[1])
    if pair not in found or found[pair].how.strength < how.strength:
        found[pair] = _Alike(photos, how)


def _write(
    database: Database,
    generation_id: int,
    product_id: uuid.UUID,
    compared: Sequence[uuid.UUID],
    found: Mapping[Pair, _Alike],
) -> None:
    with database.write() as session:
        session.add_all(
            ComparedPhoto(generation_id=generation_id, photo_id=identity, product_id=product_id)
            for identity in compared
        )
        for (one_id, other_id), alike in found.items():
            how = alike.how
            known = session.get(LookAlikePair, (generation_id, one_id, other_id))
            if known is not None:
                if Resemblance(known.cosine, known.points, known.same_picture).strength >= how.strength:
                    continue
                session.delete(known)
                session.flush()
            session.add(
                LookAlikePair(
                    generation_id=generation_id,
                    one_id=one_id,
                    other_id=other_id,
                    one_photo=alike.photos[0],
                    other_photo=alike.photos[1],
                    cosine=how.cosine,
                    points=how.points,
                    same_picture=how.same_picture,
                )
            )


def _forget_gone(database: Database, generation_id: int) -> None:
    """Forget photos that left the gallery, and pairs that were found by them; the other photos are compared again.

    A pair may name a photo that was never compared itself: the other product's photo found it.
    """
    compared, pairs = (kind.generation_id == generation_id for kind in (ComparedPhoto, LookAlikePair))
    lost = or_(*(_has_left(generation_id, photo) for photo in (LookAlikePair.one_photo, LookAlikePair.other_photo)))
    with database.read() as session:
        left = _has_left(generation_id, ComparedPhoto.photo_id)
        gone = list(session.scalars(select(ComparedPhoto.photo_id).where(compared, left)))
        apart = session.execute(select(LookAlikePair.one_id, LookAlikePair.other_id).where(pairs, lost)).all()
    if not gone and not apart:
        return
    with database.write() as session:
        for start in range(0, len(gone), PAGE):
            ids = gone[start : start + PAGE]
            session.execute(delete(ComparedPhoto).where(compared, ComparedPhoto.photo_id.in_(ids)))
        for start in range(0, len(apart), PAGE):
            named = tuple_(LookAlikePair.one_id, LookAlikePair.other_id).in_(map(tuple, apart[start : start + PAGE]))
            session.execute(delete(LookAlikePair).where(pairs, named))
        _compare_again(session, generation_id, list({product for pair in apart for product in pair}))


def _has_left(generation_id: int, photo: InstrumentedAttribute[uuid.UUID]) -> ColumnElement[bool]:
    return ~exists().where(Enrollment.generation_id == generation_id, Enrollment.photo_id == photo)


def _compare_again(session: Session, generation_id: int, products: Sequence[uuid.UUID]) -> None:
    for start in range(0, len(products), PAGE):
        of_these = ComparedPhoto.product_id.in_(products[start : start + PAGE])
        session.execute(delete(ComparedPhoto).where(ComparedPhoto.generation_id == generation_id, of_these))

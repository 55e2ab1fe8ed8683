"""The queries of a judgement, drawn from what the catalog knows the answer of."""

from __future__ import annotations

import hashlib
import heapq
import uuid
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from catalog.storage.tables import Enrollment, Feedback, GoldenPhoto, InboxPhoto, JudgedQuery, Photo, Product

#: Reference photos that are asked, at most, and the seed that they are drawn by: the same ones while the catalog stays
#: the same.
PHOTOS, SEED = 2000, 1
#: Photos that are read at once.
PAGE = 500
#: Photos of tills that are asked, at most: the newest.
TILL_PHOTOS = 500


def draw_queries(session: Session, generation_id: int) -> Iterator[JudgedQuery]:
    """What a generation and the live one are to be asked. Photos of tills come first: they leave the inbox by age."""
    drawn = (*_till_photos(session), *_golden_photos(session), *_reference_photos(session, generation_id))
    for number, values in enumerate(drawn):
        yield JudgedQuery(generation_id=generation_id, number=number, **values)


def _till_photos(session: Session) -> Iterator[dict[str, Any]]:
    """Photos of the inbox that a person called none of ours, or of which somebody said what they show."""
    said = (Feedback.recognition_id == InboxPhoto.id) & Feedback.correct.is_(False)
    query = (
        select(InboxPhoto.id, InboxPhoto.ours, Feedback.sku.label("told"), Product.id.label("product_id"), Product.sku)
        .outerjoin(Feedback, said)
        .outerjoin(Product, (Product.sku == Feedback.sku) & Product.active)
        .where(or_(~InboxPhoto.ours, Feedback.id.is_not(None)))
        .order_by(InboxPhoto.at.desc(), InboxPhoto.id, Feedback.id.desc())
        .limit(TILL_PHOTOS)
    )
    seen = set()
    for row in session.execute(query):
        if row.id in seen:  # said several times, in a catalog of an older version: the last one counts
            continue
        seen.add(row.id)
        if not row.ours or not row.told:
            yield {"kind": "till", "photo_id": row.id}
        elif row.product_id is not None:
            yield {"kind": "till", "photo_id": row.id, "product_id": row.product_id, "sku": row.sku}


def _golden_photos(session: Session) -> Iterator[dict[str, Any]]:
    """All of them, but those of a product that is retired or gone."""
    query = select(GoldenPhoto, Product.sku).outerjoin(Product, (Product.id == GoldenPhoto.product_id) & Product.active)
    for photo, sku in session.execute(query.order_by(GoldenPhoto.id)):
        if photo.product_id is None or sku is not None:
            values = {"photo_id": photo.id, "sha256": photo.sha256, "product_id": photo.product_id, "sku": sku or ""}
            yield {"kind": "golden", **values}


def _reference_photos(session: Session, generation_id: int) -> Iterator[dict[str, Any]]:
    enrolled = (Enrollment.photo_id == Photo.id) & (Enrollment.generation_id == generation_id) & Enrollment.done
    query = select(Photo.product_id, Photo.id).join(Enrollment, enrolled).join(Product, Product.id == Photo.product_id)
    in_order = query.where(Product.active).order_by(Photo.product_id, Photo.id)
    rows = session.execute(in_order.execution_options(yield_per=PAGE))
    drawn = evenly(((row.product_id, row.id) for row in rows), PHOTOS)
    columns = select(Photo.id, Photo.product_id, Photo.sha256, Product.sku).join(Product)
    for start in range(0, len(drawn), PAGE):
        ids = drawn[start : start + PAGE]
        found = {row.id: row for row in session.execute(columns.where(Photo.id.in_(ids)))}
        for identity in ids:
            if (row := found.get(identity)) is not None:
                yield {
                    "kind": "catalog",
                    "photo_id": row.id,
                    "sha256": row.sha256,
                    "product_id": row.product_id,
                    "sku": row.sku,
                }


def evenly(photos: Iterable[tuple[uuid.UUID, uuid.UUID]], limit: int) -> list[uuid.UUID]:
    """At most `limit` photos, drawn by SEED: one of each product, then a second one, ...

    `photos`: product and photo (ids), product by product; of a million no more are kept in memory than are drawn.
    """

    def by_turn() -> Iterator[tuple[int, bytes, uuid.UUID]]:
        for _, each in groupby(photos, key=lambda pair: pair[0]):
            chances = sorted((_chance(photo), photo) for _, photo in each)
            yield from ((turn, chance, photo) for turn, (chance, photo) in enumerate(chances))

    return [photo for _, _, photo in heapq.nsmallest(limit, by_turn())]


def _chance(photo: uuid.UUID) -> bytes:
    """The photo's lot: the same one while the seed is."""
    return hashlib.blake2b(photo.bytes, digest_size=8, salt=SEED.to_bytes(16, "big")).digest()

"""The queries of a judgement, drawn from what the catalog knows the answer of."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from catalog.storage.tables import Enrollment, Feedback, GoldenPhoto, InboxPhoto, JudgedQuery, Photo, Product

#: Reference photos that are asked, at most, and the seed that they are drawn by: the same ones while the catalog stays
#: the same.
PHOTOS, SEED = 2000, 1
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
    columns = select(Photo.id, Photo.product_id, Photo.sha256, Product.sku)
    query = columns.join(Enrollment, enrolled).join(Product, Product.id == Photo.product_id).where(Product.active)
    for row in evenly(session.execute(query.order_by(Photo.id)).all(), PHOTOS):
        yield {
            "kind": "catalog",
            "photo_id": row.id,
            "sha256": row.sha256,
            "product_id": row.product_id,
            "sku": row.sku,
        }


def evenly(photos: Sequence[Any], limit: int) -> list[Any]:
    """At most `limit` photos (rows with a `product_id`), drawn by SEED: one of each product, then a second one, ..."""
    drawn = list(photos)
    random.Random(SEED).shuffle(drawn)  # noqa: S311 - no secret: the same sample is wanted again
    turns: Counter[Any] = Counter()
    turn_of = []
    for photo in drawn:
        turn_of.append(turns[photo.product_id])
        turns[photo.product_id] += 1
    order = sorted(range(len(drawn)), key=turn_of.__getitem__)
    return [drawn[place] for place in order[:limit]]

"""Rows of answers and of margins: which photos have yet to be asked, what was answered, what follows from it.

Only the background and commands write here, one process at a time (`Database.alone`): a photo that one asks can't be
marked stale by another meanwhile, and lose the mark. A change by a person writes nothing but a note (`note_change`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from catalog.margins.fitting import Answer, fit_margin
from catalog.margins.leaving_out import LeftOut
from catalog.storage import Database
from catalog.storage.tables import Enrollment, LeftOutAnswer, MarginDue, Photo, Product, ProductMargin

#: Ids per SQL statement.
PAGE = 500


@dataclass(frozen=True)
class Aim:
    """What the margins of a generation aim at: `usual` is the bundle's margin, `rate` the share of wrong matches."""

    generation_id: int
    usual: float
    rate: float


@dataclass(frozen=True)
class Unasked:
    """The photos of a product that are in the gallery (`since`: when each came there), and those not yet asked.

    `fresh`: the ones among `unasked` that were never asked: what is near them was asked without them.
    """

    since: dict[uuid.UUID, datetime]
    unasked: list[uuid.UUID]
    fresh: set[uuid.UUID]


def note_change(session: Session, product_id: uuid.UUID) -> None:
    """Note, in the transaction of a change, that a product's photos change."""
    session.add(MarginDue(product_id=product_id))


def settle_changes(database: Database, aim: Aim, limit: int = 100) -> int:
    """Remove the answers of photos that are gone, and mark stale what else noted changes touch; returns how many notes.

    In all generations, so that one can be gone back to. A change whose photos are still pending waits for them.
    """
    pending = exists().where(
        Photo.product_id == MarginDue.product_id,
        Enrollment.photo_id == Photo.id,
        Enrollment.generation_id == aim.generation_id,
        ~Enrollment.done,
        Enrollment.attempts <= 0,  # a photo that can't be read would be waited for in vain
    )
    with database.read() as session:
        query = select(MarginDue.id, MarginDue.product_id).where(~pending).order_by(MarginDue.id).limit(limit)
        notes = dict(session.execute(query).all())
    if not notes:
        return 0
    changed = set(notes.values())
    gone = ~exists().where(
        Enrollment.photo_id == LeftOutAnswer.photo_id, Enrollment.generation_id == LeftOutAnswer.generation_id
    )
    with database.write() as session:
        of_changed = LeftOutAnswer.product_id.in_(changed)
        named = session.execute(
            delete(LeftOutAnswer).where(of_changed, gone).returning(LeftOutAnswer.generation_id, LeftOutAnswer.first_id)
        )
        touched = {first_id for generation, first_id in named if generation == aim.generation_id}
        concerned = or_(of_changed, LeftOutAnswer.first_id.in_(changed), LeftOutAnswer.second_id.in_(changed))
        session.execute(update(LeftOutAnswer).where(concerned).values(stale=True))
        _fit(session, aim, touched | changed)
        session.execute(delete(MarginDue).where(MarginDue.id.in_(list(notes))))
    return len(notes)


def products_to_ask(database: Database, generation_id: int) -> list[uuid.UUID]:
    """Active products with a photo in the gallery that was not asked yet, or whose answer is stale."""
    with database.read() as session:
        query = _enrolled(generation_id).with_only_columns(Photo.product_id)
        query = query.where(or_(LeftOutAnswer.photo_id.is_(None), LeftOutAnswer.stale))
        return list(session.scalars(query.distinct().order_by(Photo.product_id)))


def unasked_photos(database: Database, generation_id: int, product_id: uuid.UUID) -> Unasked:
    """The photos of a product, as `Unasked` says; none of them for a product that is retired or gone."""
    with database.read() as session:
        rows = session.execute(_enrolled(generation_id).where(Photo.product_id == product_id)).all()
    return Unasked(
        {row.id: row.updated_at for row in rows},
        [row.id for row in rows if row.stale is None or row.stale],
        {row.id for row in rows if row.stale is None},
    )


def _enrolled(generation_id: int) -> Select[uuid.UUID, datetime, bool]:
    """Select photos of active products in the gallery (id, since when), and whether their answer is stale (or NULL)."""
    asked = (LeftOutAnswer.photo_id == Photo.id) & (LeftOutAnswer.generation_id == generation_id)
    return (
        select(Photo.id, Enrollment.updated_at, LeftOutAnswer.stale)
        .select_from(Enrollment)
        .join(Photo, Photo.id == Enrollment.photo_id)
        .join(Product, Product.id == Photo.product_id)
        .outerjoin(LeftOutAnswer, asked)
        .where(Enrollment.generation_id == generation_id, Enrollment.done, Product.active)
    )


def keep_answers(
    database: Database,
    aim: Aim,
    product_id: uuid.UUID,
    answers: Mapping[uuid.UUID, LeftOut],
    photos: Unasked,
    asked_at: datetime,
) -> None:
    """Store a product's answers, mark stale those that were given without its fresh photos, and fit what they name.

    A photo that was removed since it was asked is left out.
    """
    with database.write() as session:
        there = select(Enrollment.photo_id).where(Enrollment.generation_id == aim.generation_id)
        pages = _pages(list(answers))
        still = {identity for ids in pages for identity in session.scalars(there.where(Enrollment.photo_id.in_(ids)))}
        answers = {identity: answer for identity, answer in answers.items() if identity in still}
        mine = LeftOutAnswer.generation_id == aim.generation_id
        touched: set[uuid.UUID | None] = {product_id}
        for ids in _pages(list(answers)):
            old = delete(LeftOutAnswer).where(mine, LeftOutAnswer.photo_id.in_(ids)).returning(LeftOutAnswer.first_id)
            touched |= set(session.scalars(old))
        rows = [
            LeftOutAnswer(
                generation_id=aim.generation_id,
                photo_id=identity,
                product_id=product_id,
                first_id=_as_uuid(answer.first),
                second_id=_as_uuid(answer.second),
                margin=answer.margin,
                asked_at=asked_at,
            )
            for identity, answer in answers.items()
        ]
        session.add_all(rows)
        session.flush()
        if fresh := photos.fresh & answers.keys():
            # One cutoff for all of them: a statement for each photo took most of a full computation's time.
            newest = max(photos.since[identity] for identity in fresh)
            earlier = update(LeftOutAnswer).where(mine, LeftOutAnswer.asked_at < newest).values(stale=True)
            session.execute(earlier.where(LeftOutAnswer.product_id == product_id))
            near = set().union(*(answers[identity].near for identity in fresh))
            for ids in _pages(sorted(uuid.UUID(other) for other in near)):
                session.execute(earlier.where(LeftOutAnswer.photo_id.in_(ids)))
        _fit(session, aim, touched | {row.first_id for row in rows})


def fit_all(database: Database, aim: Aim) -> None:
    """Fit every margin of a generation from its answers: for another rate, or a generation that has become live."""
    with database.read() as session:
        answers = _answers(session, aim.generation_id, None)
        before = {row.product_id: row for row in session.scalars(_of(aim.generation_id))}
    fitted = {row.product_id: row for product, found in answers.items() if (row := _fitted(aim, product, found))}
    if {product: _facts(row) for product, row in before.items()} == {p: _facts(row) for p, row in fitted.items()}:
        return
    with database.write() as session:
        session.execute(delete(ProductMargin).where(ProductMargin.generation_id == aim.generation_id))
        known = _answers(session, aim.generation_id, None)
        session.add_all(row for product, found in known.items() if (row := _fitted(aim, product, found)))


def forget_answers(database: Database, generation_id: int) -> None:
    """Mark every answer of a generation stale, so that all photos are asked anew; the margins stay meanwhile."""
    with database.write() as session:
        mine = LeftOutAnswer.generation_id == generation_id
        session.execute(update(LeftOutAnswer).where(mine).values(stale=True))


def wrong_margins(database: Database, aim: Aim) -> list[uuid.UUID]:
    """Products whose stored margin is not what the stored answers say."""
    with database.snapshot() as connection, Session(connection) as session:
        answers = _answers(session, aim.generation_id, None)
        stored = {row.product_id: _facts(row) for row in session.scalars(_of(aim.generation_id))}
    right = {product: _facts(row) for product, found in answers.items() if (row := _fitted(aim, product, found))}
    return sorted(product for product in stored.keys() | right.keys() if stored.get(product) != right.get(product))


def _fit(session: Session, aim: Aim, products: Iterable[uuid.UUID | None]) -> None:
    """Fit the margins of these products of the generation anew."""
    for ids in _pages(sorted(product for product in set(products) if product is not None)):
        answers = _answers(session, aim.generation_id, ids)
        mine = ProductMargin.generation_id == aim.generation_id
        session.execute(delete(ProductMargin).where(mine, ProductMargin.product_id.in_(ids)))
        session.add_all(row for product in ids if (row := _fitted(aim, product, answers.get(product, []))))
        session.flush()


def _answers(
    session: Session, generation_id: int, products: Sequence[uuid.UUID] | None
) -> dict[uuid.UUID, list[Answer]]:
    """The answers that name each product (None: every one) that has two photos or more."""
    mine = LeftOutAnswer.generation_id == generation_id
    several = select(LeftOutAnswer.product_id).where(mine).group_by(LeftOutAnswer.product_id)
    several = several.having(func.count() > 1)
    query = select(LeftOutAnswer.first_id, LeftOutAnswer.product_id, LeftOutAnswer.margin).where(mine)
    if products is None:
        query = query.where(LeftOutAnswer.first_id.in_(several))
    else:
        several = several.where(LeftOutAnswer.product_id.in_(products))
        query = query.where(LeftOutAnswer.first_id.in_(several), LeftOutAnswer.first_id.in_(products))
    found: dict[uuid.UUID, list[Answer]] = {}
    query = query.where(LeftOutAnswer.margin.is_not(None)).order_by(LeftOutAnswer.photo_id)
    for first, product, margin in session.execute(query):
        if first is not None and margin is not None:
            found.setdefault(first, []).append(Answer(margin, first == product, product))
    return found


def _fitted(aim: Aim, product_id: uuid.UUID, answers: Sequence[Answer]) -> ProductMargin | None:
    fitted = fit_margin(answers, aim.usual, aim.rate)
    if fitted is None or not isinstance(fitted.rival, uuid.UUID):
        return None
    return ProductMargin(
        generation_id=aim.generation_id,
        product_id=product_id,
        margin=fitted.margin,
        rival_id=fitted.rival,
        matches=fitted.matches,
        wrong=fitted.wrong,
    )


def _of(generation_id: int) -> Select[ProductMargin]:
    return select(ProductMargin).where(ProductMargin.generation_id == generation_id)


def _facts(row: ProductMargin) -> tuple[object, ...]:
    return round(row.margin, 9), row.rival_id, row.matches, row.wrong


def _as_uuid(identity: str | None) -> uuid.UUID | None:
    return None if identity is None else uuid.UUID(identity)


def _pages(ids: Sequence[uuid.UUID]) -> Iterable[Sequence[uuid.UUID]]:
    return (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))

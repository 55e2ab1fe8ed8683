"""Which products need work, and what to do: read from what is in SQL already, so that it is right at any moment.

What a product is mistaken for at first look is told by the answers that catalog/margins keeps for every photo, its own
visit left out. They follow each change within seconds, without a run over the catalog. Whether it is found by its own
photos, with the second look, and which photo would help, is told by the last coverage, as long as its photos are those
that were examined, by the model that is live.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, ScalarSelect, Select, String, case, cast, exists, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from catalog.normalization import no_product, normalized_sku
from catalog.storage import Database, product_rows
from catalog.storage.tables import (
    Feedback,
    Generation,
    LeftOutAnswer,
    Photo,
    Product,
    ProductCoverage,
    RecognitionEntry,
    now,
)

Reason = Literal["judged_wrong", "no_photo", "mistaken", "not_found", "one_visit", "advised", "overruled"]

#: Days of feedback that count, where no photo was added since.
DAYS = 30
#: The reasons by weight: what makes tills answer wrongly now comes first.
WEIGHT: dict[Reason, int] = {
    "judged_wrong": 1000,
    "no_photo": 300,
    "mistaken": 100,
    "not_found": 60,
    "one_visit": 10,
    "advised": 5,
    "overruled": 1,
}
#: Advice of coverage that the other reasons give already, each by itself, from what is there now.
TOLD = {"no_photo", "one_photo", "not_found"}


@dataclass(frozen=True)
class Need:
    """Why a product needs work: how many times, of how many photos or answers."""

    reason: Reason
    times: int = 1
    of: int = 1


@dataclass(frozen=True)
class Shown:
    """A product as a list shows it. `photo`: SHA-256 of its cover, "" without one."""

    sku: str
    name: str
    photo: str


@dataclass(frozen=True)
class Examined:
    """What the last coverage found of a product whose photos have not changed since: `found` of `asked` photos find it.

    `advice`: a sentence each, of which photo would help.
    """

    at: datetime
    asked: int
    found: int
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """A product that needs work, the most urgent need first; `mistaken_for`: the product that its photos name most.

    `examined` is None until coverage has seen its photos.
    """

    product: Shown
    needs: tuple[Need, ...]
    mistaken_for: Shown | None
    examined: Examined | None = None


@dataclass(frozen=True)
class Worklist:
    """A page of products that need work, the most urgent first.

    `total` counts all pages; `found` is how many of `asked` photos of products with several visits find their own
    product, each without its visit.
    """

    work: list[Work]
    total: int
    found: int
    asked: int


@dataclass
class _Case:
    needs: dict[Reason, Need] = field(default_factory=dict)

    @property
    def urgency(self) -> float:
        shares = ("mistaken", "not_found")
        return sum(WEIGHT[need.reason] * need.times / (need.of if need.reason in shares else 1) for need in self.all)

    @property
    def all(self) -> list[Need]:
        return sorted(self.needs.values(), key=lambda need: -WEIGHT[need.reason])


_Cases = defaultdict[uuid.UUID, _Case]
#: Products that are asked for; all of them if None.
_Only = Sequence[uuid.UUID] | None


def list_work(database: Database, *, start: int = 0, limit: int = 24) -> Worklist:
    """Active products that need work: at most `limit`, from the `start`-th on."""
    with database.read() as session:
        cases, found, asked = _read(session)
        retired = set(session.scalars(select(Product.id).where(Product.active.is_(False))))
        urgent = sorted((one for one in cases if one not in retired), key=lambda one: (-cases[one].urgency, one))
        page = urgent[start : start + limit]
        work = _work(session, cases, page)
    return Worklist(work, len(urgent), found, asked)


def get_work(database: Database, sku: str) -> Work:
    """What one product needs, which may be nothing. Raises NotFoundError."""
    with database.read() as session:
        product = session.scalar(select(Product.id).where(Product.sku == normalized_sku(sku)))
        if product is None:
            raise no_product(sku)
        return _work(session, _read(session, [product])[0], [product])[0]


def _read(session: Session, only: _Only = None) -> tuple[_Cases, int, int]:
    """All that speaks for work, by product; how many photos find their product, and of how many."""
    cases: _Cases = defaultdict(_Case)
    found, asked = _read_answers(session, cases, only)
    _read_photos(session, cases, only)
    _read_feedback(session, cases, only)
    _read_coverage(session, cases, only)
    return cases, found, asked


def _work(session: Session, cases: _Cases, page: Sequence[uuid.UUID]) -> list[Work]:
    """These products, but for those that were deleted since their photos were answered."""
    examined, other_rivals = _read_examined(session, page)
    rivals = other_rivals | _read_rivals(session, page)
    shown = _shown(session, [*page, *rivals.values()])
    return [
        Work(shown[one], tuple(cases[one].all), shown.get(rivals[one]) if one in rivals else None, examined.get(one))
        for one in page
        if one in shown
    ]


def _live() -> ColumnElement[bool]:
    return LeftOutAnswer.generation_id == _live_id()


def _live_id() -> ScalarSelect[int]:
    return select(Generation.id).where(Generation.live).scalar_subquery()


def _among(column: ColumnElement[uuid.UUID] | InstrumentedAttribute[Any], only: _Only) -> ColumnElement[bool]:
    return true() if only is None else column.in_(only)


#: NULL where the product has no photo of another visit.
_mistaken = LeftOutAnswer.first_id != LeftOutAnswer.product_id


def _read_answers(session: Session, cases: _Cases, only: _Only) -> tuple[int, int]:
    """What the photos are answered without their visit; returns how many find their product, and of how many."""
    photos, asked = func.count(), func.count(LeftOutAnswer.first_id)
    mistaken = func.count(case((_mistaken, 1)))
    mine = _live() & _among(LeftOutAnswer.product_id, only)
    of_product = select(LeftOutAnswer.product_id, photos, asked, mistaken).where(mine)
    of_product = of_product.group_by(LeftOutAnswer.product_id).having(or_(mistaken > 0, asked == 0))
    for product, all_of_it, with_others, mistakes in session.execute(of_product):
        if not with_others:
            cases[product].needs["one_visit"] = Need("one_visit", 1, all_of_it)
        if mistakes:
            cases[product].needs["mistaken"] = Need("mistaken", mistakes, all_of_it)
    total, wrong = session.execute(select(asked, mistaken).where(mine)).one()
    return total - wrong, total


def _read_rivals(session: Session, page: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """What each of these products is most often mistaken for."""
    times = func.count()
    pairs = select(LeftOutAnswer.product_id, LeftOutAnswer.first_id).where(_live(), _mistaken)
    pairs = pairs.where(LeftOutAnswer.product_id.in_(page)).group_by(LeftOutAnswer.product_id, LeftOutAnswer.first_id)
    found = session.execute(pairs.order_by(times, LeftOutAnswer.first_id)).all()
    return {product: rival for product, rival in found if rival is not None}


def _current(only: _Only) -> Select[uuid.UUID]:
    """Ids of products whose photos are those that coverage has examined, by the live model."""
    photos = select(Photo.product_id, func.count().label("photos"), func.max(Photo.created_at).label("newest"))
    of_product = photos.where(_among(Photo.product_id, only)).group_by(Photo.product_id).subquery()
    query = select(ProductCoverage.product_id).join(of_product, of_product.c.product_id == ProductCoverage.product_id)
    query = query.where(ProductCoverage.generation_id == _live_id())
    return query.where(of_product.c.photos == ProductCoverage.photos, of_product.c.newest <= ProductCoverage.at)


def _read_coverage(session: Session, cases: _Cases, only: _Only) -> None:
    """Products that the second look does not find by all of their photos, and those with other advice."""
    needy = cast(ProductCoverage.advice, String) != "[]"
    columns = select(ProductCoverage.product_id, ProductCoverage.asked, ProductCoverage.found, ProductCoverage.advice)
    current = ProductCoverage.product_id.in_(_current(only))
    for product, asked, found, advice in session.execute(columns.where(needy, current)):
        needs = cases[product].needs if product in cases else {}
        if found < asked and "mistaken" not in needs:
            cases[product].needs["not_found"] = Need("not_found", asked - found, asked)
        elif _advised(advice, needs):
            cases[product].needs["advised"] = Need("advised")


def _advised(advice: Sequence[Sequence[str]], needs: Mapping[Reason, Need]) -> tuple[str, ...]:
    """The sentences that say more than the other needs do."""
    told = TOLD | ({"one_view"} if "one_visit" in needs else set())
    return tuple(message for code, message in advice if code not in told)


def _read_examined(
    session: Session, page: Sequence[uuid.UUID]
) -> tuple[dict[uuid.UUID, Examined], dict[uuid.UUID, uuid.UUID]]:
    """What coverage found of these products, and what it says that they are mistaken for."""
    mine = ProductCoverage.product_id.in_(_current(page))
    rows = session.scalars(select(ProductCoverage).where(mine)).all()
    examined = {row.product_id: Examined(row.at, row.asked, row.found, _advised(row.advice, {})) for row in rows}
    return examined, {row.product_id: row.rival_id for row in rows if row.rival_id is not None}


def _read_photos(session: Session, cases: _Cases, only: _Only) -> None:
    """Products without a photo, and photos that were kept in spite of a warning."""
    without = select(Product.id).where(Product.active, ~exists().where(Photo.product_id == Product.id))
    for product in session.scalars(without.where(_among(Product.id, only))):
        cases[product].needs["no_photo"] = Need("no_photo")
    overruled = select(Photo.product_id, func.count()).where(Photo.status == "overruled").group_by(Photo.product_id)
    for product, photos in session.execute(overruled.where(_among(Photo.product_id, only))):
        cases[product].needs["overruled"] = Need("overruled", photos, photos)


def _read_feedback(session: Session, cases: _Cases, only: _Only) -> None:
    """Answers that named the product, and that a till judged wrong since it got its newest photo.

    That photo may have mended it: whether it did, the next answers say.
    """
    mended = exists().where(Photo.product_id == RecognitionEntry.product_id, Photo.created_at >= Feedback.at)
    wrong = (
        select(RecognitionEntry.product_id, func.count(RecognitionEntry.id.distinct()))
        .join(Feedback, Feedback.recognition_id == RecognitionEntry.id)
        .where(Feedback.at > now() - timedelta(days=DAYS), Feedback.correct.is_(False), ~mended)
    )
    wrong = wrong.where(_among(RecognitionEntry.product_id, only)).group_by(RecognitionEntry.product_id)
    for product, answers in session.execute(wrong):
        if product is not None:
            cases[product].needs["judged_wrong"] = Need("judged_wrong", answers, answers)


def _shown(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Shown]:
    columns = select(Product.id, Product.sku, Product.name, product_rows.cover())
    rows = session.execute(columns.where(Product.id.in_(ids)))
    return {identity: Shown(sku, name, photo or "") for identity, sku, name, photo in rows}

"""Which products need work, and what to do: read from what is in SQL already, so that it is right at any moment.

Whether a product is found by its own photos, and what it is mistaken for, is told by the answers that catalog/margins
keeps for every photo, its own visit left out. They follow each change within seconds, without a run over the catalog.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from catalog.storage import Database, product_rows
from catalog.storage.tables import Feedback, Generation, LeftOutAnswer, Photo, Product, RecognitionEntry, now

Reason = Literal["judged_wrong", "no_photo", "mistaken", "one_visit", "overruled"]

#: Days of feedback that count.
DAYS = 30
#: The reasons by weight: what makes tills answer wrongly now comes first.
WEIGHT: dict[Reason, int] = {"judged_wrong": 1000, "no_photo": 300, "mistaken": 100, "one_visit": 10, "overruled": 1}


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
class Work:
    """A product that needs work, the most urgent need first; `mistaken_for`: the product that its photos name most."""

    product: Shown
    needs: tuple[Need, ...]
    mistaken_for: Shown | None


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
        return sum(
            WEIGHT[need.reason] * need.times / (need.of if need.reason == "mistaken" else 1) for need in self.all
        )

    @property
    def all(self) -> list[Need]:
        return sorted(self.needs.values(), key=lambda need: -WEIGHT[need.reason])


_Cases = defaultdict[uuid.UUID, _Case]


def list_work(database: Database, *, start: int = 0, limit: int = 24) -> Worklist:
    """Active products that need work: at most `limit`, from the `start`-th on."""
    cases: _Cases = defaultdict(_Case)
    with database.read() as session:
        found, asked = _read_answers(session, cases)
        _read_photos(session, cases)
        _read_feedback(session, cases)
        retired = set(session.scalars(select(Product.id).where(Product.active.is_(False))))
        urgent = sorted((one for one in cases if one not in retired), key=lambda one: (-cases[one].urgency, one))
        page = urgent[start : start + limit]
        rivals = _read_rivals(session, page)
        shown = _shown(session, [*page, *rivals.values()])
    # What was deleted since its photos were answered is left out.
    work = [
        Work(shown[one], tuple(cases[one].all), shown.get(rivals[one]) if one in rivals else None)
        for one in page
        if one in shown
    ]
    return Worklist(work, len(urgent), found, asked)


def _live() -> ColumnElement[bool]:
    return LeftOutAnswer.generation_id == select(Generation.id).where(Generation.live).scalar_subquery()


#: NULL where the product has no photo of another visit.
_mistaken = LeftOutAnswer.first_id != LeftOutAnswer.product_id


def _read_answers(session: Session, cases: _Cases) -> tuple[int, int]:
    """What the photos are answered without their visit; returns how many find their product, and of how many."""
    photos, asked = func.count(), func.count(LeftOutAnswer.first_id)
    mistaken = func.count(case((_mistaken, 1)))
    of_product = select(LeftOutAnswer.product_id, photos, asked, mistaken).where(_live())
    of_product = of_product.group_by(LeftOutAnswer.product_id).having(or_(mistaken > 0, asked == 0))
    for product, all_of_it, with_others, mistakes in session.execute(of_product):
        if not with_others:
            cases[product].needs["one_visit"] = Need("one_visit", 1, all_of_it)
        if mistakes:
            cases[product].needs["mistaken"] = Need("mistaken", mistakes, all_of_it)
    total, wrong = session.execute(select(asked, mistaken).where(_live())).one()
    return total - wrong, total


def _read_rivals(session: Session, page: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """What each of these products is most often mistaken for."""
    times = func.count()
    pairs = select(LeftOutAnswer.product_id, LeftOutAnswer.first_id).where(_live(), _mistaken)
    pairs = pairs.where(LeftOutAnswer.product_id.in_(page)).group_by(LeftOutAnswer.product_id, LeftOutAnswer.first_id)
    found = session.execute(pairs.order_by(times, LeftOutAnswer.first_id)).all()
    return {product: rival for product, rival in found if rival is not None}


def _read_photos(session: Session, cases: _Cases) -> None:
    """Products without a photo, and photos that were kept in spite of a warning."""
    for product in session.scalars(
        select(Product.id).where(Product.active, Product.id.not_in(select(Photo.product_id)))
    ):
        cases[product].needs["no_photo"] = Need("no_photo")
    overruled = select(Photo.product_id, func.count()).where(Photo.status == "overruled").group_by(Photo.product_id)
    for product, photos in session.execute(overruled):
        cases[product].needs["overruled"] = Need("overruled", photos, photos)


def _read_feedback(session: Session, cases: _Cases) -> None:
    """Answers that named the product, and that a till judged wrong."""
    wrong = (
        select(RecognitionEntry.product_id, func.count(RecognitionEntry.id.distinct()))
        .join(Feedback, Feedback.recognition_id == RecognitionEntry.id)
        .where(Feedback.at > now() - timedelta(days=DAYS), Feedback.correct.is_(False))
    )
    for product, answers in session.execute(wrong.group_by(RecognitionEntry.product_id)):
        if product is not None:
            cases[product].needs["judged_wrong"] = Need("judged_wrong", answers, answers)


def _shown(session: Session, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Shown]:
    columns = select(Product.id, Product.sku, Product.name, product_rows.cover())
    rows = session.execute(columns.where(Product.id.in_(ids)))
    return {identity: Shown(sku, name, photo or "") for identity, sku, name, photo in rows}

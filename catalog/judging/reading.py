"""Judgements read back: for the pages and the command line."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, union
from sqlalchemy.orm import aliased

from catalog.judging.figures import Report, grade
from catalog.normalization import plain
from catalog.storage import Database, product_rows
from catalog.storage.tables import Generation, GoldenPhoto, InboxPhoto, JudgedQuery, Judgement, Photo, Product


@dataclass(frozen=True)
class Found:
    """A judgement that is over: of which bundle, against which, and what came of it (`state`: see Judgement)."""

    generation_id: int
    bundle_id: str
    bundle_name: str
    live_bundle: str
    live_name: str
    at: datetime
    state: str
    broken: tuple[str, ...]
    report: Report


@dataclass(frozen=True)
class Seen:
    """A query that the new generation answers worse. `live` and `new`: an answer each (see answering.py), to which
    `photo` is added: SHA-256 of the cover of the product that it names, or "".

    `picture`: SHA-256 of a stored photo; `till_photo`: id of a photo of the inbox. Both None: no longer kept.
    """

    kind: str
    sku: str
    known: bool
    picture: str | None
    till_photo: uuid.UUID | None
    live: dict[str, Any]
    new: dict[str, Any]


@dataclass(frozen=True)
class WorsePage:
    """A page of queries that got worse, the worst first; `total` counts all pages."""

    queries: list[Seen]
    total: int


def _over() -> Select[Judgement, Generation, Generation]:
    live = aliased(Generation)
    query = select(Judgement, Generation, live).join(Generation, Generation.id == Judgement.generation_id)
    return query.outerjoin(live, live.id == Judgement.live_id).where(Judgement.state != "asking")


def find_judgement(database: Database, bundle_id: str) -> Found | None:
    """The last judgement of a bundle's generation; None if it never was judged, or is being judged."""
    if not plain(bundle_id):  # what can't be stored is no bundle, and PostgreSQL takes no such text
        return None
    with database.read() as session:
        row = session.execute(_over().where(Generation.bundle_id == bundle_id)).one_or_none()
    return None if row is None else _found(*row)


def list_judgements(database: Database) -> dict[str, Found]:
    """The last judgement of each generation that was judged, by bundle."""
    with database.read() as session:
        return {row[1].bundle_id: _found(*row) for row in session.execute(_over())}


def held_generations(database: Database) -> list[Found]:
    """Generations that wait for a person: they broke a rule against the one that is still live. The newest first."""
    with database.read() as session:
        live = select(Generation.id).where(Generation.live).scalar_subquery()
        held = _over().where(Judgement.state == "held", Judgement.live_id == live, ~Generation.live)
        rows = session.execute(held.order_by(Judgement.at.desc())).all()
    return [_found(*row) for row in rows]


def _found(row: Judgement, generation: Generation, live: Generation | None) -> Found:
    return Found(
        row.generation_id,
        generation.bundle_id,
        generation.bundle_name,
        live.bundle_id if live else "",
        live.bundle_name if live else "",
        row.at,
        row.state,
        tuple(row.broken),
        Report.from_dict(row.report),
    )


def list_worse(database: Database, generation_id: int, *, start: int = 0, limit: int = 20) -> WorsePage:
    """Queries that the new generation answered worse than the live one: from the `start`-th on."""
    mine = (JudgedQuery.generation_id == generation_id) & ~JudgedQuery.gone
    with database.read() as session:
        rows = session.scalars(select(JudgedQuery).where(mine).order_by(JudgedQuery.number)).all()
        falls = []
        for row in rows:
            if row.live is None or row.new is None:
                continue
            before, after = grade(row.known, row.live), grade(row.known, row.new)
            if after < before:
                falls.append((after, after - before, row))
        falls.sort(key=lambda fall: fall[:2])
        page = [row for _, _, row in falls[start : start + limit]]
        named = {answer["sku"] for row in page for answer in (row.live, row.new) if answer}
        columns = select(Product.sku, product_rows.cover()).where(Product.sku.in_(named))
        covers = {sku: photo or "" for sku, photo in session.execute(columns)}
        hashes = [row.sha256 for row in page]
        kept = union(*(select(column).where(column.in_(hashes)) for column in (Photo.sha256, GoldenPhoto.sha256)))
        there: set[object] = set(session.scalars(kept))
        there |= set(session.scalars(select(InboxPhoto.id).where(InboxPhoto.id.in_([row.photo_id for row in page]))))
    shown = [
        Seen(
            row.kind,
            row.sku,
            row.known,
            row.sha256 if row.sha256 in there else None,
            row.photo_id if row.kind == "till" and row.photo_id in there else None,
            {**(row.live or {}), "photo": covers.get((row.live or {}).get("sku", ""), "")},
            {**(row.new or {}), "photo": covers.get((row.new or {}).get("sku", ""), "")},
        )
        for row in page
    ]
    return WorsePage(shown, len(falls))

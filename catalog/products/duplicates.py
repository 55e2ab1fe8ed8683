"""Products that are likely in the catalog twice: each pair with the reasons."""

from __future__ import annotations

import itertools
import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from catalog.margins import PAGE
from catalog.products.comparing import Pair, pair_of
from catalog.storage import Database
from catalog.storage.tables import (
    Barcode,
    ComparedPhoto,
    DifferentProducts,
    Enrollment,
    Generation,
    LookAlikePair,
    Photo,
    Product,
)
from embedder.barcodes import gtin
from embedder.errors import GtinError

#: Products of one name or SKU that are paired, at most; and pairs that look alike.
TOGETHER, LOOK_ALIKES = 20, 5000

Kind = Literal["same_picture", "sku", "barcode", "same_pack", "name", "near"]
#: The kinds of reasons, the surest first.
KINDS: tuple[Kind, ...] = ("same_picture", "sku", "barcode", "same_pack", "name", "near")


@dataclass(frozen=True)
class Reason:
    """Why two products may be one. `photos` (SHA-256): those of the two that look alike; `points`: details that match.

    `value`: for "barcode", the number that both may mean.
    """

    kind: Kind
    photos: tuple[str, str] | None = None
    points: int | None = None
    cosine: float | None = None
    value: str = ""


@dataclass(frozen=True)
class Listed:
    """A product of a pair; `photo` (SHA-256) is "" without any."""

    sku: str
    name: str
    brand: str
    photos: int
    photo: str


@dataclass(frozen=True)
class DuplicatePair:
    """Two active products that may be one, and why, the surest reason first."""

    one: Listed
    other: Listed
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Duplicates:
    """A page of pairs, the surest first; `total` of all pages. `uncompared`: photos that are still to be compared."""

    pairs: list[DuplicatePair]
    total: int
    uncompared: int


def list_duplicates(database: Database, *, start: int = 0, limit: int = 20) -> Duplicates:
    """Pairs of active products that are likely one product, but for those that a person said differ."""
    with database.read() as session:
        found = _all(session)
        chosen = sorted(found, key=lambda pair: _rank(pair, found[pair]))[start : start + limit]
        products = _listed(session, {identity for pair in chosen for identity in pair})
        pairs = []
        for pair in chosen:
            # The one with more photos first: it is the one to keep, most likely.
            one, other = sorted((products[identity] for identity in pair), key=lambda p: (-p.photos, p.sku))
            reasons = tuple(sorted(found[pair], key=lambda reason: KINDS.index(reason.kind)))
            if one is not products[pair[0]]:
                reasons = tuple(_turned(reason) for reason in reasons)
            pairs.append(DuplicatePair(one, other, reasons))
        return Duplicates(pairs, len(found), _count_uncompared(session))


def count_duplicates(database: Database) -> int:
    """How many pairs `list_duplicates` has."""
    with database.read() as session:
        return len(_all(session))


def _all(session: Session) -> dict[Pair, list[Reason]]:
    """Every pair with its reasons, each kind once."""
    found: dict[Pair, list[Reason]] = defaultdict(list)
    for pair, reason in itertools.chain(
        _look_alikes(session), _same_skus(session), _barcodes(session), _names(session)
    ):
        if all(known.kind != reason.kind for known in found[pair]):
            found[pair].append(reason)
    differ = session.execute(select(DifferentProducts.one_id, DifferentProducts.other_id))
    for row in differ:
        found.pop((row.one_id, row.other_id), None)
    return dict(found)


def _rank(pair: Pair, reasons: Sequence[Reason]) -> tuple[object, ...]:
    points = max((reason.points or 0 for reason in reasons), default=0)
    cosine = max((reason.cosine or 0.0 for reason in reasons), default=0.0)
    return min(KINDS.index(reason.kind) for reason in reasons), -len(reasons), -points, -cosine, pair


def _look_alikes(session: Session) -> Iterator[tuple[Pair, Reason]]:
    """What the background found in the live generation (products/comparing.py); its photos must still be there."""
    one, other = aliased(Product), aliased(Product)
    first, second = aliased(Photo), aliased(Photo)
    rows = session.execute(
        select(LookAlikePair, first.sha256.label("first"), second.sha256.label("second"))
        .join(Generation, Generation.id == LookAlikePair.generation_id)
        .join(one, one.id == LookAlikePair.one_id)
        .join(other, other.id == LookAlikePair.other_id)
        .join(first, first.id == LookAlikePair.one_photo)
        .join(second, second.id == LookAlikePair.other_photo)
        .where(Generation.live, one.active, other.active)
        .order_by(LookAlikePair.same_picture.desc(), LookAlikePair.cosine.desc())
        .limit(LOOK_ALIKES)
    )
    for row, first_photo, second_photo in rows:
        kind: Kind = "same_picture" if row.same_picture else "near" if row.points is None else "same_pack"
        yield (
            (row.one_id, row.other_id),
            Reason(kind, (first_photo, second_photo), row.points, row.cosine),
        )


def _same_skus(session: Session) -> Iterator[tuple[Pair, Reason]]:
    """SKUs that differ in capitals, width or what nobody sees: older catalogs have such."""
    several = (
        select(Product.sku_key)
        .where(Product.active, Product.sku_key != "")
        .group_by(Product.sku_key)
        .having(func.count() > 1)
    )
    query = select(Product.id, Product.sku_key).where(Product.active, Product.sku_key.in_(several))
    yield from _each_two(session.execute(query.order_by(Product.sku)).all(), "sku")


def _names(session: Session) -> Iterator[tuple[Pair, Reason]]:
    """One name in one brand, whatever its capitals and blanks. A name that is only the SKU says nothing."""
    query = select(Product.id, Product.brand, Product.name).where(Product.active, Product.name != Product.sku)
    rows = session.execute(query.order_by(Product.sku))
    yield from _each_two(((row.id, (_folded(row.brand), _folded(row.name))) for row in rows), "name")


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _barcodes(session: Session) -> Iterator[tuple[Pair, Reason]]:
    """Eight digits of one product that are the UPC-E of another one's number; any other form is one number in SQL."""
    owned = select(Barcode.gtin, Barcode.product_id).join(Product).where(Product.active)
    short = dict(session.execute(owned.where(Barcode.gtin.startswith("000000"))).all())
    meant = {number: other for number in short if (other := _as_upc_e(number))}
    numbers = list(meant.values())
    for start in range(0, len(numbers), PAGE):
        owners = dict(session.execute(owned.where(Barcode.gtin.in_(numbers[start : start + PAGE]))).all())
        for number, other in meant.items():
            if other in owners and owners[other] != short[number]:
                yield pair_of(short[number], owners[other]), Reason("barcode", value=gtin.printed_gtin(other))


def _as_upc_e(number: str) -> str:
    """The number (14 digits) that the last eight of these 14 are the UPC-E of; "" where they are none."""
    try:
        return next((other for other in gtin.readings(number[-8:]) if other != number), "")
    except GtinError:
        return ""


def _each_two(rows: Iterable[tuple[uuid.UUID, object]], kind: Kind) -> Iterator[tuple[Pair, Reason]]:
    """Each two products of one key, of at most TOGETHER that have it."""
    groups: dict[object, list[uuid.UUID]] = defaultdict(list)
    for identity, key in rows:
        groups[key].append(identity)
    for group in groups.values():
        for one, other in itertools.combinations(group[:TOGETHER], 2):
            yield pair_of(one, other), Reason(kind)


def _turned(reason: Reason) -> Reason:
    if reason.photos is None:
        return reason
    return Reason(reason.kind, (reason.photos[1], reason.photos[0]), reason.points, reason.cosine, reason.value)


def _listed(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, Listed]:
    mine = Photo.product_id == Product.id
    photos = select(func.count()).select_from(Photo).where(mine).scalar_subquery()
    a_photo = (
        select(Photo.sha256)
        .where(mine)
        .order_by(Photo.cover.desc(), Photo.created_at, Photo.id)
        .limit(1)
        .scalar_subquery()
    )
    columns = (Product.id, Product.sku, Product.name, Product.brand, photos.label("photos"), a_photo.label("photo"))
    wanted = sorted(ids)
    return {
        row.id: Listed(row.sku, row.name, row.brand, row.photos, row.photo or "")
        for start in range(0, len(wanted), PAGE)
        for row in session.execute(select(*columns).where(Product.id.in_(wanted[start : start + PAGE])))
    }


def _count_uncompared(session: Session) -> int:
    known = exists().where(
        ComparedPhoto.generation_id == Enrollment.generation_id, ComparedPhoto.photo_id == Enrollment.photo_id
    )
    query = select(func.count()).select_from(Enrollment).join(Generation, Generation.id == Enrollment.generation_id)
    return session.scalar(query.where(Generation.live, Enrollment.done, ~known)) or 0

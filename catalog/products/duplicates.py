"""Products that are likely in the catalog twice: each pair with the reasons."""

from __future__ import annotations

import itertools
import unicodedata
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from catalog.margins import PAGE
from catalog.products.comparing import Pair, pair_of
from catalog.storage import Database, product_rows
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

#: Pairs of products of one name or SKU, at most: those of 20 products; and pairs that look alike.
TOGETHER, LOOK_ALIKES = 190, 5000

Kind = Literal["same_picture", "sku", "barcode", "same_pack", "name", "near"]
#: The kinds of reasons, the surest first.
KINDS: tuple[Kind, ...] = ("same_picture", "sku", "barcode", "same_pack", "name", "near")


@dataclass(frozen=True)
class Reason:
    """Why two products may be one. `photos` (SHA-256): those of the two that look alike; `points`: details that match.

    `value`: for "barcode", the number that both may mean. `own_barcodes`: they look alike, but each has a barcode of
    its own, so they are sizes or flavors of one design more likely than one product.
    """

    kind: Kind
    photos: tuple[str, str] | None = None
    points: int | None = None
    cosine: float | None = None
    value: str = ""
    own_barcodes: bool = False


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


def _all(session: Session) -> dict[Pair, list[Reason]]:
    """Every pair with its reasons, each kind once, but for those of which a person said that they differ."""
    rows = session.execute(select(DifferentProducts.one_id, DifferentProducts.other_id))
    differ = {(one_id, other_id) for one_id, other_id in rows}
    found: dict[Pair, list[Reason]] = defaultdict(list)
    for pair, reason in itertools.chain(
        _look_alikes(session), _same_skus(session, differ), _barcodes(session), _names(session, differ)
    ):
        if pair not in differ and all(known.kind != reason.kind for known in found[pair]):
            found[pair].append(reason)
    return dict(found)


def _rank(pair: Pair, reasons: Sequence[Reason]) -> tuple[object, ...]:
    points = max((reason.points or 0 for reason in reasons), default=0)
    cosine = max((reason.cosine or 0.0 for reason in reasons), default=0.0)
    unlikely = all(reason.own_barcodes for reason in reasons)
    return unlikely, min(KINDS.index(reason.kind) for reason in reasons), -len(reasons), -points, -cosine, pair


def _look_alikes(session: Session) -> Iterator[tuple[Pair, Reason]]:
    """What the background found in the live generation (products/comparing.py); its photos must still be there.

    Pairs that differ are left out here, too: so many of them would hide others behind the limit.
    """
    one, other = aliased(Product), aliased(Product)
    first, second = aliased(Photo), aliased(Photo)
    differ = exists().where(
        DifferentProducts.one_id == LookAlikePair.one_id, DifferentProducts.other_id == LookAlikePair.other_id
    )
    barcodes = exists().where(Barcode.product_id == one.id) & exists().where(Barcode.product_id == other.id)
    rows = session.execute(
        select(LookAlikePair, barcodes.label("barcodes"), first.sha256.label("first"), second.sha256.label("second"))
        .join(Generation, Generation.id == LookAlikePair.generation_id)
        .join(one, one.id == LookAlikePair.one_id)
        .join(other, other.id == LookAlikePair.other_id)
        .join(first, first.id == LookAlikePair.one_photo)
        .join(second, second.id == LookAlikePair.other_photo)
        .where(Generation.live, one.active, other.active, ~differ)
        .order_by(LookAlikePair.same_picture.desc(), LookAlikePair.cosine.desc())
        .limit(LOOK_ALIKES)
    )
    for row, own, first_photo, second_photo in rows:
        kind: Kind = "same_picture" if row.same_picture else "near" if row.points is None else "same_pack"
        yield (
            (row.one_id, row.other_id),
            Reason(
                kind, (first_photo, second_photo), row.points, row.cosine, own_barcodes=own and not row.same_picture
            ),
        )


def _same_skus(session: Session, differ: Set[Pair]) -> Iterator[tuple[Pair, Reason]]:
    """SKUs that differ in capitals, width or what nobody sees: older catalogs have such."""
    several = (
        select(Product.sku_key)
        .where(Product.active, Product.sku_key != "")
        .group_by(Product.sku_key)
        .having(func.count() > 1)
    )
    query = select(Product.id, Product.sku_key).where(Product.active, Product.sku_key.in_(several))
    yield from _each_two(session.execute(query.order_by(Product.sku)).all(), "sku", differ)


def _names(session: Session, differ: Set[Pair]) -> Iterator[tuple[Pair, Reason]]:
    """One name in one brand, whatever its capitals and blanks. A name that is only the SKU says nothing."""
    query = select(Product.id, Product.brand, Product.name).where(Product.active, Product.name != Product.sku)
    rows = session.execute(query.order_by(Product.sku))
    yield from _each_two(((row.id, (_folded(row.brand), _folded(row.name))) for row in rows), "name", differ)


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


def _each_two(rows: Iterable[tuple[uuid.UUID, object]], kind: Kind, differ: Set[Pair]) -> Iterator[tuple[Pair, Reason]]:
    """Each two products of one key that do not differ, at most TOGETHER of a key."""
    groups: dict[object, list[uuid.UUID]] = defaultdict(list)
    for identity, key in rows:
        groups[key].append(identity)
    for group in groups.values():
        # Each one with those before it: so the first products are complete, however many there are.
        pairs = (pair_of(other, one) for place, one in enumerate(group) for other in group[:place])
        for pair in itertools.islice((pair for pair in pairs if pair not in differ), TOGETHER):
            yield pair, Reason(kind)


def _turned(reason: Reason) -> Reason:
    if reason.photos is None:
        return reason
    return replace(reason, photos=(reason.photos[1], reason.photos[0]))


def _listed(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, Listed]:
    photos = select(func.count()).select_from(Photo).where(Photo.product_id == Product.id).scalar_subquery()
    cover = product_rows.cover().label("cover")
    columns = (Product.id, Product.sku, Product.name, Product.brand, photos.label("photos"), cover)
    wanted = sorted(ids)
    return {
        row.id: Listed(row.sku, row.name, row.brand, row.photos, row.cover or "")
        for start in range(0, len(wanted), PAGE)
        for row in session.execute(select(*columns).where(Product.id.in_(wanted[start : start + PAGE])))
    }


def _count_uncompared(session: Session) -> int:
    known = exists().where(
        ComparedPhoto.generation_id == Enrollment.generation_id, ComparedPhoto.photo_id == Enrollment.photo_id
    )
    query = select(func.count()).select_from(Enrollment).join(Generation, Generation.id == Enrollment.generation_id)
    return session.scalar(query.where(Generation.live, Enrollment.done, ~known)) or 0

"""Which products a list shows: a search and filters, in any combination, as one SQL condition."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, select, text, true
from sqlalchemy.orm import Session

from catalog.enrollment.outbox import PENDING
from catalog.normalization import MOST, plain
from catalog.products import barcode_owners, searching
from catalog.storage.tables import Enrollment, Generation, Label, Photo, Product, RecognitionEntry

#: Products that are counted, at most.
COUNTED = 1000
#: A search that finds fewer products than this is made again with typing errors forgiven.
FEW = 3
#: Photos whose warnings were overridden, worded as the partial index ix_photo_overruled.
OVERRULED = text("photo.status = 'overruled'")


@dataclass(frozen=True)
class Filter:
    """Which products a list shows: those that meet all given conditions.

    `search` finds words in SKU, name, brand and category, or a whole barcode (see searching.py). `few_photos`: those
    with fewer photos than this. `never_recognized`: those that no answer in the log matched (see
    storage/answer_log.py). `with_warnings`: those with a photo whose warnings were overridden. `pending`: those with a
    photo that is not searchable yet. `retired`: the retired ones instead of the active; None: both.
    """

    search: str = ""
    category: str = ""
    brand: str = ""
    label: str = ""
    variant_group: str = ""
    few_photos: int | None = None
    never_recognized: bool = False
    with_warnings: bool = False
    pending: bool = False
    retired: bool | None = False

    @property
    def is_all(self) -> bool:
        """Whether it shows all products, or all active or all retired ones."""
        return replace(self, retired=False) == ALL

    def _narrowed(self) -> ColumnElement[bool]:
        """All but the search."""
        parts: list[ColumnElement[bool]] = [true() if self.retired is None else Product.active.is_(not self.retired)]
        for column, given in (
            (Product.category, self.category),
            (Product.brand, self.brand),
            (Product.variant_group, self.variant_group),
        ):
            if given:
                parts.append(column == _stored(given))
        if self.label:
            parts.append(exists().where(Label.product_id == Product.id, Label.name == _stored(self.label)))
        if self.few_photos is not None:
            enough = (
                select(Photo.product_id).group_by(Photo.product_id).having(func.count() >= min(self.few_photos, MOST))
            )
            parts.append(Product.id.not_in(enough))
        if self.never_recognized:
            parts.append(~exists().where(RecognitionEntry.product_id == Product.id))
        if self.with_warnings:
            parts.append(Product.id.in_(select(Photo.product_id).where(OVERRULED)))
        if self.pending:
            waiting = select(Photo.product_id).join(Enrollment, Enrollment.photo_id == Photo.id)
            live = select(Generation.id).where(Generation.live).scalar_subquery()
            parts.append(Product.id.in_(waiting.where(Enrollment.generation_id == live, PENDING)))
        return and_(*parts)


#: All active products.
ALL = Filter()


@dataclass(frozen=True, eq=False)
class Matching:
    """The products of a filter, as a condition on the table `product`.

    `skus`: all of them, unless there are more than COUNTED (None). `best`: what comes first, by number: SKUs that begin
    with what was typed, words that are found as they are, and those with typing errors; None without a search.
    `exact`: the same without regard to SKUs, None unless typing errors were forgiven.
    """

    condition: ColumnElement[bool]
    skus: list[str] | None
    best: ColumnElement[int] | None = None
    exact: ColumnElement[int] | None = None


def matching(session: Session, only: Filter) -> Matching:
    """Find the products of a filter; typing errors are forgiven only where the search finds few without that."""
    narrowed = only._narrowed()
    if only.is_all:  # no need to know them, and an index alone gives their number
        return Matching(narrowed, None)
    search = searching.understood(only.search)
    if search is None:
        return _counted(session, narrowed)
    owner = barcode_owners.owner_of(session, _stored(only.search))
    exact = search.exact()
    if owner is not None:  # by SKU, from a query of its own: so ix_product_active_sku_search still covers the search
        exact = exact | (Product.sku == owner)
    best = case((search.begins_sku(), 0), (exact, 1), else_=2)
    found = _counted(session, and_(narrowed, exact))
    if found.skus is None or len(found.skus) >= FEW or owner is not None:
        return replace(found, best=best)
    similar = searching.misspelled(session, search, and_(narrowed, ~exact))
    if not similar:
        return replace(found, best=best)
    skus = [*found.skus, *similar]
    return Matching(Product.sku.in_(skus), skus, best, case((exact, literal(0)), else_=1))


def _counted(session: Session, condition: ColumnElement[bool]) -> Matching:
    skus = list(session.scalars(select(Product.sku).where(condition).limit(COUNTED + 1)))
    if len(skus) > COUNTED:
        return Matching(condition, None)
    # All matching SKUs are known, and the search need not run twice.
    return Matching(Product.sku.in_(skus), skus)


def _stored(given: str) -> str:
    """A text of an address, normalized as stored texts are."""
    blanks = re.sub(r"[^\S ]", " ", unicodedata.normalize("NFC", given))
    return "".join(filter(plain, blanks)).strip()

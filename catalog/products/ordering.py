"""Orders of the product list, and the keys that a page begins or ends with (keyset pagination)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, FromClause, Select, and_, func, literal, or_, select
from sqlalchemy.sql.selectable import Subquery

from catalog.normalization import MOST, plain
from catalog.products.filtering import Matching
from catalog.storage.tables import Product, RecognitionEntry, UtcDateTime

#: By SKU, by name, the newest first, the most recently recognized first, the most often recognized first.
Order = Literal["sku", "name", "newest", "recent", "most"]
ORDERS: tuple[Order, ...] = get_args(Order)
#: Characters of a key, at most: a SKU and a name, and what JSON adds.
LONGEST = 2000
#: Of a product that was never recognized.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Ordered:
    """Products with what they are sorted by: the columns of `rows` by name, each with whether it is descending.

    The last is the SKU, so that no two rows are equal.
    """

    rows: Subquery
    columns: tuple[tuple[str, bool], ...]

    def after(self, key: Sequence[Any] | None, *, backwards: bool = False) -> Select[Any]:
        """Select the rows after a key, or `backwards` those before it, the nearest first. None: from the start."""
        query = select(self.rows)
        if key is not None:
            query = query.where(self._beyond(key, backwards=backwards))
        return query.order_by(
            *(
                self.rows.c[name].desc() if descending != backwards else self.rows.c[name].asc()
                for name, descending in self.columns
            )
        )

    def key(self, row: Any) -> str:
        """The key of a row: its SKU where that is all, else the values as JSON."""
        values = [getattr(row, name) for name, _ in self.columns]
        if len(values) == 1:
            return str(values[0])
        told = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))

    def _beyond(self, values: Sequence[Any], *, backwards: bool) -> ColumnElement[bool]:
        ways: list[ColumnElement[bool]] = []
        same: list[ColumnElement[bool]] = []
        for (name, descending), value in zip(self.columns, values, strict=True):
            column = self.rows.c[name]
            given = literal(value, column.type)
            ways.append(and_(*same, column < given if descending != backwards else column > given))
            same.append(column == given)
        return or_(*ways)

    def parse(self, key: str) -> list[Any] | None:
        """The values of a key; None for a text that is none, as in an address that somebody cut."""
        if not key:
            return None
        if len(self.columns) == 1:
            return ["".join(filter(plain, key))]
        try:
            told = json.loads(key[:LONGEST])
        except (ValueError, RecursionError):
            return None
        if not isinstance(told, list) or len(told) != len(self.columns):
            return None
        values = [_value(one, self.rows.c[name].type) for one, (name, _) in zip(told, self.columns, strict=True)]
        return None if None in values else values


def ordered(found: Matching, order: Order) -> Ordered:
    """The products found, in this order; of a search, what fits best comes first where it is by SKU.

    In any other order only typing errors make a difference: products with them come last.
    """
    value, descending, source = _value_of(order, found)
    rank = found.best if order == "sku" else found.exact
    parts: list[tuple[str, ColumnElement[Any], bool]] = []
    if rank is not None:
        parts.append(("rank", rank, False))
    if value is not None:
        parts.append(("value", value, descending))
    parts.append(("sku", Product.__table__.c.sku, False))
    rows = select(*(column.label(name) for name, column, _ in parts)).select_from(source).where(found.condition)
    return Ordered(rows.subquery(), tuple((name, down) for name, _, down in parts))


def _value_of(order: Order, found: Matching) -> tuple[ColumnElement[Any] | None, bool, FromClause]:
    """What an order is by, beside the SKU; whether it is descending; and the table, or join, that has it."""
    product = Product.__table__
    if order == "name":
        return product.c.name_key, False, product
    if order == "newest":
        return product.c.created_at, True, product
    if order == "sku":
        return None, False, product
    figure, none = (func.max(RecognitionEntry.at), literal(_NEVER, UtcDateTime)), (func.count(), literal(0))
    what, never = figure if order == "recent" else none
    # One pass over the log's index, and not one look for each product: PostgreSQL compiles that plan for 200 ms.
    of = RecognitionEntry.product_id
    wanted = of.is_not(None)
    if found.skus is not None:  # of the products found alone, where those are known
        wanted = of.in_(select(product.c.id).where(product.c.sku.in_(found.skus)))
    seen = select(of.label("of"), what.label("figure")).where(wanted).group_by(of).subquery()
    return func.coalesce(seen.c.figure, never), True, product.outerjoin(seen, seen.c.of == product.c.id)


def _value(told: Any, kind: Any) -> Any:
    """A value of a key as the column has it; None for any other."""
    if isinstance(kind, UtcDateTime):
        try:
            moment = datetime.fromisoformat(told)
            return moment.astimezone(UTC) if moment.tzinfo else None
        except (TypeError, ValueError, OverflowError):
            return None
    if kind.python_type is int:
        return told if type(told) is int and 0 <= told <= MOST else None  # true is no number
    return "".join(filter(plain, told)) if isinstance(told, str) else None

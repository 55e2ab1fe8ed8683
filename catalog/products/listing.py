"""Pages of the product list: for people, who go both ways, and for programs, which read it to its end."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from catalog.errors import InvalidInputError
from catalog.products.filtering import ALL, COUNTED, Filter, matching
from catalog.products.ordering import Order, ordered
from catalog.storage import Database
from catalog.storage.tables import Photo, Product


@dataclass(frozen=True)
class Page:
    """A page of the product list, and the keys that the next page starts after and the previous one ends before.

    They are None at the end and at the start. `total` counts all pages; if it is `capped`, there are more. `guessed`:
    some are there only because typing errors are forgiven. `keys`: that of each product, to go on from (`beside`).
    """

    products: list[Product]
    next_key: str | None
    total: int
    capped: bool = False
    previous_key: str | None = None
    guessed: bool = False
    keys: tuple[str, ...] = ()


def list_page(
    database: Database,
    only: Filter = ALL,
    *,
    order: Order = "sku",
    after: str = "",
    before: str = "",
    limit: int = 50,
    whole: bool = False,
) -> Page:
    """At most `limit` products: those after the key `after`, or just before `before`.

    They have their labels and photos; of these `sha256` alone is loaded, unless they are to be `whole`. Keys are those
    of another page of the same list; any other text counts as none. By SKU without a search, a key is a SKU, of a
    product or not.
    """
    with database.read() as session:
        found = matching(session, only)
        rows = ordered(found, order)
        key, backwards = rows.parse(after or before), bool(before) and not after
        page = list(session.execute(rows.after(key, backwards=backwards).limit(limit + 1)))
        if backwards and not page:  # what was before is gone: this is the start
            key, backwards = None, False
            page = list(session.execute(rows.after(None).limit(limit + 1)))
        more = len(page) > limit
        page = page[:limit]
        if backwards:
            page.reverse()
        # Of photos only what a list shows: their number, and the file of the first.
        shown = [selectinload(Product.photos).load_only(Photo.sha256), selectinload(Product.labels)]
        if whole:
            shown = [selectinload(part) for part in (Product.photos, Product.barcodes, Product.labels)]
        chosen = select(Product).options(*shown).where(Product.sku.in_([row.sku for row in page]))
        products = {product.sku: product for product in session.scalars(chosen)}
        if found.skus is not None:
            total, capped = len(found.skus), False
        elif only.is_all:
            total, capped = session.scalar(select(func.count()).select_from(Product).where(found.condition)) or 0, False
        else:
            total, capped = COUNTED, True
    came = key is not None  # from a page on the other side
    earlier, later = (more, came) if backwards else (came, more)
    return Page(
        [products[row.sku] for row in page],
        rows.key(page[-1]) if later else None,
        total,
        capped,
        rows.key(page[0]) if earlier and page else None,
        found.exact is not None,
        tuple(map(rows.key, page)),
    )


@dataclass(frozen=True)
class Neighbor:
    """A product of a list, and its key there."""

    sku: str
    key: str


def beside(
    database: Database, only: Filter, key: str, *, order: Order = "sku", sku: str = ""
) -> tuple[Neighbor | None, Neighbor | None]:
    """The products just before and just after a key of a list, other than `sku`; None at its ends.

    The key's own product need not be in the list any more: who works through a list changes what is in it. A text that
    is no key has none beside it.
    """
    with database.read() as session:
        rows = ordered(matching(session, only), order)
        place = rows.parse(key)
        if place is None:
            return None, None
        both = []
        for backwards in (True, False):
            near = session.execute(rows.after(place, backwards=backwards).limit(2)).all()
            both.append(next((Neighbor(row.sku, rows.key(row)) for row in near if row.sku != sku), None))
        return both[0], both[1]


@dataclass(frozen=True)
class Part:
    """A part of the list, whole products; `cursor`: the next part begins there (None at the end).

    `total` counts the whole list; None: more than COUNTED.
    """

    products: list[Product]
    cursor: str | None
    total: int | None


def list_part(
    database: Database, only: Filter = ALL, *, order: Order = "sku", cursor: str = "", limit: int = 50
) -> Part:
    """At most `limit` products from a cursor on, which another part of the same list gave ("": from the start).

    No product is left out or comes twice because others are added or deleted meanwhile. Raises InvalidInputError for a
    cursor that is none, or is of another list.
    """
    mark = _mark(only, order)
    page = list_page(database, only, order=order, after=_key(cursor, mark), limit=limit, whole=True)
    following = None if page.next_key is None else _packed([mark, page.next_key])
    return Part(page.products, following, None if page.capped else page.total)


def _mark(only: Filter, order: Order) -> str:
    """What tells one list from another."""
    return hashlib.sha256(json.dumps([asdict(only), order]).encode()).hexdigest()[:8]


def _packed(values: list[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _key(cursor: str, mark: str) -> str:
    """The key in a cursor."""
    if not cursor:
        return ""
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        of, key = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        of, key = None, None
    if of != mark or not isinstance(key, str) or not key:
        raise InvalidInputError("cursor", "The cursor is none of this list: begin without one, and keep the filters.")
    return key

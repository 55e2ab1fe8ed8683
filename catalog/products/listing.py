"""Pages of the product list."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from catalog.products.filtering import ALL, COUNTED, Filter, matching
from catalog.products.ordering import Order, ordered
from catalog.storage import Database
from catalog.storage.tables import Photo, Product


@dataclass(frozen=True)
class Page:
    """A page of the product list, and the keys that the next page starts after and the previous one ends before.

    They are None at the end and at the start. `total` counts all pages; if it is `capped`, there are more. `guessed`:
    some are there only because typing errors are forgiven.
    """

    products: list[Product]
    next_key: str | None
    total: int
    capped: bool = False
    previous_key: str | None = None
    guessed: bool = False


def list_page(
    database: Database,
    only: Filter = ALL,
    *,
    order: Order = "sku",
    after: str = "",
    before: str = "",
    limit: int = 50,
) -> Page:
    """At most `limit` products: those after the key `after`, or just before `before`.

    They have their labels and photos; of these `sha256` alone is loaded. Keys are those of another page of the same
    list; any other text counts as none. By SKU without a search, a key is a SKU, of a product or not.
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
        whole = selectinload(Product.photos).load_only(Photo.sha256), selectinload(Product.labels)
        chosen = select(Product).options(*whole).where(Product.sku.in_([row.sku for row in page]))
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
    )

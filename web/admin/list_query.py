"""What the address of the product list says: which products, in which order, how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import has_request_context, request, url_for
from werkzeug.datastructures import MultiDict

from catalog import products
from web.context import catalog

#: Characters of a place in a list, at most.
LONGEST = 4000
#: The orders, as the page calls them.
ORDERS: dict[products.Order, str] = {
    "sku": "By SKU",
    "name": "By name",
    "newest": "Newest first",
    "recent": "Last recognized first",
    "most": "Most recognized first",
}
STATES = {"": "In the catalog", "pending": "Not searchable yet", "retired": "Retired"}


@dataclass(frozen=True)
class ListQuery:
    """A list: its filter and order, as a `table` or as tiles."""

    only: products.Filter
    order: products.Order = "sku"
    table: bool = False

    @classmethod
    def of(cls, given: MultiDict[str, str]) -> ListQuery:
        """The list that an address or a form names; what is no filter counts as none."""
        few = given.get("few", type=int)
        state = given.get("state", "")
        only = products.Filter(
            search=given.get("search", "").strip(),
            category=given.get("category", ""),
            brand=given.get("brand", ""),
            label=given.get("label", ""),
            variant_group=given.get("group", ""),
            few_photos=few if few is not None and few > 0 else None,
            never_recognized=given.get("never") == "1",
            with_warnings=given.get("warned") == "1",
            pending=state == "pending",
            retired=state == "retired",
        )
        sort = given.get("sort", "")
        orders: list[products.Order] = [order for order in ORDERS if order == sort]
        return cls(only, orders[0] if orders else "sku", given.get("view") == "table")

    @property
    def state(self) -> str:
        """The key in STATES."""
        return "retired" if self.only.retired else "pending" if self.only.pending else ""

    def arguments(self) -> dict[str, Any]:
        """The list as parameters of an address: those that say something."""
        only = self.only
        said = {
            "search": only.search,
            "category": only.category,
            "brand": only.brand,
            "label": only.label,
            "group": only.variant_group,
            "few": only.few_photos,
            "never": int(only.never_recognized),
            "warned": int(only.with_warnings),
            "state": self.state,
            "sort": "" if self.order == "sku" else self.order,
            "view": "table" if self.table else "",
        }
        return {name: value for name, value in said.items() if value}

    def url(self, **more: Any) -> str:
        """The address of the list; `more`: parameters beside its own."""
        return url_for("products.index", **{**self.arguments(), **more})

    def place(self, key: str) -> str:
        """A place in this list, as the address of a product's page carries it (`Place`)."""
        return urlencode({**self.arguments(), "at": key})

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Each condition in words, and the address of the list without it."""
        only, none = self.only, products.Filter()
        for name, words in (
            ("search", f"“{only.search}”"),
            ("category", f"category {only.category}"),
            ("brand", f"brand {only.brand}"),
            ("label", f"label {only.label}"),
            ("variant_group", f"variant group {only.variant_group}"),
            ("few_photos", "no photo" if only.few_photos == 1 else f"fewer than {only.few_photos} photos"),
            ("never_recognized", "never recognized"),
            ("with_warnings", "photos with warnings"),
            ("pending", "not searchable yet"),
            ("retired", "retired"),
        ):
            if getattr(only, name) != getattr(none, name):
                yield words, replace(self, only=replace(only, **{name: getattr(none, name)})).url()

    def shown_as(self, *, table: bool) -> str:
        """The address of the same list as a table, or as tiles."""
        return replace(self, table=table).url()


@dataclass(frozen=True)
class Place:
    """Where in a list a product's page was opened: the list, and the products before and after it."""

    query: ListQuery
    before: products.Neighbor | None
    after: products.Neighbor | None

    @classmethod
    def of(cls, carried: str, sku: str) -> Place | None:
        """What the address of the product's page says of the list (`ListQuery.place`); None if that is nothing."""
        given = MultiDict(parse_qsl(carried[:LONGEST]))
        if not (key := given.get("at", "")):
            return None
        query = ListQuery.of(given)
        return cls(query, *products.beside(catalog().database, query.only, key, order=query.order, sku=sku))


def carry_place(endpoint: str, values: dict[str, Any]) -> None:
    """Addresses about the product that a page is about keep its place in the list, through every form and redirect."""
    same = has_request_context() and values.get("sku") == (request.view_args or {}).get("sku")
    if same and (carried := request.args.get("list")):
        values.setdefault("list", carried)


def offered() -> dict[str, Any]:
    """What the filters of the list offer, for its templates."""
    facets = products.facets(catalog().database)
    return {
        "orders": ORDERS,
        "states": STATES,
        "categories": facets.categories,
        "brands": facets.brands,
        "labels": facets.labels,
    }

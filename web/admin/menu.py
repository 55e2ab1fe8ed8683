"""The menu of the staff's pages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """An entry of the menu; `often`: one that a wide screen shows in its bar, beside the others behind "More"."""

    endpoint: str
    label: str
    often: bool = False


MENU = (
    Item("products.index", "Products", often=True),
    Item("add.index", "Add a product", often=True),
    Item("inbox.index", "Not recognized", often=True),
    Item("try.index", "Try a photo", often=True),
    Item("overview.index", "Overview"),
    Item("needs_work.index", "Needs work"),
    Item("duplicates.index", "Duplicates"),
    Item("map.index", "Map"),
    Item("bin.index", "Bin"),
    Item("imports.index", "Import"),
    Item("jobs.index", "Jobs"),
    Item("models.index", "Models"),
    Item("keys.index", "Keys"),
    Item("webhooks.index", "Webhooks"),
    Item("people.index", "People"),
    Item("audit.index", "Audit log"),
)

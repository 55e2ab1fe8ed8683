"""The inbox: photos of tills that were not recognized, or wrongly, and what the staff makes of them."""

from __future__ import annotations

from catalog.inbox.asking_again import ask_again
from catalog.inbox.deciding import (
    add_to_product,
    barcodes_on,
    create_product,
    discard,
    not_ours,
    ours_again,
    read_photos,
)
from catalog.inbox.grouping import (
    Candidate,
    Dismissed,
    Group,
    Inbox,
    Item,
    Order,
    dismissed,
    find_group,
    groups,
    picture,
)

__all__ = [
    "Candidate",
    "Dismissed",
    "Group",
    "Inbox",
    "Item",
    "Order",
    "add_to_product",
    "ask_again",
    "barcodes_on",
    "create_product",
    "discard",
    "dismissed",
    "find_group",
    "groups",
    "not_ours",
    "ours_again",
    "picture",
    "read_photos",
]

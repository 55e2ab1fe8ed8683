"""The inbox: photos of tills that were not recognized, or wrongly, and what the staff makes of them."""

from __future__ import annotations

from catalog.inbox.asking_again import ask_again
from catalog.inbox.deciding import add_to_product, discard, not_ours, read_photos, settle
from catalog.inbox.grouping import Candidate, Group, Inbox, Item, find_group, groups, picture

__all__ = [
    "Candidate",
    "Group",
    "Inbox",
    "Item",
    "add_to_product",
    "ask_again",
    "discard",
    "find_group",
    "groups",
    "not_ours",
    "picture",
    "read_photos",
    "settle",
]

"""Products and their photos: the use cases of the staff, one transaction each."""

from __future__ import annotations

from catalog.products import barcode_owners, conflicts
from catalog.products.adding import MAX_PHOTOS, AddResult, add_photos, create
from catalog.products.amending import FactChange, amend, differences
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.changing import change, get, pending_photos, set_active, set_labels
from catalog.products.deleting import (
    Deleted,
    DeletedPage,
    Undeleted,
    delete_photo,
    delete_photos,
    delete_product,
    list_deleted,
    undelete,
)
from catalog.products.facts import ATTRIBUTE, Facts, check_facts, given_facts
from catalog.products.history import Change, Difference, History, list_changes, revert
from catalog.products.intake import Intake, PhotoResult
from catalog.products.listing import (
    Counts,
    Filter,
    Page,
    Suggestions,
    categories,
    counts,
    labels,
    list_page,
    suggestions,
)
from catalog.products.merging import merge, purge, rename
from catalog.products.photo_edits import (
    crop_photo,
    move_photo,
    move_photos,
    replace_photo,
    rotate_photo,
    set_cover,
    uncrop_photo,
)

__all__ = [
    "ATTRIBUTE",
    "MAX_PHOTOS",
    "AddResult",
    "Change",
    "Counts",
    "Deleted",
    "DeletedPage",
    "Difference",
    "FactChange",
    "Facts",
    "Filter",
    "FoundBarcode",
    "History",
    "Intake",
    "Page",
    "PhotoResult",
    "Suggestions",
    "Undeleted",
    "add_photos",
    "amend",
    "barcode_owners",
    "categories",
    "change",
    "check_facts",
    "conflicts",
    "counts",
    "create",
    "crop_photo",
    "delete_photo",
    "delete_photos",
    "delete_product",
    "differences",
    "get",
    "given_facts",
    "labels",
    "list_changes",
    "list_deleted",
    "list_page",
    "merge",
    "move_photo",
    "move_photos",
    "pending_photos",
    "purge",
    "rename",
    "replace_photo",
    "revert",
    "rotate_photo",
    "set_active",
    "set_cover",
    "set_labels",
    "suggestions",
    "uncrop_photo",
    "undelete",
]

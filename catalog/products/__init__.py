"""Products and their photos: the use cases of the staff, one transaction each."""

from __future__ import annotations

from catalog.products import barcode_owners, duplicates, side_by_side
from catalog.products.adding import MAX_PHOTOS, AddResult, add_photos, create
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.changing import change, get, pending_photos, set_active, set_labels
from catalog.products.comparing import Comparing, compare_all
from catalog.products.differing import set_different
from catalog.products.facts import Facts, check_facts
from catalog.products.intake import Intake, PhotoResult
from catalog.products.listing import Counts, Filter, Page, categories, counts, labels, list_page
from catalog.products.merging import Taken, merge, purge, rename
from catalog.products.photo_edits import crop_photo, delete_photo, move_photo, replace_photo, uncrop_photo

__all__ = [
    "MAX_PHOTOS",
    "AddResult",
    "Comparing",
    "Counts",
    "Facts",
    "Filter",
    "FoundBarcode",
    "Intake",
    "Page",
    "PhotoResult",
    "Taken",
    "add_photos",
    "barcode_owners",
    "categories",
    "change",
    "check_facts",
    "compare_all",
    "counts",
    "create",
    "crop_photo",
    "delete_photo",
    "duplicates",
    "get",
    "labels",
    "list_page",
    "merge",
    "move_photo",
    "pending_photos",
    "purge",
    "rename",
    "replace_photo",
    "set_active",
    "set_different",
    "set_labels",
    "side_by_side",
    "uncrop_photo",
]

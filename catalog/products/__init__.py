"""Products and their photos: the use cases of the staff, one transaction each."""

from __future__ import annotations

from catalog.enrollment.photo_rows import photo_of
from catalog.products import barcode_owners, conflicts, duplicates, facts, side_by_side
from catalog.products.adding import MAX_PHOTOS, AddResult, add_photos, create, told_again
from catalog.products.amending import FactChange, amend, differences
from catalog.products.barcode_owners import FoundBarcode
from catalog.products.bulk_changing import ACTIONS as BULK_ACTIONS
from catalog.products.bulk_changing import (
    BulkChange,
    BulkResult,
    Chosen,
    bulk_entry,
    change_many,
    chosen_skus,
    undo,
)
from catalog.products.changing import change, get, pending_photos, set_active, set_labels
from catalog.products.comparing import Comparing, compare_all
from catalog.products.counting import Counts, Facets, Suggestions, counts, facets, suggestions
from catalog.products.deleting import (
    Deleted,
    DeletedPage,
    Undeleted,
    delete_for_good,
    delete_photos,
    delete_product,
    list_deleted,
    undelete,
)
from catalog.products.differing import set_different
from catalog.products.facts import ATTRIBUTE, Facts, check_facts, given_facts
from catalog.products.filtering import Filter
from catalog.products.history import Change, Difference, History, change_of, compared, list_changes, revert
from catalog.products.intake import RETIRED, Intake, PhotoResult
from catalog.products.listing import Neighbor, Page, Part, beside, list_page, list_part
from catalog.products.merging import Taken, merge, purge, rename
from catalog.products.ordering import ORDERS, Order
from catalog.products.photo_edits import (
    crop_photo,
    move_photos,
    replace_photo,
    replaced_again,
    rotate_photo,
    set_cover,
    uncrop_photo,
)
from catalog.products.putting import put
from catalog.products.updating import Update, update
from catalog.storage.product_rows import tag

__all__ = [
    "ATTRIBUTE",
    "BULK_ACTIONS",
    "MAX_PHOTOS",
    "ORDERS",
    "RETIRED",
    "AddResult",
    "BulkChange",
    "BulkResult",
    "Change",
    "Chosen",
    "Comparing",
    "Counts",
    "Deleted",
    "DeletedPage",
    "Difference",
    "Facets",
    "FactChange",
    "Facts",
    "Filter",
    "FoundBarcode",
    "History",
    "Intake",
    "Neighbor",
    "Order",
    "Page",
    "Part",
    "PhotoResult",
    "Suggestions",
    "Taken",
    "Undeleted",
    "Update",
    "add_photos",
    "amend",
    "barcode_owners",
    "beside",
    "bulk_entry",
    "change",
    "change_many",
    "change_of",
    "check_facts",
    "chosen_skus",
    "compare_all",
    "compared",
    "conflicts",
    "counts",
    "create",
    "crop_photo",
    "delete_for_good",
    "delete_photos",
    "delete_product",
    "differences",
    "duplicates",
    "facets",
    "facts",
    "get",
    "given_facts",
    "list_changes",
    "list_deleted",
    "list_page",
    "list_part",
    "merge",
    "move_photos",
    "pending_photos",
    "photo_of",
    "purge",
    "put",
    "rename",
    "replace_photo",
    "replaced_again",
    "revert",
    "rotate_photo",
    "set_active",
    "set_cover",
    "set_different",
    "set_labels",
    "side_by_side",
    "suggestions",
    "tag",
    "told_again",
    "uncrop_photo",
    "undelete",
    "undo",
    "update",
]

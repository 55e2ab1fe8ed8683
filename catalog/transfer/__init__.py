"""Bulk import and export: folders, CSV, zip."""

from __future__ import annotations

from catalog.transfer.exporting import count_photos, export, export_list, photo_bytes
from catalog.transfer.importing import import_items
from catalog.transfer.product_csv import parse_mapping
from catalog.transfer.sources import Item, Source, open_source
from catalog.transfer.validating import validate

__all__ = [
    "Item",
    "Source",
    "count_photos",
    "export",
    "export_list",
    "import_items",
    "open_source",
    "parse_mapping",
    "photo_bytes",
    "validate",
]

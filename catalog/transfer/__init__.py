"""Bulk import and export: folders, CSV, zip."""

from __future__ import annotations

from catalog.transfer.exporting import count_photos, export
from catalog.transfer.importing import Report, import_items
from catalog.transfer.previewing import Line, ignored, preview
from catalog.transfer.product_csv import parse_mapping
from catalog.transfer.sources import Item, Source, open_source

__all__ = [
    "Item",
    "Line",
    "Report",
    "Source",
    "count_photos",
    "export",
    "ignored",
    "import_items",
    "open_source",
    "parse_mapping",
    "preview",
]

"""Bulk import and export: folders, CSV, zip."""

from __future__ import annotations

from catalog.transfer import import_errors, import_jobs, import_orders, uploads
from catalog.transfer.exporting import LEFT_OUT, count_photos, export, export_download, export_list
from catalog.transfer.import_worker import ImportWorker
from catalog.transfer.importing import Report, import_items
from catalog.transfer.previewing import Line, ignored, preview
from catalog.transfer.product_csv import COLUMNS, parse_mapping
from catalog.transfer.sources import Item, Source, open_source

__all__ = [
    "COLUMNS",
    "LEFT_OUT",
    "ImportWorker",
    "Item",
    "Line",
    "Report",
    "Source",
    "count_photos",
    "export",
    "export_download",
    "export_list",
    "ignored",
    "import_errors",
    "import_items",
    "import_jobs",
    "import_orders",
    "open_source",
    "parse_mapping",
    "preview",
    "uploads",
]

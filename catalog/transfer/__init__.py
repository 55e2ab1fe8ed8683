"""Many products in and out: folders, CSV, zip."""

from __future__ import annotations

from catalog.transfer.exporting import count, export
from catalog.transfer.importing import run
from catalog.transfer.product_csv import parse_mapping
from catalog.transfer.sources import Item, Source, opened
from catalog.transfer.validating import check

__all__ = ["Item", "Source", "check", "count", "export", "opened", "parse_mapping", "run"]

"""Barcode reading from photos, and GTIN validation."""

from __future__ import annotations

from embedder.barcodes import gtin
from embedder.barcodes.reader import Barcode, Place, read_barcodes

__all__ = ["Barcode", "Place", "gtin", "read_barcodes"]

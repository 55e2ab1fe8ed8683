"""Barcode reading from photos, and GTIN validation."""

from __future__ import annotations

from embedder.barcodes import gtin
from embedder.barcodes.reader import WANT, Barcode, Place, read, read_barcodes

__all__ = ["WANT", "Barcode", "Place", "gtin", "read", "read_barcodes"]

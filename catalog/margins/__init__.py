"""Margins by product: fitted from what the catalog's own photos are answered, kept in SQL, made anew on change."""

from __future__ import annotations

from catalog.margins.evidence import PAGE, fit_all, note_change, products_to_ask, wrong_margins
from catalog.margins.leaving_out import SAME_VISIT, visits
from catalog.margins.listing import NeededMargin, Rival, needed_margin, needed_margins, rivals
from catalog.margins.upkeep import Upkeep, aim_of, refresh

__all__ = [
    "PAGE",
    "SAME_VISIT",
    "NeededMargin",
    "Rival",
    "Upkeep",
    "aim_of",
    "fit_all",
    "needed_margin",
    "needed_margins",
    "note_change",
    "products_to_ask",
    "refresh",
    "rivals",
    "visits",
    "wrong_margins",
]

"""Product -> people and tills: staff pages and the POS API. Thin: parse, one call into catalog/, render."""

from __future__ import annotations

from web.app import create_app

__all__ = ["create_app"]

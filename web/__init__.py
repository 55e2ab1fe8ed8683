"""Staff pages and the POS API. Thin: parse the request, one call into catalog/, render the response."""

from __future__ import annotations

from web.app import create_app

__all__ = ["create_app"]

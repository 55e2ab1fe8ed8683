"""Staff pages and the POS API. Thin: parse the request, one call into catalog/, render the response.

Imports nothing by itself: `python -m web` must be able to take a signal before it loads the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """`create_app`, loaded when it is asked for."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from web.app import create_app

    return create_app

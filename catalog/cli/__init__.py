"""`catalog`: the command line of the staff and the operator."""

from __future__ import annotations

from catalog.cli.main import main

__all__ = ["main"]

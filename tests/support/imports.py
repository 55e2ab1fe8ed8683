"""Imports in tests."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.storage import Database
from catalog.transfer import Item, preview


def errors_of(database: Database, items: Sequence[Item]) -> list[str]:
    """All errors of a source, by line."""
    return [f"{line.source}: {error}" for line in preview(database, items) for error in line.errors]

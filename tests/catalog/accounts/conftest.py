"""The parts of a catalog that accounts use: opening all of it would be most of these tests' time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from catalog.storage import Database, LastUses
from catalog.storage.tables import Base


@dataclass(frozen=True)
class Parts:
    database: Database
    uses: LastUses


@pytest.fixture
def catalog(database_url: str, tmp_path: Path) -> Iterator[Parts]:
    (tmp_path / "data").mkdir(exist_ok=True)
    database = Database(database_url)
    Base.metadata.create_all(database.engine)
    yield Parts(database, LastUses(database))
    database.close()

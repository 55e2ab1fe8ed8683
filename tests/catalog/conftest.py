"""A second catalog, and what a gallery is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from catalog.catalog import Catalog
from catalog.config import Settings


@pytest.fixture
def target_env(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """A catalog of another host: its own folder, without any bundle."""
    data = tmp_path / "target"
    kind = getattr(request, "param", "sqlite")
    database = f"sqlite:///{data / 'catalog.db'}" if kind == "sqlite" else request.getfixturevalue("second_schema")
    return {"CATALOG_DATA": str(data), "CATALOG_DATABASE": database}


@pytest.fixture
def target(target_env: dict[str, str]) -> Iterator[Catalog]:
    opened = Catalog.open(Settings.from_env(target_env))
    yield opened
    opened.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "backup.tar"


@pytest.fixture
def asked(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many hits each search of the catalog's gallery asks for."""
    limits: list[int] = []
    real = catalog.gallery.real.search

    def search(generation: str, vector: Any, limit: int, **only: Any) -> Any:
        limits.append(limit)
        return real(generation, vector, limit, **only)

    monkeypatch.setattr(catalog.gallery.real, "search", search)
    return limits


@pytest.fixture
def statements(catalog: Catalog) -> list[str]:
    """What the catalog's database is asked."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append(statement)

    event.listen(catalog.database.engine, "before_cursor_execute", note)
    return asked

"""The app of a catalog of a test's own, which one person can sign in to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from tests.support.catalogs import open_catalog
from tests.support.staff import NAME, PASSWORD
from web import create_app


@contextmanager
def open_app(data: Path, open_catalog: Callable[[Settings], Catalog] = open_catalog) -> Iterator[Flask]:
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(data)}))
    accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
    yield create_app(catalog, "a key for tests only, long enough")
    catalog.close()

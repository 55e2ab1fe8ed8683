"""The API has an app of its own, so that its products and barcodes are not those of the pages' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from tests.support.staff import NAME, PASSWORD
from web import create_app


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    data: Path = tmp_path_factory.mktemp("api")
    catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(data)}))
    accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
    yield create_app(catalog, "a key for tests only, long enough")
    catalog.close()


@pytest.fixture(scope="session")
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


@pytest.fixture(scope="session")
def key(catalog: Catalog) -> str:
    return accounts.add_key(catalog.database, "till of the tests", accounts.SCOPES, actor="test").key

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from tests.support.staff import NAME, PASSWORD, Staff
from web import create_app
from web.security import limiter


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One app on the embedded default; tests keep apart by their SKUs."""
    data: Path = tmp_path_factory.mktemp("web")
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


@pytest.fixture
def till(app: Flask, key: str) -> FlaskClient:
    """A program with a key."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def anybody(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def staff(app: Flask) -> Staff:
    limiter.reset()
    return Staff(app.test_client())

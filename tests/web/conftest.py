from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts
from catalog.catalog import Catalog
from tests.support.apps import open_app
from tests.support.staff import Staff
from web.security import limiter


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One app on the embedded default; tests keep apart by their SKUs."""
    with open_app(tmp_path_factory.mktemp("web"), Catalog.open) as app:
        yield app


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

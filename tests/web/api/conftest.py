"""The API has an app of its own, so that its products and barcodes are not those of the pages' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import delete, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.storage.tables import NamedRequest
from tests.support.apps import open_app


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with open_app(tmp_path_factory.mktemp("api"), Catalog.open) as app:
        yield app


@pytest.fixture(scope="session")
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


@pytest.fixture(scope="session")
def key(catalog: Catalog) -> str:
    return accounts.add_key(catalog.database, "till of the tests", accounts.SCOPES, actor="test").key


@pytest.fixture
def lose_answers(catalog: Catalog) -> Iterator[Callable[[], None]]:
    """Forgets the answers that are kept, as if each process had been killed before it kept one."""

    def lose() -> None:
        with catalog.database.write() as session:
            session.execute(update(NamedRequest).values(status=None, headers=None, body=None))

    yield lose
    with catalog.database.write() as session:
        session.execute(delete(NamedRequest))

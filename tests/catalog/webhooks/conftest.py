from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from catalog.catalog import Catalog
from tests.support.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def near(catalog: Catalog) -> Catalog:
    """A catalog whose webhooks may reach this machine."""
    return replace(catalog, settings=replace(catalog.settings, webhook_private=True))

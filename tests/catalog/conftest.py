"""The galleries that keep one contract."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from galleries import DIM, GENERATION, OTHER
from qdrant_client import QdrantClient

from catalog.gallery import Gallery
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.server import ServerGallery


@pytest.fixture(params=["edge", "local", "server"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    opened: Gallery
    if request.param == "edge":
        opened = EdgeGallery(tmp_path / "gallery", lock_wait=0)
    elif request.param == "local":
        opened = ServerGallery(QdrantClient(":memory:"))
    elif url := os.environ.get("QDRANT_TEST_URL"):
        opened = ServerGallery.open(url, os.environ.get("QDRANT_TEST_API_KEY"), timeout=10)
    else:
        pytest.skip("QDRANT_TEST_URL is not set")
    yield opened
    opened.drop(GENERATION)
    opened.drop(OTHER)
    opened.close()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[EdgeGallery]:
    opened = EdgeGallery(tmp_path, lock_wait=0)
    opened.create(GENERATION, DIM)
    yield opened
    opened.close()

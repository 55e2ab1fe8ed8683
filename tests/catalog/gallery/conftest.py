"""The galleries that keep one contract."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from catalog.config import ServerOptions
from catalog.gallery import Gallery
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.server import ServerGallery
from tests.support.galleries import DIM, GENERATION, OTHER
from tests.support.qdrants import grpc_qdrant, http_qdrant


@pytest.fixture(params=["edge", "local", "http", "grpc", "server", "server by gRPC"])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    """Embedded; in memory; that behind sockets of ours (see qdrants.py); a real server, where there is one."""
    with ExitStack() as stack:
        opened = open_kind(request.param, tmp_path, stack)
        yield opened
        opened.drop(GENERATION)
        opened.drop(OTHER)
        opened.close()


def open_kind(kind: str, folder: Path, stack: ExitStack) -> Gallery:
    if kind == "edge":
        return EdgeGallery(folder / "gallery", lock_wait=0)
    if kind == "local":
        return ServerGallery({"local mode": QdrantClient(":memory:")})
    if kind == "http":
        return ServerGallery.open(stack.enter_context(http_qdrant()).url, None, ServerOptions())
    if kind == "grpc":
        port = stack.enter_context(grpc_qdrant()).port
        return ServerGallery.open("http://127.0.0.1:6333", None, ServerOptions(grpc_port=port))
    url, port = os.environ.get("QDRANT_TEST_URL"), os.environ.get("QDRANT_TEST_GRPC")
    if not url:
        pytest.skip("QDRANT_TEST_URL is not set")
    if kind == "server by gRPC" and not port:
        pytest.skip("QDRANT_TEST_GRPC is not set")
    options = ServerOptions(timeout=10, grpc_port=int(port or 0) if kind == "server by gRPC" else None)
    return ServerGallery.open(url, os.environ.get("QDRANT_TEST_API_KEY"), options)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[EdgeGallery]:
    opened = EdgeGallery(tmp_path, lock_wait=0)
    opened.create(GENERATION, DIM)
    yield opened
    opened.close()

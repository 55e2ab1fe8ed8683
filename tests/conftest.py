"""Fixtures for all packages: a catalog on each database, and model bundles to switch between."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One of several processes that share the tests computes on one core: the others have their own. Before NumPy and
# TensorFlow are imported, and for the programs that a test starts.
if "PYTEST_XDIST_WORKER" in os.environ:
    for limit in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(limit, "1")

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import GalleryUnavailableError
from catalog.gallery import Gallery, open_gallery
from embedder.bundle import RELEASED, Bundle, BundleParts, load_bundle, rewrite_bundle, write_bundle
from tests.support import catalogs

POSTGRES = os.environ.get("CATALOG_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a PostgreSQL server, whichever way it asks for one."""
    for item in items:
        drawn = getattr(item, "callspec", None)
        by_parameter = drawn is not None and "postgresql" in map(str, drawn.params.values())
        if by_parameter or {"postgres", "postgres_url", "second_schema"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Engine | None]:
    """A database of this run's own on the PostgreSQL server; None without a server."""
    pytest.importorskip("psycopg")
    server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
    name = f"catalog_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except OperationalError:
        server.dispose()
        yield None
        return
    engine = create_engine(server.url.set(database=name), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@contextmanager
def schema(postgres: Engine | None) -> Iterator[str]:
    """The URL of an empty schema, dropped at the end; without a server the test is skipped."""
    if postgres is None:
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    name = f"test_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    yield postgres.url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with postgres.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


@pytest.fixture
def postgres_url(postgres: Engine | None) -> Iterator[str]:
    """An empty schema of the test's own."""
    with schema(postgres) as url:
        yield url


@pytest.fixture
def second_schema(postgres: Engine | None) -> Iterator[str]:
    """An empty schema beside the one of `postgres_url`."""
    with schema(postgres) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'catalog.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of bundles for all tests and their photo stores: a catalog copies one only when it is not there."""
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture
def env(tmp_path: Path, database_url: str, bundles: Path) -> dict[str, str]:
    """The settings of a catalog, as environment variables."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "photos").mkdir()
    for folder in (data, data / "photos"):
        (folder / "bundles").symlink_to(bundles)
    return {"CATALOG_DATA": str(data), "CATALOG_DATABASE": database_url}


class SwitchableGallery:
    """The real gallery, that can be out of reach for a while."""

    def __init__(self, real: Gallery) -> None:
        self.real, self.on = real, True

    def __getattr__(self, name: str) -> Any:
        if not self.on and name not in ("close", "release", "disk_bytes"):
            raise GalleryUnavailableError("The gallery is switched off.")
        return getattr(self.real, name)


@pytest.fixture
def open_catalog(env: dict[str, str]) -> Iterator[Callable[[], Catalog]]:
    """Opens the test's catalog, as often as wanted; its gallery can be switched off."""
    opened: list[Catalog] = []

    def open_it() -> Catalog:
        settings = Settings.from_env(env)
        real = open_gallery(settings.gallery, api_key=settings.gallery_api_key, options=settings.gallery_options)
        catalog = catalogs.open_catalog(settings, SwitchableGallery(real))
        opened.append(catalog)
        return catalog

    yield open_it
    for catalog in opened:
        catalog.close()


@pytest.fixture
def catalog(open_catalog: Callable[[], Catalog]) -> Catalog:
    """An empty catalog."""
    return open_catalog()


@pytest.fixture(scope="session")
def other_bundle() -> Bundle:
    """The other bundle that ships: of another id, and of the same dimension."""
    return load_bundle(RELEASED.with_name("released-mobilenetv3large"))


@pytest.fixture(scope="session")
def equal_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The released bundle under another id: it answers the same."""
    return rewrite_bundle(load_bundle(RELEASED), tmp_path_factory.mktemp("equal") / "bundle", training={"of": "a test"})


@pytest.fixture(scope="session")
def worse_bundle(tmp_path_factory: pytest.TempPathFactory, equal_bundle: Bundle) -> Bundle:
    """A whole and valid bundle to which all photos look alike: the weights of each of its large layers are shuffled."""
    whole = equal_bundle.model_path.read_bytes()
    model, interpreter = bytearray(whole), Interpreter(model_content=whole)
    for tensor in interpreter.get_tensor_details():
        if tensor["dtype"] == np.float16 and np.prod(tensor["shape"]) > 20_000:
            values = interpreter.get_tensor(tensor["index"])
            there = whole.index(values.tobytes())
            np.random.default_rng(1).shuffle(np.frombuffer(model, np.float16, values.size, there))
    parts = BundleParts(
        bytes(model),
        name="worse",
        version="1",
        dim=equal_bundle.dim,
        size=equal_bundle.size,
        thresholds=equal_bundle.thresholds,
    )
    return write_bundle(tmp_path_factory.mktemp("worse") / "bundle", parts)


@pytest.fixture(scope="session")
def numberless_bundle(tmp_path_factory: pytest.TempPathFactory, other_bundle: Bundle) -> Bundle:
    """A whole and valid bundle, some of whose weights are NaN, as of a training that diverged."""
    model = bytearray(other_bundle.model_path.read_bytes())
    middle = len(model) // 2 // 16 * 16
    model[middle : middle + 4096] = b"\x00\x7e" * 2048  # float16 NaN
    parts = BundleParts(
        bytes(model), name="diverged", version="1", dim=other_bundle.dim, size=other_bundle.size, training={}
    )
    return write_bundle(tmp_path_factory.mktemp("diverged") / "bundle", parts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)

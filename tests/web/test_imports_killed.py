"""The real server, killed in the middle of an import and started again: the import goes on, and tills are answered."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog import accounts, products, transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, ImportJob
from catalog.transfer import ImportWorker, import_jobs
from catalog.transfer.import_jobs import Piece
from tests.support.connections import ask, head
from tests.support.pictures import jpeg
from tests.support.served import environment, served

pytestmark = pytest.mark.slow

PRODUCTS = 60


def begun(settings: Settings) -> tuple[uuid.UUID, str]:
    """An import of folders that waits to be run, and a till's key."""
    catalog = Catalog.open(settings)
    job = import_jobs.start(catalog, "folders", actor="anna")
    files = {f"in/S{number}/1.jpg": jpeg(number) for number in range(PRODUCTS)}
    import_jobs.add_files(catalog, job, [Piece(path, 0, io.BytesIO(data)) for path, data in files.items()])
    import_jobs.complete(catalog, job)
    assert ImportWorker(catalog).step()
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    key = accounts.add_key(catalog.database, "till", actor="test").key
    catalog.close()
    return job, key


def wait_for(database: Database, job: uuid.UUID, ready: Callable[[ImportJob], bool]) -> ImportJob:
    deadline = time.monotonic() + 90
    while not ready(found := import_jobs.get(database, job)):
        assert time.monotonic() < deadline, (found.state, found.counts)
        time.sleep(0.05)
    return found


def test_an_import_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"))
    settings = Settings.from_env(env)
    job, key = begun(settings)
    database = Database(settings.database)
    with served(tmp_path / "first.log", env) as server:
        wait_for(database, job, lambda found: found.counts.get("products", 0) > 1)
        photo = jpeg(0)
        fields = {"Authorization": f"Bearer {key}", "Content_Type": "image/jpeg", "Content_Length": len(photo)}
        port = int(server.url.rpartition(":")[2])
        assert ask(port, head("POST /api/v1/recognize", **fields) + photo).status == 200
        server.process.kill()
        server.process.wait()
    assert import_jobs.get(database, job).state == "running"
    kept = transfer.count_photos(database)
    assert 1 < kept < PRODUCTS
    with served(tmp_path / "second.log", env):
        done = wait_for(database, job, lambda found: found.state not in ("waiting", "running"))
    assert (done.state, done.errors, done.counts["pending"]) == ("done", [], 0)
    counts = products.counts(database)
    assert (counts.products, counts.photos, counts.pending) == (PRODUCTS, PRODUCTS, 0)
    with database.read() as session:
        created = session.scalar(select(func.count()).where(AuditEntry.action == "product.create"))
    assert created == PRODUCTS  # nothing was added twice
    database.close()

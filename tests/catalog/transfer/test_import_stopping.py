"""A server that stops in the middle of an import: at once, and it is no crash; and one that another one gives up."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from catalog import enrollment, products
from catalog.catalog import Catalog
from catalog.storage.tables import ImportJob
from catalog.transfer import ImportWorker, import_jobs, import_worker
from tests.support.imports import many, state, uploaded
from tests.support.pictures import jpeg


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Photos are read one at a time, as this is released."""
    allowed, read_photo = threading.Semaphore(0), enrollment.read_photo

    def slow(*arguments: Any, **more: Any) -> Any:
        assert allowed.acquire(timeout=30)
        return read_photo(*arguments, **more)

    monkeypatch.setattr(enrollment, "read_photo", slow)
    yield allowed
    allowed.release(1000)


def attempts(catalog: Catalog, job: uuid.UUID) -> int:
    return import_jobs.get(catalog.database, job).attempts


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_stop_counts_for_nothing_even_if_it_is_not_waited_for(catalog: Catalog, reading: threading.Semaphore) -> None:
    job = many(catalog, 3)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    worker = ImportWorker(catalog)
    worker.start()
    wait_for(lambda: state(catalog, job) == "running")
    assert attempts(catalog, job) == 1
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_for(lambda: attempts(catalog, job) == 0)
    assert stopping.is_alive(), "a photo is still being read"
    reading.release(1000)
    stopping.join(30)
    assert (state(catalog, job), attempts(catalog, job)) == ("running", 0)
    assert ImportWorker(catalog).step()
    assert products.counts(catalog.database) == products.Counts(3, 3, 0)


def test_what_is_read_ahead_does_not_hold_up_a_stop(catalog: Catalog, reading: threading.Semaphore) -> None:
    job = uploaded(catalog, {f"in/S/{seed}.jpg": jpeg(seed) for seed in range(20)})
    ImportWorker(catalog).step()
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    worker = ImportWorker(catalog)
    worker.start()
    wait_for(lambda: state(catalog, job) == "running")
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_for(worker._stop.is_set)
    for _ in range(8):  # the one that is being read, and those that are begun until the import sees that it is through
        reading.release()
        stopping.join(1)
    assert not stopping.is_alive(), "it does not wait for all 16 that are to be read ahead"
    assert products.counts(catalog.database).products == 0


def test_an_import_is_given_up_only_when_no_server_is_at_it(
    catalog: Catalog, tmp_path: Path, reading: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = many(catalog, 3)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    worker = ImportWorker(catalog)
    worker.start()
    wait_for(lambda: state(catalog, job) == "running")
    other = ImportWorker(replace(catalog, settings=replace(catalog.settings, data=tmp_path / "elsewhere")))
    monkeypatch.setattr(import_worker, "LOST_AFTER", 0.0)
    for _ in range(3):
        assert not other.step()
    assert state(catalog, job) == "running", "it takes long over a photo, and is not lost"
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    wait_for(worker._stop.is_set)
    reading.release(1000)
    stopping.join(30)
    assert not other.step() and not other.step()
    assert state(catalog, job) == "failed"


def test_a_server_leaves_an_import_that_another_one_has_ended(
    catalog: Catalog, reading: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_worker, "TELL_EVERY", 0.0)
    job = many(catalog, 3)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    worker = ImportWorker(catalog)
    stepping = threading.Thread(target=worker.step)
    stepping.start()
    wait_for(lambda: state(catalog, job) == "running")
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == job).values(state="failed", message="lost"))
    reading.release(1000)
    stepping.join(30)
    found = import_jobs.get(catalog.database, job)
    assert (found.state, found.message) == ("failed", "lost")
    assert products.counts(catalog.database).products < 3

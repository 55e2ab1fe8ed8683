"""Uploads of the pages: their names, their limits, also of many at once, and when their files go."""

from __future__ import annotations

import io
import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, StorageError
from catalog.storage.tables import ImportJob, ImportLine, now
from catalog.transfer import ImportWorker, import_jobs, uploads
from catalog.transfer.import_jobs import Piece
from tests.support.imports import LIST, listed, many, pieces, run, state, uploaded
from tests.support.pictures import jpeg


def on_disk(catalog: Catalog, job: uuid.UUID) -> tuple[int, int]:
    """Bytes and files of an import."""
    files = [path for path in uploads.files_folder(catalog.settings, job).rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files), len(files)


def counted(catalog: Catalog, job: uuid.UUID) -> tuple[int, int]:
    found = import_jobs.get(catalog.database, job)
    return found.size, found.files


def end_at(catalog: Catalog, job: uuid.UUID, age: timedelta) -> None:
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == job).values(finished_at=now() - age))


@pytest.mark.parametrize(
    "path", ["../evil.csv", "a/../../b", "..\\b", "a\0b", "x" * 256, "", "/", "a/" * 600 + "b", "\udfff"]
)
def test_no_name_leads_out_of_the_folder(catalog: Catalog, path: str) -> None:
    job = import_jobs.start(catalog, "upload", actor="anna")
    before = set(catalog.settings.data.rglob("*"))
    with pytest.raises(InvalidInputError):
        import_jobs.add_files(catalog, job, pieces({path: b"x"}))
    assert not [found for found in set(catalog.settings.data.rglob("*")) - before if found.is_file()]


def test_a_file_comes_in_pieces_and_a_piece_may_come_again(catalog: Catalog) -> None:
    job = import_jobs.start(catalog, "upload", actor="anna")
    for offset, data in ((0, b"sku,na"), (6, b"me\nA,Tea\n"), (6, b"me\nA,Tea\n")):
        import_jobs.add_files(catalog, job, [Piece("list.csv", offset, io.BytesIO(data))])
    with pytest.raises(InvalidInputError, match="missing"):
        import_jobs.add_files(catalog, job, [Piece("list.csv", 99, io.BytesIO(b"x"))])
    path = uploads.files_folder(catalog.settings, job) / "list.csv"
    assert path.read_bytes() == b"sku,name\nA,Tea\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in (path.parent, path.parent.parent))


def test_limits_are_kept(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    with pytest.raises(InvalidInputError, match="2 files"):
        uploaded(catalog, {f"{number}.jpg": b"x" for number in range(3)})
    monkeypatch.setattr(uploads, "KEPT_FREE", 1 << 60)
    assert uploads.free_bytes(catalog.settings) == 0
    with pytest.raises(InvalidInputError, match="room"):
        uploaded(catalog, {"1.jpg": b"x"})
    monkeypatch.setattr(import_jobs, "OPEN", 2)
    with pytest.raises(ConflictError):
        import_jobs.start(catalog, "upload", actor="anna")


def test_a_full_disk_is_told(catalog: Catalog, small_disk: Path) -> None:
    (catalog.settings.data / "imports").symlink_to(small_disk)
    job = import_jobs.start(catalog, "upload", actor="anna")
    with pytest.raises(StorageError, match="No space left"):
        import_jobs.add_files(catalog, job, pieces({"a.zip": bytes(3 << 20)}))
    assert state(catalog, job) == "uploading"


@pytest.mark.parametrize(("limit", "most"), [("MAX_BYTES", 3500), ("MAX_FILES", 3)])
def test_many_uploads_at_once_keep_the_limits(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(uploads, limit, most)
    job = import_jobs.start(catalog, "upload", actor="anna")
    together = threading.Barrier(8)

    def send(number: int) -> bool:
        together.wait()
        try:
            import_jobs.add_files(catalog, job, pieces({f"{number}.jpg": bytes(1000)}))
        except InvalidInputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 3
    assert on_disk(catalog, job) == counted(catalog, job) == (3000, 3)


def test_what_is_sent_again_counts_once(catalog: Catalog) -> None:
    job = import_jobs.start(catalog, "upload", actor="anna")
    for offset, data in ((0, b""), (0, b"sku,na"), (0, b"sku,na"), (6, b"me\n"), (0, b"sku,name\nA")):
        import_jobs.add_files(catalog, job, [Piece("list.csv", offset, io.BytesIO(data))])
    assert on_disk(catalog, job) == counted(catalog, job) == (10, 1)


def test_a_broken_upload_counts_what_it_wrote(catalog: Catalog) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 2 << 20:
                raise OSError(5, "Input/output error")
            return super().read(size)

    job = import_jobs.start(catalog, "upload", actor="anna")
    sent = [Piece("1.jpg", 0, io.BytesIO(bytes(100))), Piece("2.jpg", 0, Broken(bytes(3 << 20)))]
    with pytest.raises(StorageError, match="Input/output"):
        import_jobs.add_files(catalog, job, sent)
    assert on_disk(catalog, job) == counted(catalog, job) == (100 + (2 << 20), 2)


def test_what_was_written_counts_though_nobody_had_counted_it(catalog: Catalog) -> None:
    job = import_jobs.start(catalog, "upload", actor="anna")
    with uploads.writing(catalog.settings, job) as root:  # killed before add_files counts
        uploads.write_piece(root, "S/1.jpg", 0, io.BytesIO(jpeg(1)), uploads.Growth())
    assert counted(catalog, job) == (0, 0)
    import_jobs.complete(catalog, job)
    assert on_disk(catalog, job) == counted(catalog, job) == (len(jpeg(1)), 1)


def test_an_upload_stops_when_it_is_cancelled_and_leaves_nothing(catalog: Catalog) -> None:
    job = import_jobs.start(catalog, "upload", actor="anna")
    with ThreadPoolExecutor(1) as pool:

        def sent() -> Iterator[Piece]:
            yield Piece("1.jpg", 0, io.BytesIO(b"x"))
            ending.append(pool.submit(import_jobs.cancel, catalog, job))
            while state(catalog, job) != "cancelled":
                time.sleep(0.01)
            yield Piece("2.jpg", 0, io.BytesIO(b"x"))

        ending: list[object] = []
        with pytest.raises(ConflictError):
            import_jobs.add_files(catalog, job, sent())
    assert uploads.stored(catalog.settings) == []
    assert counted(catalog, job)[1] == 0


def test_an_upload_that_is_refused_is_discarded(catalog: Catalog) -> None:
    with pytest.raises(InvalidInputError, match="a folder for each product"):
        import_jobs.upload(catalog, "two", pieces({"1.jpg": b"", "2.jpg": b""}), actor="anna")
    job = import_jobs.upload(catalog, "one", pieces({"list.csv": LIST}), actor="anna")
    assert state(catalog, job) == "columns"
    with pytest.raises(InvalidInputError, match="Choose a list"):
        import_jobs.upload(catalog, "none", [], actor="anna")
    assert [found.state for found in import_jobs.latest(catalog.database)] == ["columns", "cancelled"]
    assert uploads.stored(catalog.settings) == [str(job)]


def test_files_of_what_was_never_begun_go_when_it_is_discarded(catalog: Catalog) -> None:
    waiting, columns, checking, checked = (
        many(catalog, 1), uploaded(catalog, {"list.csv": LIST}), listed(catalog), many(catalog, 1)
    )  # fmt: skip
    import_jobs.run(catalog.database, waiting, update_facts=False, actor="anna")
    for job in (waiting, columns, checking, checked):
        import_jobs.cancel(catalog, job)
    ImportWorker(catalog).step()
    assert uploads.stored(catalog.settings) == []
    for job in (waiting, columns, checking, checked):
        assert state(catalog, job) == "cancelled"
        with pytest.raises(ConflictError, match="upload it again"):
            import_jobs.again(catalog, job, actor="anna")


def test_files_go_a_day_after_an_import_is_over(catalog: Catalog) -> None:
    over, fresh, idle = many(catalog, 1), listed(catalog), uploaded(catalog, {"list.csv": LIST})
    run(catalog, over)
    unknown = uploads.files_folder(catalog.settings, uuid.uuid4())
    unknown.mkdir(parents=True)
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == over).values(finished_at=now() - timedelta(days=2)))
        session.execute(update(ImportJob).where(ImportJob.id == idle).values(created_at=now() - timedelta(days=8)))
    import_jobs.trim(catalog)
    assert os.listdir(uploads.imports_folder(catalog.settings)) == [str(fresh)]
    assert [state(catalog, job) for job in (over, fresh, idle)] == ["done", "checking", "cancelled"]
    with catalog.database.read() as session:
        assert session.scalars(select(ImportLine).where(ImportLine.job_id == over)).all() == []


def test_a_day_begins_at_the_end_of_an_import(catalog: Catalog) -> None:
    job = many(catalog, 1)
    run(catalog, job)
    with catalog.database.write() as session:
        session.execute(update(ImportJob).values(created_at=now() - timedelta(days=9)))
    end_at(catalog, job, timedelta(hours=23))
    import_jobs.trim(catalog)
    assert uploads.stored(catalog.settings) == [str(job)]
    end_at(catalog, job, timedelta(hours=25))
    import_jobs.trim(catalog)
    assert uploads.stored(catalog.settings) == []
    assert counted(catalog, job)[1] == 0

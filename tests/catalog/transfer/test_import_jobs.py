"""Imports of the pages: uploaded in pieces, checked, run one at a time, and whole again after whatever ended them."""

from __future__ import annotations

import io
import shutil
import time
import uuid
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from catalog import products, right_of_way
from catalog.catalog import Catalog
from catalog.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from catalog.storage.tables import AuditEntry, ImportJob, now
from catalog.transfer import ImportWorker, import_jobs, import_worker, uploads
from tests.support.imports import LIST, MAPPING, listed, many, pieces, run, state, uploaded
from tests.support.pictures import jpeg


def test_a_list_is_uploaded_checked_and_imported(catalog: Catalog) -> None:
    job = uploaded(catalog, {"shop/list.csv": LIST, "shop/1.jpg": jpeg(1), "shop/2.jpg": jpeg(2)})
    assert state(catalog, job) == "columns"
    columns = import_jobs.columns(catalog, import_jobs.get(catalog.database, job))
    assert columns.headers == ["Artikel", "photos", "Titel", "Farbe"]
    assert columns.chosen == {"photos": "photos"}
    import_jobs.choose_columns(catalog, job, MAPPING)
    worker = ImportWorker(catalog)
    assert worker.step() and not worker.step()
    preview = import_jobs.preview_page(catalog.database, job, "", 0, 50)
    assert preview.counts == {"new": 2, "wrong": 1}
    assert [line.source for line in preview.lines] == ["shop/list.csv:2", "shop/list.csv:3", "shop/list.csv:4"]
    [wrong] = import_jobs.preview_page(catalog.database, job, "wrong", 0, 50).lines
    assert wrong.errors == ["shop/absent.jpg: No such file or directory"]
    assert products.counts(catalog.database).products == 0
    done = run(catalog, job)
    assert (done.state, done.counts["products"], done.counts["photos"]) == ("done", 2, 2)
    assert done.errors == ["shop/list.csv:4: shop/absent.jpg: No such file or directory"]
    tea = products.get(catalog.database, "A")
    assert (tea.name, tea.attributes, tea.photos[0].source) == ("Tea", {"Farbe": "green"}, "import")
    with catalog.database.read() as session:
        actions = session.execute(select(AuditEntry.actor, AuditEntry.action).order_by(AuditEntry.id)).all()
    assert ("anna", "import.run") in actions and ("anna", "product.create") in actions


def test_an_import_changes_facts_only_when_told(catalog: Catalog) -> None:
    job = listed(catalog)
    ImportWorker(catalog).step()
    run(catalog, job)
    for update_facts, name in ((False, "Tea"), (True, "Green tea")):
        job = uploaded(catalog, {"list.csv": b"sku,name\nA,Green tea\n"})
        import_jobs.choose_columns(catalog, job, {"sku": "sku", "name": "name"})
        ImportWorker(catalog).step()
        [line] = import_jobs.preview_page(catalog.database, job, "changed", 0, 50).lines
        assert line.changes == [["name", "Tea", "Green tea"]]
        done = run(catalog, job, update_facts=update_facts)
        assert (done.counts["changed"], done.counts["ignored"]) == (int(update_facts), int(not update_facts))
        assert products.get(catalog.database, "A").name == name


def test_folders_and_a_zip_need_no_columns(catalog: Catalog) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("TEA/1.jpg", jpeg(1))
    for files, sku in (
        ({"all/MILK/1.jpg": jpeg(2), "all/MILK/notes.txt": b"x"}, "MILK"),
        ({"a.zip": packed.getvalue()}, "TEA"),
    ):
        job = uploaded(catalog, files)
        assert state(catalog, job) == "checking"
        ImportWorker(catalog).step()
        assert run(catalog, job).counts["products"] == 1
        assert products.get(catalog.database, sku).name == sku


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "Choose a list"),
        ({"a.csv": b"sku", "b.csv": b"sku"}, "several lists"),
        ({"a.zip": b"", "1.jpg": b""}, "by itself"),
        ({"1.jpg": b"", "2.jpg": b""}, "a folder for each product"),
        ({"book.xlsx": b"PK\3\4" + bytes(30)}, "not a CSV"),
        ({"a.zip": b"no zip"}, "no zip"),
        ({"a.csv": b"sku\xff\n"}, "UTF-8"),
    ],
)
def test_what_can_not_be_imported_is_told_at_once(catalog: Catalog, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        uploaded(catalog, files)


@pytest.mark.parametrize("mapping", [{"name": "Titel"}, {"sku": "Artikel", "name": "Artikel"}, {"sku": "Nr"}])
def test_columns_that_are_not_there_or_chosen_twice(catalog: Catalog, mapping: dict[str, str]) -> None:
    job = uploaded(catalog, {"list.csv": LIST})
    with pytest.raises(InvalidInputError):
        import_jobs.choose_columns(catalog, job, mapping)
    assert state(catalog, job) == "columns"


def test_a_cancelled_import_ends_keeps_what_it_added_and_can_go_on(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_worker, "TELL_EVERY", 0.0)
    job = many(catalog, 6)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    tell, told = ImportWorker._tell, []

    def cancel_at_the_third(worker: ImportWorker, task: object, done: int, total: int) -> None:
        told.append(done)
        if done == 3:
            import_jobs.cancel(catalog, job)
        tell(worker, task, done, total)  # type: ignore[arg-type]

    monkeypatch.setattr(ImportWorker, "_tell", cancel_at_the_third)
    ImportWorker(catalog).step()
    found = import_jobs.get(catalog.database, job)
    assert (found.state, found.counts["products"], found.done) == ("cancelled", 3, 3)
    assert products.counts(catalog.database).products == 3
    import_jobs.again(catalog, job, actor="ben")
    monkeypatch.setattr(ImportWorker, "_tell", tell)
    ImportWorker(catalog).step()
    found = import_jobs.get(catalog.database, job)
    assert (found.state, found.counts["products"], found.counts["photos"]) == ("done", 6, 6)
    assert found.counts["duplicates"] == 0


def test_an_import_goes_on_while_tills_never_pause(catalog: Catalog) -> None:
    job = many(catalog, 4)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    began = time.monotonic()
    with right_of_way.asking():
        ImportWorker(catalog).step()
    taken = time.monotonic() - began
    assert state(catalog, job) == "done"
    assert right_of_way.LONGEST < taken < 4 * 2.0 + 5, "it waits, and adds a photo every second or two"


def test_an_import_that_ends_every_process_is_given_up(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    job = many(catalog, 1)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")

    class Killed(BaseException):
        """As SIGKILL would: nothing of the worker's own runs."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ImportWorker, "_import", die)
        for _ in range(import_worker.ATTEMPTS):
            with pytest.raises(Killed):
                ImportWorker(catalog).step()
    ImportWorker(catalog).step()
    assert state(catalog, job) == "failed"
    import_jobs.again(catalog, job, actor="ben")
    ImportWorker(catalog).step()
    assert state(catalog, job) == "done"


def test_a_photo_store_that_fails_ends_the_import_which_can_go_on(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = many(catalog, 2)

    def full(data: bytes) -> str:
        raise StorageError("No space left on device.")

    with monkeypatch.context() as patched:
        patched.setattr(catalog.photos, "put", full)
        found = run(catalog, job)
    assert (found.state, found.message) == ("failed", "No space left on device.")
    import_jobs.again(catalog, job, actor="ben")
    ImportWorker(catalog).step()
    assert products.counts(catalog.database).products == 2


def test_of_two_imports_and_two_workers_one_is_worked_at_at_a_time(catalog: Catalog) -> None:
    first, second = many(catalog, 1), listed(catalog)
    import_jobs.run(catalog.database, first, update_facts=False, actor="anna")
    one, other = ImportWorker(catalog), ImportWorker(catalog)
    with one._alone() as held:
        assert held and not other.step()
    assert other.step() and state(catalog, first) == "done" and state(catalog, second) == "checking"
    assert other.step() and state(catalog, second) == "checked"


def test_steps_out_of_their_order_are_refused(catalog: Catalog) -> None:
    job = listed(catalog)
    for step in (
        lambda: import_jobs.run(catalog.database, job, update_facts=False, actor="anna"),
        lambda: import_jobs.again(catalog, job, actor="ben"),
        lambda: import_jobs.add_files(catalog, job, pieces({"x.jpg": b""})),
        lambda: import_jobs.complete(catalog, job),
    ):
        with pytest.raises(ConflictError):
            step()
    with pytest.raises(NotFoundError):
        import_jobs.cancel(catalog, uuid.uuid4())


def test_only_what_was_begun_and_has_its_files_goes_on_and_the_log_says_who(catalog: Catalog) -> None:
    job = many(catalog, 1)
    run(catalog, job)
    with catalog.database.write() as session:
        ended = {"state": "failed", "finished_at": now() - timedelta(days=2)}
        session.execute(update(ImportJob).where(ImportJob.id == job).values(ended))
    import_jobs.again(catalog, job, actor="ben")
    with catalog.database.read() as session:
        query = select(AuditEntry.actor, AuditEntry.action).where(AuditEntry.subject == str(job))
        assert ("ben", "import.again") in session.execute(query).all()
    import_jobs.cancel(catalog, job)
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == job).values(ended))
    import_jobs.trim(catalog)
    with pytest.raises(ConflictError, match="files were removed"):
        import_jobs.again(catalog, job, actor="ben")
    unchecked = uploaded(catalog, {"a/1.jpg": b"x"})
    import_jobs.cancel(catalog, unchecked)
    ImportWorker(catalog).step()
    with pytest.raises(ConflictError, match="not begun"):
        import_jobs.again(catalog, unchecked, actor="ben")


def test_a_check_that_failed_is_made_again_or_the_import_is_discarded(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other, third = (listed(catalog) for _ in range(3))

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(ImportWorker, "_check", broken)
        worker = ImportWorker(catalog)
        assert worker.step() and worker.step() and worker.step()
    assert {state(catalog, job) for job in (first, other, third)} == {"failed"}
    import_jobs.again(catalog, first, actor="ben")
    import_jobs.choose_columns(catalog, other, {**MAPPING, "name": ""})
    import_jobs.cancel(catalog, third)
    assert [state(catalog, job) for job in (first, other, third)] == ["checking", "checking", "cancelled"]
    assert sorted(uploads.stored(catalog.settings)) == sorted(map(str, (first, other)))
    worker = ImportWorker(catalog)
    assert worker.step() and worker.step()
    assert run(catalog, first).counts["products"] == 2
    with catalog.database.write() as session:
        session.execute(update(ImportJob).where(ImportJob.id == first).values(state="failed"))
    with pytest.raises(ConflictError, match="has gone on"):
        import_jobs.choose_columns(catalog, first, MAPPING)
    import_jobs.cancel(catalog, first)
    assert state(catalog, first) == "failed", "what it added stays, and it can go on"


def test_an_import_whose_files_are_nowhere_fails_and_holds_up_nobody(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, other = many(catalog, 1), many(catalog, 1)
    for job in (lost, other):
        import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    uploads.remove(catalog.settings, str(lost))
    worker = ImportWorker(catalog)
    assert worker.step() and not worker.step()
    assert (state(catalog, lost), state(catalog, other)) == ("waiting", "done")
    monkeypatch.setattr(import_worker, "LOST_AFTER", 0.0)
    assert not worker.step()
    found = import_jobs.get(catalog.database, lost)
    assert found.state == "failed" and "No running server has its files" in found.message
    assert "check again" in found.message, "it was not begun, so it can't go on"


def test_a_replaced_data_folder_fails_its_imports_and_obeys_who_cancelled(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, cancelled, checking = many(catalog, 1), many(catalog, 1), listed(catalog)
    with catalog.database.write() as session:
        ran = {"state": "running", "counts": {"products": 1}}
        session.execute(update(ImportJob).where(ImportJob.id.in_((begun, cancelled))).values(ran))
    import_jobs.cancel(catalog, cancelled)
    folder = uploads.imports_folder(catalog.settings)
    shutil.rmtree(folder)
    monkeypatch.setattr(import_worker, "LOST_AFTER", 0.0)
    worker = ImportWorker(catalog)
    assert not worker.step() and not worker.step()
    ended = [import_jobs.get(catalog.database, job) for job in (begun, cancelled, checking)]
    assert [job.state for job in ended] == ["failed", "cancelled", "failed"]
    assert [job.cancel for job in ended] == [False] * 3
    assert "go on" in ended[0].message and ended[1].message == "" and "check again" in ended[2].message
    assert folder.stat().st_mode & 0o777 == 0o700


def test_who_cancels_while_it_is_being_begun_is_obeyed(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    job = many(catalog, 1)
    import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
    begin = ImportWorker._import

    def cancelled_before(worker: ImportWorker, task: Any) -> None:
        import_jobs.cancel(catalog, job)
        begin(worker, task)

    monkeypatch.setattr(ImportWorker, "_import", cancelled_before)
    ImportWorker(catalog).step()
    assert state(catalog, job) == "cancelled"
    assert products.counts(catalog.database).products == 0


def test_who_cancels_while_the_last_line_is_checked_is_obeyed(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = listed(catalog)
    write = ImportWorker._write_lines

    def cancelled_after(worker: ImportWorker, lines: Any) -> None:
        write(worker, lines)
        import_jobs.cancel(catalog, job)

    monkeypatch.setattr(ImportWorker, "_write_lines", cancelled_after)
    ImportWorker(catalog).step()
    assert state(catalog, job) == "cancelled"
    assert uploads.stored(catalog.settings) == []

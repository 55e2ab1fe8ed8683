"""A backup of a catalog that serves, and its way into an empty one on either database."""

from __future__ import annotations

import json
import stat
import tarfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import inspect, select

from catalog import accounts, maintenance, products
from catalog.backup import back_up, restore, table_rows
from catalog.backup.archive import BackupFailedError
from catalog.backup.restoring import NotEmptyError
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import run_pending
from catalog.errors import StorageError
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry, Enrollment, Feedback, Generation, RecognitionEntry, User
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.backups import content, fill
from tests.support.pictures import jpeg
from tests.support.spawning import line, spawn
from tests.support.steps import all_found, create, create_each, first


def test_every_table_is_in_it_and_every_column_can_be_written(catalog: Catalog, out: Path) -> None:
    fill(catalog)
    back_up(catalog, out)
    with tarfile.open(out) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        in_it = {name.split("/")[1] for name in tar.getnames() if name.startswith("tables/")}
    with catalog.database.engine.connect() as connection:
        there = set(inspect(connection).get_table_names()) - {"alembic_version", *table_rows.LEFT_OUT}
    assert set(manifest["rows"]) == there
    assert {name for name, count in manifest["rows"].items() if count} == in_it
    # Who adds a table adds a row of it to `fill`, so that its way there and back is tested.
    assert in_it == there, "fill() leaves a table empty"
    for table in table_rows.tables():
        for column in table.columns:
            table_rows.codec(column.type)


def test_what_is_in_the_bin_is_in_the_backup_and_can_still_be_restored(
    catalog: Catalog, target: Catalog, out: Path
) -> None:
    create_each(catalog, 1, 2)
    added = create(catalog, "A", 3, 4)
    photo = products.delete_photos(catalog, "A", [added.photos[0].id], actor="anna")
    products.delete_product(catalog, "S1", actor="anna")
    assert (done := back_up(catalog, out)).photos == 4 and not done.left_out
    restore(target, out, actor="test")
    for entry in products.list_deleted(target.database).entries:
        products.undelete(target, entry.id, actor="anna")
    while run_pending(target):
        pass
    assert all_found(target, 1, 2) and first(target, 3) == "A"
    # Bytes that are lost are no fault of the backup, as long as no product has them.
    for file in [file for file in catalog.photos.files() if file.sha256 == added.photos[0].sha256]:
        catalog.photos.remove(file, lambda written: True)
    assert not back_up(catalog, out.with_name("other.tar")).left_out
    products.undelete(catalog, photo, actor="anna")
    assert back_up(catalog, out.with_name("third.tar")).left_out


@pytest.mark.slow
@pytest.mark.parametrize("target_env", ["sqlite", "postgresql"], indirect=True)
def test_there_and_back_from_each_database_into_each(
    catalog: Catalog, target: Catalog, out: Path, other_bundle: Bundle, target_env: dict[str, str]
) -> None:
    fill(catalog)
    key = accounts.add_key(catalog.database, "till", actor="test").key
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    maintenance.rollback(catalog)
    with catalog.database.write() as session:  # a row that refers to a later one of its table
        first, second = session.scalars(select(Generation).order_by(Generation.id)).all()
        first.previous_id, second.previous_id = second.id, None
    before = content(catalog)
    seen: list[tuple[int, int]] = []
    done = back_up(catalog, out, lambda done, total: seen.append((done, total)))
    assert (done.photos, done.left_out) == (4, [])
    assert seen == [(number, 5) for number in range(1, 6)]  # the fifth is an original that is not kept
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(out.parent.iterdir()) == [out]

    read: list[tuple[int, int]] = []
    result = restore(target, out, lambda *reached: read.append(reached), actor="test")
    assert (result.photos, result.left_out, result.rows) == (4, [], done.rows)
    assert 0 < read[-1][0] <= read[-1][1] == 2 * out.stat().st_size
    assert content(target) == before
    with target.database.read() as session:
        assert not any(session.scalars(select(Enrollment.done)))
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "catalog.restore")).one()
        assert (entry.subject, entry.after) == ("backup.tar", {"products": 3, "photos": 4})
    assert {load_bundle(RELEASED).id, other_bundle.id} == {path.name for path in target.settings.bundles.iterdir()}

    assert maintenance.rebuild(target, actor="test").photos == 4
    assert all_found(target, 1, 2)
    assert recognize(target, jpeg(4)).matches[0].sku == "Ä-tea"
    assert list(maintenance.examine(target)) == []
    assert accounts.check_password(target.database, "anna", "correct horse") is not None
    assert accounts.check_key(target.database, key) is not None
    # New rows get numbers of their own, in each table that numbers them.
    accounts.add_user(target.database, "ben", "correct horse", actor="test")
    accounts.add_key(target.database, "till 2", actor="test")
    with target.database.write() as session:
        asked = session.scalars(select(RecognitionEntry.id)).one()
        session.add(Feedback(recognition_id=asked, actor="till", correct=True))
    create_each(target, 7)
    assert maintenance.reembed(target, other_bundle, switch_anyway=True).total == 5
    assert all_found(target, 1, 2, 7)
    with pytest.raises(NotEmptyError):
        restore(target, out, actor="test")


def test_after_a_restore_the_outbox_of_a_server_makes_the_gallery(catalog: Catalog, target: Catalog, out: Path) -> None:
    from catalog.enrollment import run_pending

    create_each(catalog, 1, 2)
    back_up(catalog, out)
    restore(target, out, actor="test")
    while run_pending(target):
        pass
    assert all_found(target, 1, 2)


def test_numbers_go_on_in_an_empty_table(catalog: Catalog, target: Catalog, out: Path) -> None:
    back_up(catalog, out)
    restore(target, out, actor="test")
    accounts.add_user(target.database, "anna", "correct horse", actor="test")
    with target.database.read() as session:
        assert session.scalars(select(User.id)).one() == 1


def test_a_backup_while_products_are_added(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 0)
    stop, began = threading.Event(), threading.Event()
    failures: list[Exception] = []

    def add() -> None:
        seed = 0
        try:
            while not stop.is_set():
                seed += 1
                create(catalog, f"S{seed}", seed, 1000 + seed)
                began.set()
        except Exception as error:  # told below
            failures.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    began.wait(60)
    try:
        result = back_up(catalog, out)
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert result.left_out == []
    restore(target, out, actor="test")
    found = products.list_page(target.database, limit=1000).products
    assert result.rows["product"] == len(found) >= 2
    assert all(len(product.photos) == (1 if product.sku == "S0" else 2) for product in found)
    assert maintenance.rebuild(target, actor="test").pending == []
    assert list(maintenance.examine(target)) == []


def test_what_is_missing_is_named_and_never_replaces_a_backup_that_has_it(
    catalog: Catalog, target: Catalog, out: Path, env: dict[str, str], target_env: dict[str, str]
) -> None:
    create_each(catalog, 1, 2, 3)
    back_up(catalog, out)
    whole = out.read_bytes()
    gone, damaged = (products.get(catalog.database, sku).photos[0].sha256 for sku in ("S1", "S2"))
    store = catalog.settings.data / "photos"
    next(store.rglob(gone)).unlink()
    next(store.rglob(damaged)).write_bytes(b"damaged")
    with pytest.raises(BackupFailedError, match="may still hold it and stays"):
        back_up(catalog, out)
    assert out.read_bytes() == whole
    other = out.with_name("other.tar")
    catalog.close()
    result = CliRunner().invoke(main, ["backup", "--quiet", str(other)], env=env)
    assert result.exit_code == 1
    assert {gone[:12], damaged[:12]} == {text.split("photo ")[1].split()[0] for text in result.stderr.splitlines()}
    assert result.stdout == f"{other}: 3 products, 1 photo files\n"
    assert len(restore(target, other, actor="test").left_out) == 2
    kinds = sorted(one.kind for one in maintenance.examine(target, repair=True, ask_gallery=False))
    assert kinds == [
        "details_missing",
        "photo_missing",
        "photo_missing",
    ]  # details are made again by whoever needs them


def test_a_store_that_does_not_answer_leaves_no_backup(
    catalog: Catalog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1)

    def away(sha256: str) -> bytes:
        raise StorageError("The store is away.")

    monkeypatch.setattr(catalog.photos, "get", away)
    with pytest.raises(StorageError, match="away"):
        back_up(catalog, out)
    assert list(out.parent.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(catalog: Catalog, small_disk: Path, env: dict[str, str]) -> None:
    create_each(catalog, 1)  # whose bundle alone is larger than the disk
    out = small_disk / "backup.tar"
    out.write_bytes(b"the one before")
    catalog.close()
    result = CliRunner().invoke(main, ["backup", "--quiet", str(out)], env=env)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"catalog: The backup can't be written to {out}: No space left on device.\n"
    assert [path.name for path in small_disk.iterdir()] == ["backup.tar"]
    assert out.read_bytes() == b"the one before"


def test_kill_9_leaves_no_file_that_looks_like_a_backup(catalog: Catalog, out: Path, env: dict[str, str]) -> None:
    create_each(catalog, 1, 2)
    with spawn("backing_up", out, env=env) as child:
        assert line(child) == "photo"
        with pytest.raises(BackupFailedError, match="Another process is writing"):
            back_up(catalog, out)
        child.kill()
        child.wait(60)
    assert [path.name for path in out.parent.iterdir()] == [".backup.tar.partial"]
    back_up(catalog, out)
    assert list(out.parent.iterdir()) == [out]


def test_where_it_can_not_be_written(catalog: Catalog, tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.tar", tmp_path / "absent" / "x.tar"):
        result = CliRunner().invoke(main, ["backup", "--quiet", str(path)], env=env)
        assert result.exit_code == 1
        assert result.stderr.startswith("catalog: The backup can't be written to ")
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_catalog(catalog: Catalog, target: Catalog, out: Path) -> None:
    with catalog.database.write() as session:
        session.add_all(
            AuditEntry(actor="test", action="test", subject=str(number), after={"text": "x" * 2000})
            for number in range(20_000)
        )

    def peak(call: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(lambda: back_up(catalog, out)) < 30_000_000
    assert out.stat().st_size > 40_000_000
    assert peak(lambda: restore(target, out, actor="test")) < 60_000_000
    assert len(content(target)["audit"]) == 20_000


def test_the_commands(env: dict[str, str], target_env: dict[str, str], catalog: Catalog, out: Path) -> None:
    create_each(catalog, 1, 2)  # which this process still holds: a backup needs no gallery

    def run(*words: str, at: dict[str, str], status: int = 0) -> str:
        result = CliRunner().invoke(main, words, env=at)
        assert result.exit_code == status, result.output
        return result.output

    assert run("backup", str(out), "--quiet", at=env) == f"{out}: 2 products, 2 photo files\n"
    assert "`catalog rebuild`" in run("restore", str(out), "--quiet", at=target_env)
    assert run("rebuild", "--quiet", at=target_env).endswith(": 2 photos searchable, 0 pending\n")
    assert run("doctor", "--quiet", at=target_env) == "0 findings, 0 mended\n"
    again = run("restore", str(out), "--quiet", at=target_env, status=1)
    assert again.startswith("catalog: The catalog is not empty (")
    assert "2 in product" in again
    assert "100%" in run("backup", str(out), at=env)


def test_sessions_do_not_come_alive_in_a_restored_catalog(catalog: Catalog, target: Catalog, out: Path) -> None:
    accounts.add_user(catalog.database, "anna", "correct horse battery", actor="test")
    user = accounts.check_password(catalog.database, "anna", "correct horse battery")
    assert user is not None
    token = accounts.start_session(catalog.database, user)
    assert token is not None
    back_up(catalog, out)
    accounts.end_session(catalog.database, token)
    restore(target, out, actor="test")
    assert accounts.session_user(target.database, token) is None
    assert accounts.check_password(target.database, "anna", "correct horse battery") is not None

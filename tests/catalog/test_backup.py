"""A backup of a catalog that serves, and its way into an empty one on either database."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pictures import jpeg
from programs import line, spawn
from sqlalchemy import Engine, inspect, select, text
from steps import all_found, create, create_each

from catalog import accounts, archive, doctor, listing, products, rebuild, reembed, rows
from catalog.archive import ArchiveError, BackupFailedError
from catalog.backup import backup
from catalog.cli import main
from catalog.config import Settings
from catalog.errors import StorageError
from catalog.models import (
    AuditEntry,
    Barcode,
    Base,
    Enrollment,
    Feedback,
    Generation,
    Label,
    Product,
    RecognitionEntry,
    Removal,
    User,
)
from catalog.recognize import recognize
from catalog.restore import NotEmptyError, restore
from catalog.service import Catalog
from embedder.bundle import RELEASED, Bundle, load_bundle
from migrations import HEAD


@pytest.fixture
def second_schema(postgres: Engine | None) -> Iterator[str]:
    """An empty schema beside the one of `postgres_url`."""
    if postgres is None:
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    schema = f"test_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = postgres.url.update_query_dict({"options": f"-csearch_path={schema}"})
    yield url.render_as_string(hide_password=False)
    with postgres.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture
def target_env(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """A catalog of another host: its own folder, without any bundle."""
    data = tmp_path / "target"
    kind = getattr(request, "param", "sqlite")
    database = f"sqlite:///{data / 'catalog.db'}" if kind == "sqlite" else request.getfixturevalue("second_schema")
    return {"CATALOG_DATA": str(data), "CATALOG_DATABASE": database}


@pytest.fixture
def target(target_env: dict[str, str]) -> Iterator[Catalog]:
    opened = Catalog.open(Settings.from_env(target_env))
    yield opened
    opened.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "backup.tar"


def fill(catalog: Catalog) -> None:
    """Something in every table."""
    create_each(catalog, 1, 2)
    create(catalog, "Ä-tea", 3, 4, name="Grüner Tee", brand="Müller", category="Tea")
    accounts.add_user(catalog, "anna", "correct horse", actor="test")
    accounts.add_key(catalog, "till 0", actor="test")
    with catalog.db.write() as session:
        tea = session.scalars(select(Product).where(Product.sku == "Ä-tea")).one()
        tea.attributes = {"size": [330, "ml"], "note": "ä\u2028\n"}
        session.add(Barcode(gtin="04006381333931", product=tea))
        session.add(Label(name="store 12", product=tea))
        tea.photos[0].original, tea.photos[0].crop = "f" * 64, [0.1, 0.2, 0.9, 1.0]
        asked = uuid.uuid4()
        facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "0" * 12, "milliseconds": 1 / 3}
        session.add(RecognitionEntry(id=asked, product_id=tea.id, sku="Ä-tea", score=0.1 + 0.2, **facts))
        session.flush()
        session.add(Feedback(recognition_id=asked, actor="till", correct=False, sku="S1", note="no"))
        live = session.scalars(select(Generation).where(Generation.live)).one()
        session.add(Removal(generation_id=live.id, point_id=uuid.uuid4()))


def content(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, but for what a restore is to change."""
    result: dict[str, list[dict[str, Any]]] = {}
    with catalog.db.read() as session:
        for table in Base.metadata.sorted_tables:
            found = session.execute(select(table).order_by(*table.primary_key)).mappings()
            result[table.name] = [dict(row) for row in found]
    for row in result["enrollment"]:
        for name in ("done", "attempts", "error", "updated_at"):
            del row[name]
    result["audit"] = [row for row in result["audit"] if row["action"] not in ("catalog.restore", "gallery.rebuild")]
    return result


def test_every_table_is_in_it_and_every_column_can_be_written(catalog: Catalog, out: Path) -> None:
    fill(catalog)
    backup(catalog, out)
    with tarfile.open(out) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        in_it = {name.split("/")[1] for name in tar.getnames() if name.startswith("tables/")}
    with catalog.db.engine.connect() as connection:
        there = set(inspect(connection).get_table_names()) - {"alembic_version"}
    assert set(manifest["rows"]) == there
    assert {name for name, count in manifest["rows"].items() if count} == in_it
    # Who adds a table adds a row of it to `fill`, so that its way there and back is tested.
    assert in_it == there, "fill() leaves a table empty"
    for table in Base.metadata.tables.values():
        for column in table.columns:
            rows.codec(column.type)


@pytest.mark.parametrize("target_env", ["sqlite", "postgresql"], indirect=True)
def test_there_and_back_from_each_database_into_each(
    catalog: Catalog, target: Catalog, out: Path, other_bundle: Bundle, target_env: dict[str, str]
) -> None:
    fill(catalog)
    key = accounts.add_key(catalog, "till", actor="test").key
    reembed.reembed(catalog, other_bundle)
    reembed.rollback(catalog)
    with catalog.db.write() as session:  # a row that refers to a later one of its table
        first, second = session.scalars(select(Generation).order_by(Generation.id)).all()
        first.previous_id, second.previous_id = second.id, None
    before = content(catalog)
    seen: list[tuple[int, int]] = []
    done = backup(catalog, out, lambda done, total: seen.append((done, total)))
    assert (done.photos, done.left_out) == (4, [])
    assert seen == [(number, 5) for number in range(1, 6)]  # the fifth is an original that is not kept
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert list(out.parent.iterdir()) == [out]

    read: list[int] = []
    result = restore(target, out, read.append, actor="test")
    assert (result.photos, result.left_out, result.rows) == (4, [], done.rows)
    assert sum(read) <= 2 * out.stat().st_size
    assert content(target) == before
    with target.db.read() as session:
        assert not any(session.scalars(select(Enrollment.done)))
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "catalog.restore")).one()
        assert (entry.subject, entry.after) == ("backup.tar", {"products": 3, "photos": 4})
    assert {load_bundle(RELEASED).id, other_bundle.id} == {path.name for path in target.settings.bundles.iterdir()}

    assert rebuild.rebuild(target, actor="test").photos == 4
    assert all_found(target, 1, 2)
    assert recognize(target, jpeg(4)).matches[0].sku == "Ä-tea"
    assert list(doctor.examine(target)) == []
    assert accounts.check_password(target, "anna", "correct horse") is not None
    assert accounts.check_key(target, key) is not None
    # New rows get numbers of their own, in each table that numbers them.
    accounts.add_user(target, "ben", "correct horse", actor="test")
    accounts.add_key(target, "till 2", actor="test")
    with target.db.write() as session:
        asked = session.scalars(select(RecognitionEntry.id)).one()
        session.add(Feedback(recognition_id=asked, actor="till", correct=True))
    create_each(target, 7)
    assert reembed.reembed(target, other_bundle).total == 5
    assert all_found(target, 1, 2, 7)
    with pytest.raises(NotEmptyError):
        restore(target, out, actor="test")


def test_after_a_restore_the_outbox_of_a_server_makes_the_gallery(catalog: Catalog, target: Catalog, out: Path) -> None:
    from catalog.outbox import run_pending

    create_each(catalog, 1, 2)
    backup(catalog, out)
    restore(target, out, actor="test")
    while run_pending(target):
        pass
    assert all_found(target, 1, 2)


def test_numbers_go_on_in_an_empty_table(catalog: Catalog, target: Catalog, out: Path) -> None:
    backup(catalog, out)
    restore(target, out, actor="test")
    accounts.add_user(target, "anna", "correct horse", actor="test")
    with target.db.read() as session:
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
        result = backup(catalog, out)
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert result.left_out == []
    restore(target, out, actor="test")
    found = listing.list_page(target, limit=1000).products
    assert result.rows["product"] == len(found) >= 2
    assert all(len(product.photos) == (1 if product.sku == "S0" else 2) for product in found)
    assert rebuild.rebuild(target, actor="test").pending == []
    assert list(doctor.examine(target)) == []


def test_what_is_missing_is_named_and_never_replaces_a_backup_that_has_it(
    catalog: Catalog, target: Catalog, out: Path, env: dict[str, str], target_env: dict[str, str]
) -> None:
    create_each(catalog, 1, 2, 3)
    backup(catalog, out)
    whole = out.read_bytes()
    gone, damaged = (products.get(catalog, sku).photos[0].sha256 for sku in ("S1", "S2"))
    store = catalog.settings.data / "photos"
    next(store.rglob(gone)).unlink()
    next(store.rglob(damaged)).write_bytes(b"damaged")
    with pytest.raises(BackupFailedError, match="may still hold it and stays"):
        backup(catalog, out)
    assert out.read_bytes() == whole
    other = out.with_name("other.tar")
    catalog.close()
    result = CliRunner().invoke(main, ["backup", "--quiet", str(other)], env=env)
    assert result.exit_code == 1
    assert {gone[:12], damaged[:12]} == {text.split("photo ")[1].split()[0] for text in result.stderr.splitlines()}
    assert result.stdout == f"{other}: 3 products, 1 photo files\n"
    assert len(restore(target, other, actor="test").left_out) == 2
    kinds = sorted(one.kind for one in doctor.examine(target, repair=True, ask_gallery=False))
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
        backup(catalog, out)
    assert list(out.parent.iterdir()) == []


def refused(target: Catalog, path: Path, match: str) -> None:
    with pytest.raises(ArchiveError, match=match):
        restore(target, path, actor="test")
    with target.db.read() as session:
        assert rows.filled(session.connection()) == {}


def test_a_backup_that_was_cut_anywhere_is_refused(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 1)
    backup(catalog, out)
    whole = out.read_bytes()
    end = whole.rindex(b"manifest.json")
    for size in (0, 1, 511, 512, 700, 1024, 5000, len(whole) // 2, end - 1, end, end + 512, end + 600):
        out.write_bytes(whole[:size])
        refused(target, out, "backup")
    assert not (target.settings.data / "photos").exists()
    out.write_bytes(b"no tar at all" * 1000)
    refused(target, out, "can't be read")
    out.write_bytes(whole)
    restore(target, out, actor="test")


def test_a_backup_in_which_a_byte_changed_is_refused(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(catalog, 1)
    backup(catalog, out)
    whole = out.read_bytes()
    with tarfile.open(out) as tar:
        places = [member.offset_data + member.size // 2 for member in tar if member.size > 10]
        places += [member.offset + 3 for member in tar]  # in its name
    for place in places:
        out.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(target, out, "backup")


def tampered(whole: Path, to: Path, change: Callable[[str, bytes], bytes | None], *more: tarfile.TarInfo) -> Path:
    """A copy with members changed or left out (None) and others added before the end, its manifest made to fit."""
    contents = archive.Contents()
    with tarfile.open(whole) as old, tarfile.open(to, "w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            changed = change(member.name, data)
            if member.name == "manifest.json":
                for info in more:
                    new.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
                manifest = json.loads(changed or b"{}")
                manifest.pop("sha256", None)
                manifest["contents"] = contents.as_dict()
                changed = json.dumps({**manifest, "sha256": archive._digest(manifest)}).encode()
            elif changed is not None:
                contents.note(member.name, hashlib.sha256(changed).hexdigest(), len(changed))
            if changed is not None:
                info = tarfile.TarInfo(member.name)
                info.size = len(changed)
                new.addfile(info, io.BytesIO(changed))
    return to


def evil(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


@pytest.mark.parametrize(
    "info",
    [
        evil("/etc/escaped", size=1),
        evil("../escaped", size=1),
        evil("photos/../../escaped", size=1),
        evil("bundles/000000000000/../escaped", size=1),
        evil("bundles/000000000000/.hidden", size=1),
        evil("photos/" + "0" * 64, tarfile.SYMTYPE, "/etc/passwd"),
        evil("photos/" + "0" * 64, tarfile.LNKTYPE, "about.json"),
        evil("photos", tarfile.DIRTYPE),
        evil("photos/" + "0" * 64, tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name[:40]}-{info.type.decode()}",
)
def test_names_that_a_backup_never_has(catalog: Catalog, target: Catalog, out: Path, info: tarfile.TarInfo) -> None:
    backup(catalog, out)
    refused(target, tampered(out, out.with_name("evil.tar"), lambda name, data: data, info), "holds")
    assert not list(target.settings.data.parent.rglob("escaped"))


def test_a_forged_backup_is_an_error_and_not_half_a_catalog(catalog: Catalog, target: Catalog, out: Path) -> None:
    """Every sum fits, yet what is in it can't be used."""
    create_each(catalog, 1)
    backup(catalog, out)
    copy = out.with_name("forged.tar")

    def rewritten(member: str, old: bytes, new: bytes) -> Path:
        changed: list[bool] = []

        def change(name: str, data: bytes) -> bytes:
            changed.append(name == member and old in data)
            return data.replace(old, new) if name == member else data

        tampered(out, copy, change)
        assert any(changed)
        return copy

    product = "tables/product/000000"
    for new in (b'"version":"x', b'"no_column":"', b'"sku":null,"a":"'):
        refused(target, rewritten(product, b'"name":"', new), "rows do not fit")
    refused(target, rewritten(product, b'{"id"', b'["id"'), "rows do not fit")
    refused(target, rewritten("tables/photo/000000", b'"product_id":"', b'"product_id":"0'), "rows do not fit")
    refused(target, rewritten("manifest.json", b'"product": 1', b'"product": 2'), "not hold as many rows")
    refused(target, rewritten("manifest.json", b'"rows"', b'"lines"'), "does not say what it holds")
    refused(target, rewritten("about.json", b'"format": 1', b'"format": 2'), "format 2")
    refused(target, rewritten("about.json", HEAD.encode(), b"9999"), "newer version")
    refused(target, rewritten("about.json", HEAD.encode(), b"'"), "newer version")

    def unknown(name: str, data: bytes) -> bytes:
        return data.replace(b'"product": 1', b'"product": 1, "goods": 1') if name == "manifest.json" else data

    refused(target, tampered(out, copy, unknown), "rows of goods")
    refused(target, tampered(out, copy, lambda name, data: None if name.startswith("tables/photo") else data), "rows")
    refused(target, tampered(out, copy, lambda name, data: None if name == "about.json" else data), "description")
    bundle = f"bundles/{load_bundle(RELEASED).id}/bundle.json"
    refused(target, tampered(out, copy, lambda name, data: None if name == bundle else data), "can't be used")
    restore(target, out, actor="test")  # which what was refused does not stand in the way of


def test_a_backup_of_an_older_schema(catalog: Catalog, target: Catalog, out: Path) -> None:
    """What came since has its defaults: so a backup made at revision 0001 can be restored."""
    create_each(catalog, 1)
    backup(catalog, out)
    since = {"product": ("variant_group", "attributes"), "photo": ("source", "status", "warnings", "original", "crop")}

    def older(name: str, data: bytes) -> bytes:
        if name == "about.json":
            return data.replace(HEAD.encode(), b"0001")
        if name == "manifest.json":
            manifest = json.loads(data)
            for table in ("barcode", "label", "recognition", "feedback"):
                del manifest["rows"][table]
            return json.dumps(manifest).encode()
        table = name.split("/")[1] if name.startswith("tables/") else ""
        if table not in since:
            return data
        lines = [json.loads(text) for text in data.splitlines()]
        return b"\n".join(
            json.dumps({key: value for key, value in row.items() if key not in since[table]}).encode() for row in lines
        )

    restore(target, tampered(out, out.with_name("older.tar"), older), actor="test")
    photo = products.get(target, "S1").photos[0]
    assert (photo.status, photo.warnings, photo.crop, products.get(target, "S1").attributes) == (
        "accepted",
        [],
        None,
        {},
    )


def test_a_backup_of_a_schema_that_does_not_fit_any_more(
    catalog: Catalog, target: Catalog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(catalog, out)
    copy = tampered(out, out.with_name("older.tar"), lambda name, data: data.replace(HEAD.encode(), b"0001"))
    monkeypatch.setattr("catalog.restore.ROWS_FIT_SINCE", "0002")
    refused(target, copy, "too old")


@pytest.mark.parametrize("what", ["product", "user", "key"])
def test_a_catalog_that_holds_something_is_left_alone(catalog: Catalog, target: Catalog, out: Path, what: str) -> None:
    create_each(target, 1)
    backup(target, out)
    if what == "product":
        create_each(catalog, 2)
    elif what == "user":
        accounts.first_user(catalog)
    else:
        accounts.add_key(catalog, "till", actor="test")
    before = content(catalog)
    with pytest.raises(NotEmptyError, match="not empty"):
        restore(catalog, out, actor="test")
    assert content(catalog) == before


def test_a_catalog_that_was_only_initialized_takes_a_backup(catalog: Catalog, target: Catalog, out: Path) -> None:
    create_each(target, 1)
    backup(target, out)
    catalog.live()
    restore(catalog, out, actor="test")
    assert rebuild.rebuild(catalog, actor="test").photos == 1
    assert all_found(catalog, 1)


def test_a_restore_that_fails_half_way_can_be_repeated(
    catalog: Catalog, target: Catalog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1, 2)
    backup(catalog, out)
    real = rows.load
    calls: list[str] = []

    def failing(connection: Any, table: Any, *arguments: Any) -> int:
        calls.append(table.name)
        if table.name == "photo":
            raise KeyboardInterrupt
        return real(connection, table, *arguments)

    monkeypatch.setattr(rows, "load", failing)
    with pytest.raises(KeyboardInterrupt):
        restore(target, out, actor="test")
    assert "product" in calls
    with target.db.read() as session:
        assert rows.filled(session.connection()) == {}
    monkeypatch.undo()
    restore(target, out, actor="test")
    assert rebuild.rebuild(target, actor="test").photos == 2
    assert list(doctor.examine(target)) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


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
            backup(catalog, out)
        child.kill()
        child.wait(60)
    assert [path.name for path in out.parent.iterdir()] == [".backup.tar.partial"]
    backup(catalog, out)
    assert list(out.parent.iterdir()) == [out]


def test_where_it_can_not_be_written(catalog: Catalog, tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "x.tar", tmp_path / "absent" / "x.tar"):
        result = CliRunner().invoke(main, ["backup", "--quiet", str(path)], env=env)
        assert result.exit_code == 1
        assert result.stderr.startswith("catalog: The backup can't be written to ")
        assert result.stderr.count("\n") == 1


def test_memory_does_not_grow_with_the_catalog(catalog: Catalog, target: Catalog, out: Path) -> None:
    with catalog.db.write() as session:
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

    assert peak(lambda: backup(catalog, out)) < 30_000_000
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

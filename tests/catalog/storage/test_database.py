from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from catalog.errors import ConfigError, DatabaseUnavailableError, NotFoundError
from catalog.storage import Database, database
from catalog.storage.database import alembic_config
from catalog.storage.revision import HEAD
from catalog.storage.tables import AuditEntry, Base, Photo, Product, User


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    db = Database(database_url)
    yield db
    db.close()


@pytest.fixture
def db(empty: Database) -> Database:
    empty.migrate()
    return empty


def names(db: Database) -> list[str]:
    with db.read() as session:
        return list(session.scalars(select(User.name).order_by(User.name)))


def ask(db: Database) -> None:
    with db.read() as session:
        session.execute(text("SELECT 1"))


def test_migrations_make_what_the_models_say(db: Database) -> None:
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_way_down_and_up_again(db: Database) -> None:
    with db.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    with db.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    db.migrate()
    with db.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_steps_down_and_up_again_keep_the_rows(db: Database) -> None:
    with db.write() as session:
        product = Product(sku="A", name="Ä")
        session.add(product)
        session.add(Photo(id=uuid.uuid4(), product=product, sha256="0" * 64, bytes=1, width=1, height=1))
    with db.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")  # the last step that changes tables with rows
    db.migrate()
    with db.read() as session:
        photo = session.scalars(select(Photo)).one()
        assert (photo.product.sku, photo.status, photo.warnings, photo.crop) == ("A", "accepted", [], None)
        assert (photo.product.attributes, photo.product.variant_group, photo.product.labels) == ({}, "", [])
        # Of a catalog that was there before searches and lists by name had them.
        assert (photo.product.search, photo.product.name_key) == ("a\na\n\n", "a")


def test_migrate_can_be_repeated_and_keeps_rows(db: Database) -> None:
    with db.write() as session:
        session.add(User(name="a", password_hash="x"))
    db.migrate()
    assert names(db) == ["a"]


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    code = "import sys; from catalog.storage import Database; db = Database(sys.argv[1]); db.migrate(); db.close()"
    children = [
        subprocess.Popen([sys.executable, "-c", code, database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(child.communicate(timeout=60)[1], child.returncode) for child in children] == [("", 0)] * 3


def test_threads_that_start_at_once_migrate_once(empty: Database, database_url: str) -> None:
    others = [empty, *(Database(database_url) for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, others))
    for other in others[1:]:
        other.close()
    assert names(empty) == []


def test_connections_that_switch_a_new_file_to_wal_at_once_see_no_lock(tmp_path: Path) -> None:
    def switch(path: Path, ready: threading.Barrier) -> None:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            ready.wait()
            database._switch_to_wal(connection.cursor())

    # A plain PRAGMA fails in one round of ten or so.
    with ThreadPoolExecutor(4) as pool:
        for number in range(80):
            ready = threading.Barrier(4)
            list(pool.map(lambda path, ready=ready: switch(path, ready), [tmp_path / f"{number}.db"] * 4))


def test_a_database_of_a_newer_version_is_refused(db: Database) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    with pytest.raises(ConfigError, match="newer version"):
        db.migrate()


def test_a_moment_comes_back_in_utc(db: Database) -> None:
    paris = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=1)))
    with db.write() as session:
        session.add(User(name="a", password_hash="x", created_at=paris))
    with db.read() as session:
        found = session.scalars(select(User.created_at)).one()
    assert found == paris
    assert found.utcoffset() == timedelta(0)


def test_a_moment_needs_a_time_zone(db: Database) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    with pytest.raises(StatementError, match="time zone"), db.write() as session:
        session.add(User(name="a", password_hash="x", created_at=naive))


def test_foreign_keys_hold(db: Database) -> None:
    with pytest.raises(IntegrityError), db.write() as session:
        session.add(Photo(id=uuid.uuid4(), product_id=uuid.uuid4(), sha256="0" * 64, bytes=1, width=1, height=1))


def test_a_block_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(NotFoundError), db.write() as session:
        session.add(User(name="a", password_hash="x"))
        session.flush()
        raise NotFoundError("stop")
    assert names(db) == []


def test_a_read_session_writes_nothing(db: Database) -> None:
    with db.read() as session:
        session.add(User(name="a", password_hash="x"))
        session.flush()
    assert names(db) == []


def test_writers_wait_for_each_other(db: Database) -> None:
    with db.write() as session:
        session.add(Product(sku="A", name="0"))

    def count_up(_: int) -> None:
        with db.write() as session:
            product = session.scalars(select(Product).with_for_update()).one()
            time.sleep(0.01)
            product.name = str(int(product.name) + 1)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count_up, range(24)))
    with db.read() as session:
        assert session.scalars(select(Product.name)).one() == "24"


def test_a_reader_does_not_stop_a_writer(db: Database) -> None:
    with db.read() as reading:
        before = list(reading.scalars(select(User.name)))
        began = time.monotonic()
        writer = threading.Thread(target=lambda: add(db, "a"))
        writer.start()
        writer.join()
        assert time.monotonic() - began < 2
        assert before == []
    assert names(db) == ["a"]


def add(db: Database, name: str) -> None:
    with db.write() as session:
        session.add(User(name=name, password_hash="x"))


def test_json_comes_back(db: Database) -> None:
    with db.write() as session:
        session.add(AuditEntry(actor="a", action="b", subject="c", before={"name": "Größe"}))
    with db.read() as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.before, entry.after) == ({"name": "Größe"}, None)


def test_the_newest_revision_is_the_one_that_a_start_asks_for(db: Database) -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
    with db.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == HEAD


def test_a_dead_postgresql_is_named_quickly() -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    db = Database(f"postgresql://me:hidden-word@127.0.0.1:{port}/x")
    began = time.monotonic()
    for call in (lambda: ask(db), db.migrate):
        with pytest.raises(DatabaseUnavailableError) as caught:
            call()
        assert str(port) in str(caught.value)
        assert "hidden-word" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 3
    db.close()


def test_a_connection_that_was_ended_is_replaced(postgres_url: str) -> None:
    db = Database(postgres_url)
    ask(db)
    with db.engine.connect() as connection:
        mine = connection.scalar(text("SELECT pg_backend_pid()"))
    other = Database(postgres_url)
    with other.read() as session:
        session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": mine})
    ask(db)
    with pytest.raises(DatabaseUnavailableError), db.read() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        with other.read() as killer:
            killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        time.sleep(0.1)
        session.execute(text("SELECT 1"))
    db.close()
    other.close()


@pytest.mark.parametrize("url", ["postgresql://host:port/db", "postgresql+psycopg://h:70000000x/db"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="CATALOG_DATABASE"):
        Database(url)


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="folder of the database"):
        Database(f"sqlite:///{tmp_path / 'file' / 'catalog.db'}")


@pytest.mark.parametrize("content", [b"this is no database, but a text of some length " * 100, b""])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(content)
    db = Database(f"sqlite:///{path}")
    if content:
        with pytest.raises(DatabaseUnavailableError, match="not a database"):
            db.migrate()
    else:
        db.migrate()  # as SQLite itself begins
    db.close()


@pytest.mark.parametrize("folder", ["with blank", "with % sign", "Größe", "with'quote"])
def test_folders_of_any_name(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "catalog.db"
    db = Database(f"sqlite:///{path}")
    db.migrate()
    db.close()
    assert path.is_file()


def test_a_url_of_sqlite_has_no_options(tmp_path: Path) -> None:
    """SQLAlchemy would drop all from the ? on: two folders that are named so would share one database."""
    for path in ("a?b/catalog.db", "a/catalog.db?", "a/catalog.db?mode=ro"):
        with pytest.raises(ConfigError, match="%3F"):
            Database(f"sqlite:///{tmp_path / path}")
    assert list(tmp_path.iterdir()) == []


def test_one_is_alone_at_a_time_of_all_threads_and_others_write_meanwhile(db: Database, database_url: str) -> None:
    with closing(Database(database_url)) as other:
        with db.alone() as first, other.alone() as second:
            assert (first, second) == (True, False)
            with other.write() as session:
                session.add(User(name="anna", password_hash="x"))
        with other.alone() as after:
            assert after
        assert names(db) == ["anna"]


def test_who_waits_is_alone_when_the_other_has_ended_even_by_an_error(db: Database, database_url: str) -> None:
    order: list[str] = []

    def wait() -> None:
        with closing(Database(database_url)) as other, other.alone(wait=True) as alone:
            order.append(f"second {alone}")

    thread = threading.Thread(target=wait)
    with pytest.raises(NotFoundError), db.alone():
        thread.start()
        time.sleep(0.3)
        order.append("first")
        raise NotFoundError("gone")
    thread.join(10)
    assert order == ["first", "second True"]

"""The SQL database: engine, one transaction per use case, migrations."""

from __future__ import annotations

import fcntl
import importlib.resources
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError, TimeoutError
from sqlalchemy.orm import Session

from catalog.errors import ConfigError, DatabaseUnavailableError
from catalog.storage import change_rows
from catalog.storage.revision import HEAD

if TYPE_CHECKING:
    from alembic.config import Config

#: Keys of PostgreSQL's advisory locks (arbitrary): of migrating, and of what one process at a time does (`alone`).
MIGRATION_LOCK, ALONE_LOCK = 7_215_803, 7_215_804
#: Alembic keeps its state in module globals, so one thread at a time.
_ALEMBIC = threading.Lock()
#: Seconds that a writer waits for another one on SQLite, and a connection attempt to PostgreSQL may take.
SQLITE_WAIT, CONNECT_TIMEOUT = 30, 5


class Database:
    """Sessions on one database: `read` for queries, `write` for changes, each in one transaction.

    Connects on first use. Raises ConfigError for a URL that can't be used.
    """

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self.is_sqlite = self.url.startswith("sqlite")
        # The URL may contain a password, so no message repeats it.
        try:
            if self.is_sqlite:
                if "?" in self.url:  # most likely in the name of a folder, the rest of which would be lost
                    raise ConfigError("CATALOG_DATABASE=sqlite:///PATH has no options: write %3F for a ? in the path.")
                self.engine = create_engine(self.url, connect_args={"timeout": SQLITE_WAIT})
                Path(self.engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
                _set_up_sqlite(self.engine)
            else:
                options = {"connect_timeout": CONNECT_TIMEOUT}
                self.engine = create_engine(self.url, pool_pre_ping=True, connect_args=options)
        except (ArgumentError, ValueError) as error:
            raise ConfigError(
                "CATALOG_DATABASE is not a URL that can be understood (is its port a number?)."
            ) from error
        except ModuleNotFoundError as error:
            raise ConfigError("CATALOG_DATABASE=postgresql... needs: pip install 'photo-catalog[postgres]'.") from error
        except OSError as error:
            raise ConfigError(f"The folder of the database can't be made: {error}.") from error

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for queries; rolled back at the end."""
        with _unavailable_told(), Session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits when the block ends without an exception, and else rolls back.

        What it changes and others follow is written to the feed at the end (see change_rows.py).

        On SQLite the write lock is taken at the start, so a second writer waits instead of failing half-way.
        """
        with _unavailable_told(), Session(self.engine) as session:
            session.connection(execution_options={"immediate": True})
            yield session
            change_rows.write_noted(session)
            session.commit()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection with a consistent snapshot of the whole database, however long it reads.

        It blocks nobody, and nobody blocks it.
        """
        with _unavailable_told(), self.engine.connect() as connection:
            if not self.is_sqlite:  # where any transaction is a snapshot
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def alone(self, name: str = "", *, wait: bool = False) -> Iterator[bool]:
        """Whether the caller is the only one, of all threads and processes, in a block of this name until it ends.

        `wait` until it is. No transaction is open meanwhile: nobody else waits. A process that is killed leaves it.
        """
        if self.is_sqlite:
            folder = Path(self.engine.url.database or "").parent
            try:
                if name:
                    descriptor = os.open(folder / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
                else:
                    descriptor = os.open(folder, os.O_RDONLY)
            except OSError as error:
                raise DatabaseUnavailableError(f"Nothing can be written to {folder}: {error.strerror}.") from error
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                    held = True
                except BlockingIOError:
                    held = False
                yield held
            finally:
                os.close(descriptor)
            return
        with _unavailable_told(), self.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            keys = {"key": ALONE_LOCK, "name": zlib.crc32(name.encode()) & 0x7FFF_FFFF}
            ask = f"SELECT pg_{'' if wait else 'try_'}advisory_lock(:key, :name)"
            held = connection.scalar(text(ask), keys) is not False
            try:
                yield held
            finally:
                if held:
                    try:
                        connection.execute(text("SELECT pg_advisory_unlock(:key, :name)"), keys)
                    except DBAPIError:  # the session is lost, and the lock with it: what was done under it is done
                        connection.invalidate()

    def migrate(self) -> None:
        """Migrate the schema to the newest revision. Safe when several processes start at once.

        Raises ConfigError for a database that a newer version of this program has migrated.
        """
        with _unavailable_told(), self.engine.connect() as connection:
            if revision_of(connection) == HEAD:
                return
            # Imported only when there is something to migrate, so that a restart does not wait for it.
            from alembic import command
            from alembic.util import CommandError

            connection.rollback()
            connection = connection.execution_options(immediate=True)
            # All steps in one transaction: Alembic would commit each, and another process start in between.
            connection.begin()
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            try:
                with _ALEMBIC:
                    command.upgrade(alembic_config(connection), "head")
            except CommandError as error:
                raise ConfigError(f"The database was changed by a newer version than this one: {error}") from error
            connection.commit()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """The schema revision of the database; None before the first."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's settings, to run the migrations on this connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _unavailable_told() -> Iterator[None]:
    """Map errors of connection, server or file to DatabaseUnavailableError; errors of a statement pass."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailableError(f"The database does not answer: {_first_line(error.orig)}") from error
    except TimeoutError as error:
        raise DatabaseUnavailableError("The database is too busy: no connection came free.") from error
    except DBAPIError as error:
        # For a file that is damaged or no database, SQLite raises a plain DatabaseError.
        if error.connection_invalidated or type(error) is DatabaseError:
            raise DatabaseUnavailableError(f"The database can't be used: {_first_line(error.orig)}") from error
        raise


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [""])[0]


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL, with retries: when two connections switch a new file at once, SQLite reports "locked" to one of
    them without waiting, to avoid a deadlock (13 of 150 starts of four connections).
    """
    deadline = time.monotonic() + SQLITE_WAIT
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        # By default the driver begins transactions itself, too late for BEGIN IMMEDIATE: see `_begun`.
        connection.isolation_level = None
        cursor = connection.cursor()
        _switch_to_wal(cursor)
        # FULL: what was acknowledged survives a power cut, not only a crash.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        # SQLite's own lower() is for ASCII only; a search must find "Äpfel" by "äpfel", as on PostgreSQL.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value

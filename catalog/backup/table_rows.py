"""Rows of all tables as JSON lines: the same from each database, and for each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Enum,
    Float,
    Integer,
    String,
    Table,
    Uuid,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.types import TypeEngine

from catalog.storage.tables import Base, UtcDateTime

#: Rows that are read at a time, and bytes of a part, about.
ROWS, PART = 500, 1 << 20
Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def tables() -> list[Table]:
    """All tables, each after those that it refers to."""
    return list(Base.metadata.sorted_tables)


def parts(connection: Connection, table: Table) -> Iterator[tuple[bytes, int]]:
    """All rows of a table in the order of their keys, as JSON lines: some of them, and how many, at a time."""
    codecs = {column.name: codec(column.type) for column in table.columns}
    lines: list[bytes] = []
    size = 0
    query = select(table).order_by(*table.primary_key)
    for row in connection.execute(query, execution_options={"yield_per": ROWS}).mappings():
        values = {name: write(row[name]) for name, (write, _) in codecs.items()}
        line = json.dumps(values, separators=(",", ":")).encode() + b"\n"
        lines.append(line)
        size += len(line)
        if size >= PART:
            yield b"".join(lines), len(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines), len(lines)


def load(connection: Connection, table: Table, part: bytes, changed: dict[str, Any]) -> int:
    """Insert the rows of a part, with these values in the place of their own; how many.

    A column that the rows don't have gets its default. Raises KeyError for one that the table doesn't have, ValueError
    or TypeError for what is no row.
    """
    codecs = {column.name: codec(column.type) for column in table.columns}
    rows = [
        {name: codecs[name][1](value) for name, value in json.loads(line).items()} | changed
        for line in part.splitlines()
    ]
    # A generation's way back may lie after it: what refers to the same table is set when all rows are there.
    own = [
        column.name for column in table.columns for key in column.foreign_keys if key.column.table.name == table.name
    ]
    if rows:
        connection.execute(insert(table), [row | dict.fromkeys(own) for row in rows])
    for row in rows:
        if any(row.get(name) is not None for name in own):
            same = [column == row[column.name] for column in table.primary_key]
            connection.execute(update(table).where(*same).values({name: row[name] for name in own}))
    return len(rows)


def count_up(connection: Connection, some: Iterable[Table]) -> None:
    """Let PostgreSQL number new rows after those that were inserted; SQLite looks by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in some:
        column = table.autoincrement_column
        if column is None or not isinstance(column.type, Integer):
            continue
        sequence = func.pg_get_serial_sequence(connection.dialect.identifier_preparer.format_table(table), column.name)
        highest = func.max(column)
        connection.execute(select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None))))


def filled(connection: Connection) -> dict[str, int]:
    """How many rows each table has, of those that have some."""
    counts = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables()}
    return {name: count for name, count in counts.items() if count}


def hold_all(connection: Connection) -> None:
    """Let nobody else write until the transaction ends; on SQLite that is so in every transaction that writes."""
    if connection.dialect.name == "postgresql":
        prepared = connection.dialect.identifier_preparer
        names = ", ".join(prepared.format_table(table) for table in tables())
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))


def codec(kind: TypeEngine[Any]) -> Codec:
    """How a column's values are written as JSON and read again.

    Raises TypeError for a type that was never thought of, so that no value is ever changed in silence.
    """
    if isinstance(kind, UtcDateTime):
        return _unless_null(datetime.isoformat), _unless_null(datetime.fromisoformat)
    if isinstance(kind, Uuid):
        return _unless_null(str), _unless_null(uuid.UUID)
    if isinstance(kind, String | Integer | Float | Boolean | JSON) and not isinstance(kind, Enum):
        return _same, _same
    raise TypeError(f"columns of the type {kind!r} can't be written")


def _same(value: Any) -> Any:
    return value


def _unless_null(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else function(value)

"""Rows of all tables as JSON lines, the same for every database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Integer, Table, func, insert, select, text, update

from catalog.storage.row_codec import codec
from catalog.storage.tables import (
    Base,
    Change,
    ChangeFeed,
    ComparedPhoto,
    EarlyUpload,
    GalleryMap,
    ImportJob,
    ImportLine,
    InboxPhoto,
    Invitation,
    JudgedQuery,
    Judgement,
    LookAlikePair,
    MapPair,
    MapPoint,
    Product,
    Run,
    SentForm,
    SignIn,
    WebhookDelivery,
)

#: Rows per fetch, and approximate bytes of a part.
ROWS, PART = 500, 1 << 20

#: Sessions and links would come alive again; photos of the inbox are of passing interest, and may show what nobody
#: asked to keep; which products look alike, and the map, are found again by themselves; the files of imports are not in
#: a backup; a run that was at work would be begun again; photos that wait for their form are of passing interest, too;
#: who follows the changes would take a restored catalog for the one that it knows, and is to read all products anew;
#: the last deliveries are of those changes; a judgement is of a gallery, which is made anew.
LEFT_OUT = (
    *(SignIn.__tablename__, SentForm.__tablename__, Invitation.__tablename__, InboxPhoto.__tablename__),
    *(ComparedPhoto.__tablename__, LookAlikePair.__tablename__, ImportJob.__tablename__, ImportLine.__tablename__),
    *(GalleryMap.__tablename__, MapPoint.__tablename__, MapPair.__tablename__, Run.__tablename__),
    *(EarlyUpload.__tablename__, Change.__tablename__, ChangeFeed.__tablename__),
    *(WebhookDelivery.__tablename__, Judgement.__tablename__, JudgedQuery.__tablename__),
)

#: Columns that follow from others, by table: written anew, since an older version wrote them in another way.
DERIVED = {Product.__tablename__: ("search", "name_key")}


def tables() -> list[Table]:
    """All tables, each after those that its foreign keys refer to, but LEFT_OUT."""
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def parts(connection: Connection, table: Table) -> Iterator[tuple[bytes, int]]:
    """All rows of a table, sorted by primary key, as parts of JSON lines, each with its number of rows."""
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
    """Insert the rows of a part, with the values of `changed` instead of their own; returns how many.

    A column that the rows lack, or that follows from others, gets its default. Raises KeyError for one that the table
    lacks, ValueError or TypeError for an invalid row.
    """
    codecs = {column.name: codec(column.type) for column in table.columns}
    derived = DERIVED.get(table.name, ())
    rows = [
        {name: codecs[name][1](value) for name, value in json.loads(line).items() if name not in derived} | changed
        for line in part.splitlines()
    ]
    # A generation's predecessor may be a later row: self-references are set when all rows are inserted.
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
    """Advance PostgreSQL's sequences beyond the inserted rows; SQLite needs no such step."""
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
    """Number of rows of each table that is not empty."""
    counts = {table.name: connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables()}
    return {name: count for name, count in counts.items() if count}


def hold_all(connection: Connection) -> None:
    """Lock all tables against other writers until the transaction ends; on SQLite every write transaction does so."""
    if connection.dialect.name == "postgresql":
        prepared = connection.dialect.identifier_preparer
        names = ", ".join(prepared.format_table(table) for table in tables())
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))

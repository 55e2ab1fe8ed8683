"""Products as JSON lines: of each the rows that recognition reads, as any database has them.

A line is {"product": {...}, "photo": [...], "barcode": [...], "label": [...], "product_margin": [...]}, each row by
column. The same rows give the same bytes. A retired product has no photos here: it is never answered, but its barcodes
and labels are known, as they are to the server.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from catalog.storage.row_codec import codec
from catalog.storage.tables import Barcode, Base, Label, Photo, Product, ProductMargin

#: Products read, or inserted, at once.
BLOCK = 500
#: Columns that follow from others when a row is inserted, and what changes without a change that a till could notice.
_LEFT_OUT = {"product": {"search", "name_key", "sku_key", "version", "updated_at"}}
_TABLES: tuple[Table, ...] = tuple(Base.metadata.tables[one.__tablename__] for one in (Photo, Barcode, Label))
_PRODUCT, _MARGIN = Base.metadata.tables[Product.__tablename__], Base.metadata.tables[ProductMargin.__tablename__]


def read(connection: Connection, generation_id: int) -> Iterator[tuple[str, bytes, list[str]]]:
    """All products, sorted by id: (id, line, SHA-256 of the photos that can be answered)."""
    ids = connection.execute(select(_PRODUCT.c.id).order_by(_PRODUCT.c.id)).scalars().all()
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        own = {table.name: _by_product(connection, table, block) for table in _TABLES}
        margins = _by_product(connection, _MARGIN, block, _MARGIN.c.generation_id == generation_id)
        for row in _rows(connection, _PRODUCT, _PRODUCT.c.id.in_(block)):
            found: dict[str, Any] = {"product": row}
            found |= {name: rows.get(row["id"], []) for name, rows in own.items()}
            found[_MARGIN.name] = margins.get(row["id"], [])
            if not row["active"]:
                found[Photo.__tablename__] = []
            hashes = sorted({photo["sha256"] for photo in found[Photo.__tablename__]})
            yield row["id"], json.dumps(found, sort_keys=True, separators=(",", ":")).encode(), hashes


def _by_product(
    connection: Connection, table: Table, block: Sequence[uuid.UUID], *only: Any
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(connection, table, table.c.product_id.in_(block), *only):
        found[row["product_id"]].append(row)
    return found


def _rows(connection: Connection, table: Table, *only: Any) -> Iterator[dict[str, Any]]:
    left_out = _LEFT_OUT.get(table.name, set())
    codecs = {column.name: codec(column.type)[0] for column in table.columns if column.name not in left_out}
    query = select(table).where(*only).order_by(*table.primary_key)
    for row in connection.execute(query).mappings():
        yield {name: write(row[name]) for name, write in codecs.items()}


def insert_all(connection: Connection, lines: Iterable[bytes], generation_id: int) -> int:
    """Insert the rows of these lines into empty tables; returns how many products.

    A column that a line lacks gets its default, and one that this version does not know is left out. Raises ValueError,
    KeyError or TypeError for lines that hold no such rows.
    """
    count = 0
    block: list[dict[str, Any]] = []
    for line in lines:
        block.append(json.loads(line))
        count += 1
        if len(block) >= BLOCK:
            _insert(connection, block, generation_id)
            block = []
    _insert(connection, block, generation_id)
    return count


def _insert(connection: Connection, block: list[dict[str, Any]], generation_id: int) -> None:
    for table in (_PRODUCT, *_TABLES, _MARGIN):
        codecs = {column.name: codec(column.type)[1] for column in table.columns}
        rows = []
        for one in block:
            given = [one["product"]] if table is _PRODUCT else one.get(table.name, [])
            for row in given:
                rows.append({name: codecs[name](value) for name, value in row.items() if name in codecs})
                if table is _MARGIN:
                    rows[-1]["generation_id"] = generation_id
        if rows:
            connection.execute(insert(table), rows)


def id_of(line: bytes) -> str:
    """The product's id. Raises ValueError, KeyError or TypeError."""
    return str(json.loads(line)["product"]["id"])


def photos_of(line: bytes) -> list[str]:
    """SHA-256 of the photos of a line. Raises ValueError, KeyError or TypeError."""
    return [str(photo["sha256"]) for photo in json.loads(line)["photo"]]

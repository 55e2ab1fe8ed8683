"""What was left out of an import, or would be, by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from catalog.storage import Database
from catalog.storage.tables import ImportJob, ImportLine
from catalog.transfer import product_csv
from catalog.transfer.import_jobs import OVER


@dataclass(frozen=True)
class LineError:
    """An error of a line of a list, or of a folder: `source`, as `list.csv:3`; "" where it is of no line."""

    source: str
    sku: str
    error: str

    @property
    def line(self) -> int | None:
        """The number of the line in its list; None for a folder, and for what is of no line."""
        found = re.search(r":([0-9]{1,9})$", self.source)
        return int(found[1]) if found else None


def errors_of_job(database: Database, job: ImportJob) -> Iterator[LineError]:
    """The errors of an import: of its check until it is run, then of what it did."""
    query = select(ImportLine).where(ImportLine.job_id == job.id)
    with database.read() as session:
        if job.state not in OVER:
            for line in session.scalars(query.where(ImportLine.state == "wrong").order_by(ImportLine.number)):
                yield from (LineError(line.source, line.sku, error) for error in line.errors)
            return
        rows = session.execute(query.with_only_columns(ImportLine.source, ImportLine.sku)).all()
    skus = {source: sku for source, sku in rows if source}
    for text in job.errors:
        yield _split(text, skus)


def _split(text: str, skus: dict[str, str]) -> LineError:
    """`list.csv:3: no photo`, where a line is of that source: files may have colons in their names."""
    for found in re.finditer(": ", text):
        source = text[: found.start()]
        if source in skus:
            return LineError(source, skus[source], text[found.end() :])
    return LineError("", "", text)


def errors_csv(database: Database, job: ImportJob) -> Iterator[bytes]:
    """The errors as a CSV for a spreadsheet: line, SKU, error."""
    yield b"\xef\xbb\xbf" + product_csv.encode(("line", "sku", "error"))
    for error in errors_of_job(database, job):
        yield product_csv.encode((error.source, error.sku, error.error))

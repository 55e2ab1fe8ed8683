"""The CSV of products: its columns and cells, the same for import and export."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catalog.errors import InvalidInputError

#: Columns that are read, in the order in which they are written; further ones are `attribute:NAME`.
COLUMNS = ("sku", "name", "brand", "category", "barcode", "variant_group", "labels", "active", "photos")
NEEDED = {"sku", "photos"}
ATTRIBUTE = "attribute:"
#: Separates the photos, or the labels, of one cell.
SEPARATOR = "|"
DELIMITERS = (",", ";", "\t")
#: A cell that a spreadsheet would run as a formula, or such a cell escaped.
_FORMULA = re.compile("'*[=+\\-@\t\r＝＋－＠]")  # noqa: RUF001 - some spreadsheets take the wide ones, too


@dataclass(frozen=True)
class CsvRow:
    """A non-blank line: its number in the file, its cells by column, and what is wrong with its form."""

    number: int
    cells: dict[str, str]
    errors: tuple[str, ...] = ()


@dataclass
class Sheet:
    """Lines, and the headers of columns that are not read."""

    lines: list[CsvRow] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def parse_mapping(text: str) -> dict[str, str]:
    """`sku=Artikel,photos=Bild` -> {column: header}. Raises InvalidInputError for any other form."""
    mapping = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        column, equals, header = (piece.strip() for piece in part.partition("="))
        column = _column(column)
        if not equals or not header or not (column in COLUMNS or column.startswith(ATTRIBUTE)):
            names = ", ".join((*COLUMNS, f"{ATTRIBUTE}NAME"))
            raise InvalidInputError("map", f"{part!r} is not COLUMN=HEADER with one of the columns {names}.")
        mapping[column] = header
    return mapping


def read(raw: bytes, mapping: Mapping[str, str] | None = None) -> Sheet:
    """Parse the bytes of a CSV. The delimiter is comma, semicolon or tab, whichever finds most columns in the header.

    `mapping`: column -> its header; other columns go by their own names, case-insensitively. Blank lines are skipped.
    Raises InvalidInputError for what is no CSV in UTF-8, a header that lacks sku or photos or names a column twice,
    and a quote that is never closed.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError("csv", f"It is no CSV in UTF-8: {error}.") from error
    number = 0
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, mapping or {}), strict=True)
        headers = [header.strip() for header in next(rows, [])]
        columns = _columns(headers, mapping or {})
        read_columns = set(columns.values())
        sheet = Sheet(unread=[header for i, header in enumerate(headers) if header and i not in read_columns])
        for row in rows:
            number = rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            cells = {name: unescape_formula(row[i].strip()) if i < len(row) else "" for name, i in columns.items()}
            errors: tuple[str, ...] = ()
            if any(cell.strip() for cell in row[len(headers) :]):
                errors = (f"The line has {len(row)} cells, the header {len(headers)}.",)
            sheet.lines.append(CsvRow(number, cells, errors))
    except csv.Error as error:
        raise InvalidInputError("csv", f"It can't be read as a CSV after line {number}: {error}.") from error
    return sheet


def _column(header: str) -> str:
    """A header -> the name of its column; what follows `attribute:` is the user's own, and keeps its case."""
    start = header[: len(ATTRIBUTE)].lower()
    return start + header[len(ATTRIBUTE) :].strip() if start == ATTRIBUTE else header.lower()


def _delimiter(text: str, mapping: Mapping[str, str]) -> str:
    known = {*COLUMNS, *(header.lower() for header in mapping.values())}

    def sense(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return sum(cell.strip().lower() in known for cell in cells), len(cells)

    return max(DELIMITERS, key=sense)


def _columns(headers: Sequence[str], mapping: Mapping[str, str]) -> dict[str, int]:
    """Column -> its index. Raises InvalidInputError."""
    named = {header.lower(): column for column, header in mapping.items()}
    has = f"the headers are {', '.join(filter(None, headers)) or 'none'}"
    found: dict[str, int] = {}
    for place, header in enumerate(headers):
        column = named.get(header.lower(), _column(header))
        if column in mapping and header.lower() not in named:
            continue  # another header stands for it
        if column not in COLUMNS and not column.startswith(ATTRIBUTE):
            continue
        if column in found:
            raise InvalidInputError("csv", f"Two headers stand for {column}: {has}.")
        found[column] = place
    for column in (*mapping, *sorted(NEEDED)):
        if column not in found:
            said = mapping.get(column, column)
            raise InvalidInputError("csv", f"There is no header {said!r} for the column {column}: {has}.")
    return found


def escape_formula(text: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula (OWASP, "CSV Injection").

    `unescape_formula` restores the text exactly.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_formula(cell: str) -> str:
    """A cell without the apostrophe that `escape_formula` put before it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def encode(line: Sequence[str]) -> bytes:
    """A line of a CSV in UTF-8, each cell escaped."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow([escape_formula(cell) for cell in line])
    return out.getvalue().encode()

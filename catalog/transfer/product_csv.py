"""The CSV of products: its columns and cells, the same for import and export."""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.errors import InvalidInputError
from catalog.products import ATTRIBUTE
from embedder.barcodes.gtin import SHORTENED

#: Columns that are read, in the order in which they are written; further ones are `attribute:NAME`.
COLUMNS = ("sku", "name", "brand", "category", "barcode", "variant_group", "labels", "active", "photos")
#: Separates the photos, or the labels, of one cell.
SEPARATOR = "|"
DELIMITERS = (",", ";", "\t")
#: A cell that a spreadsheet would run as a formula, or show as a shortened number; or such a cell escaped.
_ESCAPED = re.compile(
    rf"'*(?:[=+\-@\t\r＝＋－＠]|{SHORTENED.pattern}$)",  # noqa: RUF001 - some spreadsheets take the wide ones, too
    re.IGNORECASE,
)
#: A text that Excel is told to keep as it is, leading zeros and all: ="0012".
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')
#: Line breaks and tabs in a cell, with the blanks around them.
_BREAKS = re.compile(r" *[\t\n\v\f\r\x85\u2028\u2029][\s]*")
#: Columns in which a line break separates, as Alt+Enter does in a spreadsheet's cell.
_LISTS = {"photos", "labels"}
#: Excel's line before the header that names the delimiter.
_SEP = re.compile(r'"?sep=([^"\w\s]|\t)"?[;,\t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_SAVE = "save it as CSV in UTF-8 (in Excel: Save as, 'CSV UTF-8 (Comma delimited)') and import that"


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


def parse_mapping(*texts: str) -> dict[str, str]:
    """`sku=Artikel,photos=Bild`, in one text or several -> {column: header}.

    A comma belongs to the header unless another COLUMN= follows; a header may stand in quotes. Raises InvalidInputError
    for any other form, and for a column that is given twice.
    """
    mapping: dict[str, str] = {}
    for part in (part.strip() for text in texts for part in re.split(r",(?=[^,=]*=|\s*$)", text)):
        if not part:
            continue
        column, _, header = (piece.strip() for piece in part.partition("="))
        column = _column(column)
        if len(header) > 2 and header[0] == header[-1] == '"':
            header = header[1:-1]
        if not header or not (column in COLUMNS or column.startswith(ATTRIBUTE)):
            names = ", ".join((*COLUMNS, f"{ATTRIBUTE}NAME"))
            raise InvalidInputError("map", f"{part!r} is not COLUMN=HEADER with one of the columns {names}.")
        if mapping.setdefault(column, _one_line(header)) != _one_line(header):
            raise InvalidInputError("map", f"The column {column} has two headers: {mapping[column]!r} and {header!r}.")
    return mapping


def read(raw: bytes, mapping: Mapping[str, str] | None = None, *, photos_needed: bool = True) -> Sheet:
    """Parse the bytes of a CSV in UTF-8, or in UTF-16 as Excel's "Unicode text" is.

    The delimiter is the one that a first line `sep=;` names, or else comma, semicolon or tab, whichever finds most
    columns in the header. `mapping`: column -> its header, or "" to leave the column out; other columns go by their own
    names, case-insensitively. Blank lines are skipped. Raises InvalidInputError for what is no such CSV (a workbook,
    another encoding), a header that lacks sku, or photos where they are needed, or names a column twice, and a quote
    that is never closed.
    """
    text, delimiter, skipped = _opened(raw, mapping or {})
    number = skipped
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        headers = _headers(rows)
        columns = _columns(headers, mapping or {}, photos_needed)
        read_columns = set(columns.values())
        sheet = Sheet(unread=[header for i, header in enumerate(headers) if header and i not in read_columns])
        for row in rows:
            number = rows.line_num + skipped
            if any(cell.strip() for cell in row):
                sheet.lines.append(_row(number, row, columns, len(headers)))
    except csv.Error as error:
        raise _unreadable(number, error) from error
    return sheet


def read_headers(raw: bytes) -> list[str]:
    """The headers of a CSV, in order. Raises InvalidInputError for what is no CSV."""
    text, delimiter, skipped = _opened(raw, {})
    try:
        return [*filter(None, _headers(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))]
    except csv.Error as error:
        raise _unreadable(skipped, error) from error


def guess_columns(headers: Sequence[str]) -> dict[str, str]:
    """Column -> the header that is read for it where no mapping says otherwise; the first of several."""
    found: dict[str, str] = {}
    for header in headers:
        if (column := _column(header)) in COLUMNS or column.startswith(ATTRIBUTE):
            found.setdefault(column, header)
    return found


def _opened(raw: bytes, mapping: Mapping[str, str]) -> tuple[str, str, int]:
    """The text of a CSV from its header on, its delimiter, and the number of lines before. Raises InvalidInputError."""
    text = _decode(raw)
    named = _SEP.match(text)
    text = text[named.end() :] if named else text
    # The limit is the process's: it is only ever raised. What a column may hold is checked where it is read.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        return text, named.group(1) if named else _delimiter(text, mapping), 1 if named else 0
    except csv.Error as error:
        raise _unreadable(0, error) from error


def _headers(rows: Iterable[list[str]]) -> list[str]:
    return [_one_line(header) for header in next((row for row in rows if any(map(str.strip, row))), [])]


def _unreadable(number: int, error: csv.Error) -> InvalidInputError:
    return InvalidInputError("csv", f"It can't be read as a CSV after line {number}: {error}.")


def _row(number: int, row: Sequence[str], columns: Mapping[str, int], headers: int) -> CsvRow:
    cells = {name: _cell(name, row[i]) if i < len(row) else "" for name, i in columns.items()}
    errors: tuple[str, ...] = ()
    if any(cell.strip() for cell in row[headers:]):
        errors = (f"The line has {len(row)} cells, the header {headers}.",)
    sku = row[columns["sku"]].strip() if columns["sku"] < len(row) else ""
    if SHORTENED.fullmatch(sku):
        errors += (f"The SKU {sku!r} is a number that a spreadsheet shortened: format the column as text.",)
    return CsvRow(number, cells, errors)


def _cell(column: str, raw: str) -> str:
    """A cell as it is meant: on one line, without what a spreadsheet puts around a text to keep it as it is."""
    text = raw.strip()
    if kept := _AS_TEXT.fullmatch(text):
        return kept[1].replace('""', '"').strip()
    return _BREAKS.sub(SEPARATOR if column in _LISTS else " ", unescape_formula(text))


def _decode(raw: bytes) -> str:
    """Raises InvalidInputError, which says what the file is and how to save it instead."""
    if raw.startswith(b"PK\x03\x04"):
        raise InvalidInputError("csv", f"It is {_zipped(raw)}")
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise InvalidInputError("csv", f"It is an Excel workbook (.xls), not a CSV: {_SAVE}.")
    if raw.startswith(b"%PDF"):
        raise InvalidInputError("csv", "It is a PDF, not a CSV.")
    encoding = "utf-8-sig"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif raw[1:2] == b"\x00" and raw[:1] != b"\x00":  # without a byte-order mark, as some programs write it
        encoding = "utf-16-le"
    elif raw[:1] == b"\x00" and raw[1:2] not in (b"", b"\x00"):
        encoding = "utf-16-be"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        # No guess: the same byte is ü in one encoding and Ř in another, and the wrong name would be kept.
        message = f"It is no CSV in UTF-8: line {line} is in another encoding. Open it in the program it is from, and"
        raise InvalidInputError("csv", f"{message} {_SAVE}.") from error
    if text.lstrip()[:9].lower().startswith(("<html", "<!doctype", "<table", "<?xml")):
        raise InvalidInputError("csv", f"It is a page or a workbook in HTML or XML, not a CSV: {_SAVE}.")
    return text


def _zipped(raw: bytes) -> str:
    """What a file in the form of a zip is: its rest of "It is ..."."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        names = []
    if any(name.startswith("xl/") for name in names):
        return f"an Excel workbook (.xlsx), not a CSV: {_SAVE}."
    if "mimetype" in names and "content.xml" in names:
        return f"an OpenDocument spreadsheet (.ods), not a CSV: {_SAVE}."
    if any(name.startswith("Index/") for name in names):
        return f"a Numbers spreadsheet, not a CSV: {_SAVE}."
    return "a zip, not a CSV: give it a name that ends in .zip."


def _one_line(header: str) -> str:
    """A header, with one blank for whatever stands between its words: a line break, or a no-break space."""
    return " ".join(header.split())


def _column(header: str) -> str:
    """A header -> the name of its column; what follows `attribute:` is the user's own, and keeps its case."""
    start = header[: len(ATTRIBUTE)].lower()
    return start + header[len(ATTRIBUTE) :].strip() if start == ATTRIBUTE else header.lower()


def _delimiter(text: str, mapping: Mapping[str, str]) -> str:
    known = {*COLUMNS, *(header.lower() for header in mapping.values())}
    text = text.lstrip("\r\n")

    def sense(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return sum(_one_line(cell).lower() in known for cell in cells), len(cells)

    return max(DELIMITERS, key=sense)


def _columns(headers: Sequence[str], mapping: Mapping[str, str], photos_needed: bool) -> dict[str, int]:
    """Column -> its index. Raises InvalidInputError."""
    named = {header.lower(): column for column, header in mapping.items() if header}
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
    needed = [column for column, header in mapping.items() if header]
    for column in (*needed, *(["photos"] if photos_needed else []), "sku"):
        if column not in found:
            said = mapping.get(column) or column
            raise InvalidInputError("csv", f"There is no header {said!r} for the column {column}: {has}.")
    return found


def escape_formula(text: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula (OWASP, "CSV Injection") or shorten.

    `unescape_formula` restores the text exactly.
    """
    return f"'{text}" if _ESCAPED.match(text) else text


def unescape_formula(cell: str) -> str:
    """A cell without the apostrophe that `escape_formula` put before it."""
    return cell[1:] if cell.startswith("'") and _ESCAPED.match(cell) else cell


def encode(line: Sequence[str]) -> bytes:
    """A line of a CSV in UTF-8, each cell escaped."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow([escape_formula(cell) for cell in line])
    return out.getvalue().encode()

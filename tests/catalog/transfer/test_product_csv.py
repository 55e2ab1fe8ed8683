from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import transfer
from catalog.errors import InvalidInputError
from catalog.transfer import product_csv


def cells(text: str, *mapping: str) -> list[dict[str, str]]:
    return [line.cells for line in product_csv.read(text.encode(), transfer.parse_mapping(*mapping)).lines]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_columns_in_any_order_and_the_usual_delimiters(delimiter: str, mark: str) -> None:
    text = f"{mark}Photos,NAME,sku\r\n1.jpg|2.jpg,Grüner Tee,A\r\n\r\n,,\r\n3.jpg,,B\r\n".replace(",", delimiter)
    assert cells(text) == [
        {"photos": "1.jpg|2.jpg", "name": "Grüner Tee", "sku": "A"},
        {"photos": "3.jpg", "name": "", "sku": "B"},
    ]


def test_a_cell_may_hold_the_other_delimiters() -> None:
    text = 'sku;photos;name;barcode\nA;1.jpg;Tea, green, large;"4006381333931;96385074"\n'
    assert cells(text)[0]["name"] == "Tea, green, large"
    assert cells(text)[0]["barcode"] == "4006381333931;96385074"


def test_foreign_headers() -> None:
    text = "Artikel;Bild;name;Farbe;sku;Preis\nA;1.jpg;Tea;green;old;1,99\n"
    assert cells(text, "sku=artikel, photos=Bild,attribute:Color=Farbe") == [
        {"sku": "A", "photos": "1.jpg", "name": "Tea", "attribute:Color": "green"}
    ]
    assert product_csv.read(text.encode(), {"sku": "Artikel", "photos": "Bild"}).unread == ["Farbe", "sku", "Preis"]


@pytest.mark.parametrize(
    ("text", "mapping", "words"),
    [
        ("name,photo\nA,1.jpg\n", "", "'photos' for the column photos: the headers are name, photo"),
        ("", "", "the headers are none"),
        ("sku,photos\nA,1.jpg\n", "name=Titel", "'Titel' for the column name: the headers are sku, photos"),
        ("sku,photos,SKU\nA,1.jpg,B\n", "", "Two headers stand for sku"),
        ('sku,photos\nA,"1.jpg\nB,2.jpg\n', "", "can't be read as a CSV after line"),
    ],
)
def test_what_is_no_list_of_products(text: str, mapping: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        cells(text, mapping)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_unicode_forms_that_spreadsheets_write(encoding: str, end: str) -> None:
    raw = f"sku\tphotos\tname{end}TEA-1\tfront.jpg\tGrüner Tee{end}".encode(encoding)
    if encoding == "utf-16-be":
        raw = b"\xfe\xff" + raw
    assert product_csv.read(raw).lines[0].cells == {"sku": "TEA-1", "photos": "front.jpg", "name": "Grüner Tee"}


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "mac-roman", "shift-jis"])
def test_another_encoding_is_told_with_its_line_and_never_guessed(encoding: str) -> None:
    name = "緑茶" if encoding == "shift-jis" else "Grüner Tee"
    with pytest.raises(InvalidInputError, match=r"line 2 is in another encoding.*CSV UTF-8"):
        product_csv.read(f"sku;photos;name\r\nTEA-1;front.jpg;{name}\r\n".encode(encoding))


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (zipped("[Content_Types].xml", "xl/workbook.xml"), r"\(\.xlsx\), not a CSV.*save it as CSV"),
        (zipped("mimetype", "content.xml"), r"\(\.ods\), not a CSV.*save it as CSV"),
        (zipped("Index/Document.iwa"), "Numbers.*save it as CSV"),
        (zipped("TEA-1/front.jpg"), r"a zip.*ends in \.zip"),
        (b"PK\x03\x04 and no more", "a zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), r"\(\.xls\), not a CSV.*save it as CSV"),
        (b"\n<html><table><tr><td>sku</td></tr></table></html>", "HTML or XML.*save it as CSV"),
        (b'<?xml version="1.0"?><Workbook/>', "HTML or XML.*save it as CSV"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_a_workbook_is_told_as_such(raw: bytes, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        product_csv.read(raw)


@pytest.mark.parametrize("first", ["sep=;\r\n", "SEP=;\n", '"sep=;"\r\n', "sep=;;;\r\n"])
def test_the_line_that_names_the_delimiter(first: str) -> None:
    read = product_csv.read(f"{first}sku;photos;name\r\n\r\nTEA-1;1.jpg;Tea, green, x\r\n".encode())
    assert [line.cells["name"] for line in read.lines] == ["Tea, green, x"]
    assert read.lines[0].number == 4, "as an editor counts"
    assert cells("sep=#\nsku#photos\nA#1.jpg\n") == [{"sku": "A", "photos": "1.jpg"}]
    assert cells("sep=\t\nsku\tphotos\nA\t1.jpg\n") == [{"sku": "A", "photos": "1.jpg"}]


def test_a_line_break_in_a_cell_is_a_blank_or_separates() -> None:
    read = cells('sku,"attribute:made\nin",photos,name,labels\nA,x,"1.jpg\n2.jpg","Tea \r\n loose\tleaf","a\nb"\n')
    assert read == [
        {"sku": "A", "attribute:made in": "x", "photos": "1.jpg|2.jpg", "name": "Tea loose leaf", "labels": "a|b"}
    ]


def test_what_keeps_zeros_in_a_spreadsheet() -> None:
    (read,) = cells('sku,photos,barcode,name\n"=""0012""",1.jpg,"=""4076012229070""",="say ""x"""\n')
    assert read == {"sku": "0012", "photos": "1.jpg", "barcode": "4076012229070", "name": 'say "x"'}


@pytest.mark.parametrize("sku", ["4,07E+12", "4.07E+12", "1E+15"])
def test_a_sku_that_a_spreadsheet_shortened_is_told(sku: str) -> None:
    (line,) = product_csv.read(f"sku;photos\n{sku};1.jpg\n".encode()).lines
    assert "shortened" in line.errors[0]
    own = product_csv.encode(["sku", "photos"]) + product_csv.encode([sku, ""])
    (line,) = product_csv.read(own).lines
    assert (line.cells["sku"], line.errors) == (sku, ()), "our own export says that it is a text"


def test_a_large_cell_that_nobody_reads() -> None:
    large = "A" * 300_000
    read = product_csv.read(f'sku,photos,"{large}",description\nTEA-1,1.jpg,,"{large}"\n'.encode())
    assert [line.cells for line in read.lines] == [{"sku": "TEA-1", "photos": "1.jpg"}]
    assert read.unread == [large, "description"]


SHOP = 'ID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Images\n12,simple,TEA-1,4006381333931,Green tea,tea.jpg\n'


@pytest.mark.parametrize(
    "mapping",
    [
        ["photos=Images", "barcode=GTIN, UPC, EAN, or ISBN"],
        ["photos=Images,barcode=GTIN, UPC, EAN, or ISBN"],
        ["barcode=GTIN, UPC, EAN, or ISBN, photos=Images,"],
        ['barcode="GTIN, UPC, EAN, or ISBN"', "photos=images", "name=Name"],
    ],
)
def test_a_header_with_commas(mapping: list[str]) -> None:
    assert cells(SHOP, *mapping) == [
        {"sku": "TEA-1", "photos": "tea.jpg", "barcode": "4006381333931", "name": "Green tea"}
    ]


def test_a_column_has_one_header() -> None:
    assert transfer.parse_mapping("sku=A", "sku=A") == {"sku": "A"}
    with pytest.raises(InvalidInputError, match="two headers: 'A' and 'B'"):
        transfer.parse_mapping("sku=A,sku=B")


@pytest.mark.parametrize("mapping", ["sku", "sku=", "price=Preis", "=x", "sku=A,=x", "sku=A,price=Preis"])
def test_what_is_no_mapping(mapping: str) -> None:
    with pytest.raises(InvalidInputError, match="COLUMN=HEADER"):
        transfer.parse_mapping(mapping)


def test_lines_are_numbered_as_an_editor_does() -> None:
    read = product_csv.read(b'sku,photos,name\nA,1.jpg,"two\nlines"\n\nB,2.jpg,,x\nC,3.jpg,,,\n')
    assert [line.number for line in read.lines] == [3, 5, 6]
    assert [bool(line.errors) for line in read.lines] == [False, True, False]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "'=1", "''-x", "＝1", '="0012"', "4.07E+12", "'4,07e+12"])  # noqa: RUF001
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    (written,) = next(csv.reader(io.StringIO(product_csv.encode([text]).decode())))
    assert written == f"'{text}"


@given(st.text(alphabet="'=+-@ax\t,;\"|4.E1", max_size=8))
def test_every_text_comes_back(text: str) -> None:
    (written,) = next(csv.reader(io.StringIO(product_csv.encode([text]).decode(), newline=""))) or ("",)
    assert product_csv.unescape_formula(written) == text

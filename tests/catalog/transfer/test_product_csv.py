from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import transfer
from catalog.errors import InvalidInputError
from catalog.transfer import product_csv


def cells(text: str, mapping: str = "") -> list[dict[str, str]]:
    return [line.cells for line in product_csv.read(text.encode(), transfer.parse_mapping(mapping)).lines]


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


@pytest.mark.parametrize("mapping", ["sku", "sku=", "price=Preis", "=x"])
def test_what_is_no_mapping(mapping: str) -> None:
    with pytest.raises(InvalidInputError, match="COLUMN=HEADER"):
        transfer.parse_mapping(mapping)


def test_lines_are_numbered_as_an_editor_does() -> None:
    read = product_csv.read(b'sku,photos,name\nA,1.jpg,"two\nlines"\n\nB,2.jpg,,x\nC,3.jpg,,,\n')
    assert [line.number for line in read.lines] == [3, 5, 6]
    assert [bool(line.errors) for line in read.lines] == [False, True, False]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "'=1", "''-x", "＝1"])  # noqa: RUF001
def test_no_spreadsheet_runs_a_cell(text: str) -> None:
    (written,) = next(csv.reader(io.StringIO(product_csv.encode([text]).decode())))
    assert written == f"'{text}"


@given(st.text(alphabet="'=+-@ax\t,;\"|", max_size=6))
def test_every_text_comes_back(text: str) -> None:
    (written,) = next(csv.reader(io.StringIO(product_csv.encode([text]).decode(), newline=""))) or ("",)
    assert product_csv.unescape_formula(written) == text

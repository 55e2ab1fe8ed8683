"""`catalog import` of lists as spreadsheets and shops write them: imported right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from catalog import products
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.config import Settings
from tests.support.pictures import jpeg

#: The bytes of a list, more arguments, the exit status -> what was said.
Import = Callable[..., Result]


@pytest.fixture
def import_list(env: dict[str, str], tmp_path: Path) -> Import:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "front.jpg").write_bytes(jpeg(1))

    def run(raw: bytes, *arguments: str, status: int = 0, name: str = "list.csv") -> Result:
        (tmp_path / name).write_bytes(raw)
        result = CliRunner().invoke(main, ["import", str(tmp_path / name), "--quiet", *arguments], env=env)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result

    return run


def contents(env: dict[str, str]) -> dict[str, tuple[str, list[str]]]:
    """SKU -> name, barcodes."""
    catalog = Catalog.open(Settings.from_env(env))
    try:
        listed = products.list_page(catalog.database).products
        found = [products.get(catalog.database, product.sku) for product in listed]
        return {one.sku: (one.name, [barcode.gtin for barcode in one.barcodes]) for one in found}
    finally:
        catalog.close()


TEA = "04076012229070"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sku;photos;barcode\r\nTEA-1;pics/front.jpg;4076012229070,0\r\n", {"TEA-1": ("TEA-1", [TEA])}),
        ("sku,photos,barcode\r\nTEA-1,pics/front.jpg,4076012229070.0\r\n", {"TEA-1": ("TEA-1", [TEA])}),
        (
            'sku,photos,barcode\r\n"=""0012""",pics/front.jpg,"=""4076012229070"""\r\n',
            {"0012": ("0012", [TEA])},
        ),
        ("sep=;\r\nsku;photos;name\r\nTEA-1;pics/front.jpg;Tea\r\n", {"TEA-1": ("Tea", [])}),
        ('sku,photos,name\r\nTEA-1,pics/front.jpg,"Tea\nloose leaf"\r\n', {"TEA-1": ("Tea loose leaf", [])}),
        ("sku,photos\r\nTEA\u00a01,pics/front.jpg\r\n", {"TEA 1": ("TEA 1", [])}),
        (f"sku,photos,text\nTEA-1,pics/front.jpg,{'x' * 200_000}\n", {"TEA-1": ("TEA-1", [])}),
    ],
)
def test_imported_right(
    import_list: Import, env: dict[str, str], text: str, expected: dict[str, tuple[str, list[str]]]
) -> None:
    import_list(text.encode())
    assert contents(env) == expected


def test_unicode_text_of_excel(import_list: Import, env: dict[str, str]) -> None:
    import_list("sku\tphotos\tname\r\nTEA-1\tpics/front.jpg\tGrüner Tee\r\n".encode("utf-16"))
    assert contents(env) == {"TEA-1": ("Grüner Tee", [])}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sku,photos,barcode\nTEA-1,pics/front.jpg,"40123455, 6"\n', "The barcode 6 has 1 digits"),
        ("sku;photos;barcode\nTEA-1;pics/front.jpg;4,07E+12\n", "a spreadsheet shortened"),
        ("sku;photos;barcode\nTEA-1;pics/front.jpg;4,076,012,229,070\n", "has 1 digits"),
        ("sku;photos\n4,07601E+12;pics/front.jpg\n", "format the column as text"),
        (f'sku,photos,barcode\nTEA-1,pics/front.jpg,"{"4" * 200_000}"\n', "has 200000 digits"),
    ],
)
def test_refused_and_nothing_imported(import_list: Import, env: dict[str, str], text: str, words: str) -> None:
    said = import_list(text.encode(), status=1)
    assert words in said.stderr and "list.csv:2" in said.stderr
    assert len(said.stderr) < 1000
    assert contents(env) == {}


@pytest.mark.parametrize(
    ("raw", "name", "words"),
    [
        ("sku;photos;name\r\nTEA-1;pics/front.jpg;Grüner Tee\r\n".encode("cp1252"), "list.csv", "CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "list.xls", "Excel workbook (.xls)"),
        (b"PK\x03\x04\x14\x00\x06\x00", "list.xlsx", "zip"),
    ],
)
def test_told_how_to_save_it(import_list: Import, env: dict[str, str], raw: bytes, name: str, words: str) -> None:
    assert words in import_list(raw, status=1, name=name).stderr
    assert contents(env) == {}


def test_a_shops_export(import_list: Import, env: dict[str, str]) -> None:
    text = 'ID,SKU,"GTIN, UPC, EAN, or ISBN",Name,Images\n12,TEA-1,4006381333931,Green tea,pics/front.jpg\n'
    said = import_list(text.encode(), "--map", "photos=Images", "--map", "barcode=GTIN, UPC, EAN, or ISBN")
    assert "not read: ID" in said.stderr
    assert contents(env) == {"TEA-1": ("Green tea", ["04006381333931"])}

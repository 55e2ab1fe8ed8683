from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import InvalidInputError
from catalog.normalization import sku_key
from catalog.products import Facts, Intake
from catalog.storage import content_hash
from catalog.storage.photo_folder import FolderStore
from catalog.storage.tables import Product
from catalog.transfer import sources
from catalog.transfer.importing import Report
from tests.support.imports import errors_of
from tests.support.pictures import jpeg

#: SKU -> name, barcodes, active, hashes of photos.
Contents = dict[str, tuple[Any, ...]]


def fill(catalog: Catalog) -> None:
    def create(facts: Facts, *photos: tuple[str, int]) -> None:
        products.create(
            catalog,
            facts,
            [NewPhoto(name, jpeg(seed)) for name, seed in photos],
            Intake("t", check="off", read_barcodes=False),
        )

    create(Facts("A", "=1+1", "@brand", "-x", ("4006381333931", "96385074")), ("1.jpg", 1), ("1.jpg", 2), ("1.JPG", 3))
    create(Facts("Tee grün 1.5+", 'Grüner "Tee", 茶; groß', "Blatt"), ("grün|茶.jpg", 4))
    own = {"origin": "=Assam", "Größe": "500 g", "a|b;c": "x\ty".replace("\t", " ")}
    create(Facts("sets", variant_group="tea", labels=("store 12", "bakery"), attributes=own), ("1.jpg", 10))
    create(Facts("odd"), ("../../etc/passwd", 5), ("", 6), ("con:<1>.png", 7), ("x" * 255, 8), (".jpg", 9))
    create(Facts("gone", "'=quoted"), ("1.jpg", 1))
    products.set_active(catalog, "gone", False, actor="t")


def contents(catalog: Catalog) -> Contents:
    found = {}
    for sku in ("A", "Tee grün 1.5+", "odd", "gone", "sets"):
        product = products.get(catalog.database, sku)
        numbers = [barcode.gtin for barcode in product.barcodes]
        hashes = {photo.sha256 for photo in product.photos}
        more = (product.variant_group, [label.name for label in product.labels], product.attributes)
        found[sku] = (product.name, product.brand, product.category, numbers, product.active, hashes, *more)
    return found


@pytest.fixture
def empty(catalog: Catalog, tmp_path: Path) -> Callable[[], Catalog]:
    """Another catalog, empty, on SQLite."""

    def make() -> Catalog:
        data = tmp_path / "other"
        database = f"sqlite:///{data / 'catalog.db'}"
        settings = replace(catalog.settings, data=data, database=database, gallery=f"edge:{data / 'gallery'}")
        return Catalog.open(replace(settings, photos=f"file:{data / 'photos'}"))

    return make


@pytest.mark.slow
@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_what_is_exported_can_be_imported(
    catalog: Catalog, empty: Callable[[], Catalog], tmp_path: Path, target: str
) -> None:
    fill(catalog)
    done = transfer.export(catalog, tmp_path / target)
    assert (done.products, done.photos, done.errors) == (5, 11, [])
    assert transfer.count_photos(catalog.database) == 11
    other = empty()
    with transfer.open_source(tmp_path / target) as source:
        assert source.listed and source.photos == 11
        assert errors_of(other.database, source.items) == []
        assert transfer.import_items(other, source.items, actor="t") == Report(products=5, photos=11)
    assert contents(other) == contents(catalog)
    # Into the catalog that it came from it changes nothing.
    with transfer.open_source(tmp_path / target) as source:
        assert errors_of(catalog.database, source.items) == []
        assert transfer.import_items(catalog, source.items, actor="t") == Report(duplicates=11)
    other.close()
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_names_stay_inside_and_apart(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    transfer.export(catalog, tmp_path / "out")
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"catalog.csv", "photos/odd/passwd.jpg", "photos/Tee grün 1.5+/grün_茶.jpg"} <= files
    assert {name.lower() for name in files if name.startswith("photos/A/")} == {
        "photos/a/1.jpg",
        "photos/a/1-2.jpg",
        "photos/a/1-3.jpg",
    }
    assert len(files) == 12
    text = (tmp_path / "out" / "catalog.csv").read_text(encoding="utf-8-sig")
    assert "\nA,'=1+1,'@brand,'-x," in text
    assert "\ngone,''=quoted," in text


ODD = [
    "CON",
    "con.x",
    "com1",
    "a.",
    "a",
    "A/1",
    "a:1",
    "a?1",
    "-x",
    "=1+1",
    "@x",
    "'y",
    '="0012"',
    "4.07E+12",
    "चाय-1",
    "|",
    "\U0001f375" * 64,
]


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_any_sku_comes_back_from_names_that_every_system_has(
    catalog: Catalog, empty: Callable[[], Catalog], tmp_path: Path, target: str
) -> None:
    for number, sku in enumerate(ODD):
        products.create(catalog, Facts(sku), [NewPhoto("aux.jpg", jpeg(number))], Intake("t", check="off"))
    transfer.export(catalog, tmp_path / target)
    with transfer.open_source(tmp_path / target) as source:
        names = [photo for item in source.items for photo in item.photos]
        parts = [part for photo in names for part in str(photo).removeprefix(str(tmp_path)).split("/") if part]
        paths = [str(photo) for photo in names]
        assert len({sku_key(path) for path in paths}) == len(ODD)
        for part in parts:
            assert not re.search(r'[<>:"\\|?*]|[. ]$', part)
            assert not re.match(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", part)
            assert len(part.encode()) <= 255
        other = empty()
        assert errors_of(other.database, source.items) == []
        assert transfer.import_items(other, source.items, actor="t") == Report(products=len(ODD), photos=len(ODD))
    for number, sku in enumerate(ODD):
        (photo,) = products.get(other.database, sku).photos
        assert photo.sha256 == content_hash(jpeg(number))
    other.close()


def test_skus_of_an_older_catalog_that_differ_in_capitals_get_folders_of_their_own(
    catalog: Catalog, tmp_path: Path
) -> None:
    for number, sku in enumerate(("TEA-1", "other", "x")):
        products.create(catalog, Facts(sku), [NewPhoto("front.jpg", jpeg(number))], Intake("t", check="off"))
    with catalog.database.write() as session:  # as before such SKUs were refused
        for old, new in (("other", "tea-1"), ("x", "\uff34EA-1")):
            session.execute(update(Product).where(Product.sku == old).values(sku=new, sku_key="tea-1"))
    transfer.export(catalog, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        lines = archive.read("catalog.csv").decode("utf-8-sig").splitlines()[1:]
        for line in lines:
            sku, name = line.split(",")[0], line.split(",")[-1]
            assert content_hash(archive.read(name)) == products.get(catalog.database, sku).photos[0].sha256
    assert len({name.casefold() for name in names}) == len(names) == 4
    assert {line.split(",")[0] for line in lines} == {"TEA-1", "tea-1", "\uff34EA-1"}


def test_without_photos(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    assert transfer.export(catalog, tmp_path / "out", photos=False).photos == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["catalog.csv"]
    assert [item.photos for item in sources.from_csv(tmp_path / "out" / "catalog.csv").items] == [[]] * 5


def test_nothing_is_overwritten(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert transfer.export(catalog, tmp_path / "out").products == 0  # an empty folder is no loss
    (tmp_path / "out.zip").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    for name in ("out", "out.zip", "file"):
        with pytest.raises(InvalidInputError, match="there already"):
            transfer.export(catalog, tmp_path / name)
    assert (tmp_path / "out.zip").read_bytes() == b"mine"


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_an_export_that_fails_leaves_nothing(catalog: Catalog, tmp_path: Path, target: str) -> None:
    fill(catalog)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        transfer.export(catalog, tmp_path / target, progress=stop)
    assert sorted(tmp_path.iterdir()) == before


def test_a_photo_that_was_lost_is_told(catalog: Catalog, tmp_path: Path) -> None:
    fill(catalog)
    lost = products.get(catalog.database, "Tee grün 1.5+").photos[0].sha256
    assert isinstance(catalog.photos, FolderStore)
    (catalog.photos.root / lost[:2] / lost[2:4] / lost).unlink()
    done = transfer.export(catalog, tmp_path / "out")
    assert (done.products, done.photos, len(done.errors)) == (5, 10, 1)
    assert done.errors[0].startswith("Tee grün 1.5+: grün|茶.jpg: ")

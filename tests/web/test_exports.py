"""Exports as downloads, and back through an import."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.photo_folder import FolderStore
from catalog.transfer import downloads
from tests.support.pictures import jpeg
from tests.support.staff import Staff


@pytest.fixture
def tea(catalog: Catalog) -> str:
    """The SKU of a product whose name a spreadsheet would run."""
    if not products.list_page(catalog.database, products.Filter("EXP-1")).products:
        photo = NewPhoto("front.jpg", jpeg(801))
        products.create(catalog, Facts("EXP-1", "=1+1", labels=("x",)), [photo], Intake("test", check="off"))
    return "EXP-1"


def test_a_list_of_a_search_has_no_cell_that_a_spreadsheet_runs(staff: Staff, tea: str) -> None:
    reply = staff.get(f"/export/catalog.csv?search={tea}")
    assert reply.headers["Content-Disposition"] == "attachment; filename=catalog.csv"
    lines = reply.data.decode("utf-8-sig").splitlines()
    assert len(lines) == 2 and lines[1].startswith("EXP-1,'=1+1,")


def test_a_zip_can_be_imported_and_leaves_nothing_behind(
    staff: Staff, catalog: Catalog, tea: str, tmp_path: Path
) -> None:
    reply = staff.get(f"/export/catalog.zip?search={tea}")
    assert reply.content_length == len(reply.data)
    with zipfile.ZipFile(io.BytesIO(reply.data)) as archive:
        assert sorted(archive.namelist()) == ["catalog.csv", "photos/EXP-1/front.jpg"]
        assert archive.read("photos/EXP-1/front.jpg") == jpeg(801)
    assert list((catalog.settings.data / "exports").iterdir()) == []
    (tmp_path / "catalog.zip").write_bytes(reply.data)
    with transfer.open_source(tmp_path / "catalog.zip") as source:
        [line] = transfer.preview(catalog.database, source.items)
    assert line.state == "unchanged"


def test_all_products_are_those_that_are_retired_too(staff: Staff, catalog: Catalog, tea: str) -> None:
    products.set_active(catalog, tea, False, actor="test")
    assert tea in staff.get("/export/catalog.csv").get_data(as_text=True)
    assert tea in staff.get("/export/catalog.csv?retired=1").get_data(as_text=True)
    assert tea not in staff.get(f"/export/catalog.csv?search={tea}").get_data(as_text=True)
    products.set_active(catalog, tea, True, actor="test")
    page = staff.get(f"/products/?search={tea}").get_data(as_text=True)
    assert f'href="/export/catalog.zip?search={tea}"' in page


def test_one_export_at_a_time_and_only_with_room(
    staff: Staff, catalog: Catalog, tea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with downloads._EXPORTING:
        assert staff.get("/export/catalog.zip").status_code == 409
    monkeypatch.setattr(downloads, "KEPT_FREE", 1 << 60)
    assert staff.get("/export/catalog.zip").status_code == 503


def test_a_photo_that_was_lost_is_named_in_the_zip(staff: Staff, catalog: Catalog) -> None:
    photo = NewPhoto("back.jpg", jpeg(802))
    added = products.create(catalog, Facts("EXP-2"), [photo], Intake("test", check="off"))
    sha256 = added.photos[0].sha256
    assert isinstance(catalog.photos, FolderStore)
    (catalog.photos.root / sha256[:2] / sha256[2:4] / sha256).unlink()
    reply = staff.get("/export/catalog.zip?search=EXP-2")
    with zipfile.ZipFile(io.BytesIO(reply.data)) as archive:
        assert archive.read("left-out.txt").decode().startswith("EXP-2: back.jpg: ")
    products.purge(catalog, "EXP-2", actor="test")


def test_only_the_staff_export(anybody: FlaskClient) -> None:
    assert anybody.get("/export/catalog.csv").status_code == 302
    assert anybody.get("/export/catalog.zip").status_code == 302

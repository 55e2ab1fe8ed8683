"""A full disk and a read-only one: typed errors, the state as it was, and all goes on by itself when there is room."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from catalog import accounts, enrollment
from catalog.catalog import Catalog
from catalog.errors import CatalogError
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry
from tests.support.disks import Disk, small_disk
from tests.torture import acting
from tests.torture.acting import Acting
from tests.torture.model import Model, Op, photo
from web import create_app

pytestmark = pytest.mark.slow

#: Which parts can't be written -> the setting, and what is on the small disk.
PARTS = {
    "photos": ("CATALOG_PHOTOS", "file:{}/photos"),
    "database": ("CATALOG_DATABASE", "sqlite:///{}/catalog.db"),
    "gallery": ("CATALOG_GALLERY", "edge:{}/gallery"),
}
FULL, READ_ONLY = "full", "read-only"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def open_on(env: dict[str, str], disk: Disk, part: str) -> Catalog:
    setting, where = PARTS[part]
    return acting.open_catalog({**env, setting: where.format(disk.folder), "CATALOG_SECOND_LOOK": "off"})


def seen(catalog: Catalog) -> tuple[object, int]:
    with catalog.database.read() as session:
        return acting.state(catalog).products, session.scalar(select(func.count()).select_from(AuditEntry)) or 0


def create(sku: str, *photos: int) -> Op:
    return Op("create", sku, {"name": sku, "photos": list(photos), "barcodes": []})


CHANGES = (
    create("NEW", 11, 12),
    Op("add_photos", "S1", {"photos": [13, 14]}),
    Op("replace_photo", "S1", {"photo": 2, "new": 15}),
    Op("crop_photo", "S1", {"photo": 4}),
    Op("move_photo", "S1", {"photo": 1, "to": "S2"}),
    Op("change", "S1", {"name": "new"}),
    Op("set_active", "S2", {"active": False}),
    Op("delete_photo", "S2", {"photo": 3}),
    Op("merge", "S2", {"into": "S1"}),
    Op("rename", "S1", {"new": "S9"}),
    Op("purge", "S9"),
)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("how", [FULL, READ_ONLY])
def test_a_change_is_made_whole_or_refused(env: dict[str, str], disk: Disk, part: str, how: str) -> None:
    if part == "database" and "postgresql" in env["CATALOG_DATABASE"]:
        pytest.skip("a file is SQLite's")
    catalog = open_on(env, disk, part)
    acts, model = Acting(catalog), Model()
    for op in (create("S1", 1, 2, 4), create("S2", 3)):
        assert acts.perform(op) == model.apply(op) == ""
    if how == FULL:
        disk.fill()
    else:  # Linux does that to a disk with errors; no file may be open for writing at that moment
        catalog.generations.release(catalog.generations.ready().collection)
        catalog.database.close()
        disk.lock(on=True)
    refused = 0
    readable = (part, how) != ("database", READ_ONLY)  # SQLite's WAL needs a file to share memory by
    for op in CHANGES:
        before = seen(catalog) if readable else None
        code = acts.perform(op)
        if code:
            refused += 1
            assert not readable or seen(catalog) == before, op
        else:
            model.apply(op)
    # What needs the part that is full is refused, else pending; a gallery is never a reason to refuse.
    assert refused == {"photos": 4, "database": len(CHANGES), "gallery": 0}[part]
    if how == FULL:
        assert all(model.products[match.sku].active for match in recognize(catalog, photo(1)).matches)
    disk.free() if how == FULL else disk.lock(on=False)
    assert acting.state(catalog).products == model.products
    acting.settle(catalog)
    assert list(acting.wrongs(catalog)) == []
    for op in (create("AFTER", 21), Op("add_photos", "AFTER", {"photos": [22]})):
        assert acts.perform(op) == model.apply(op) == ""
    acting.settle(catalog)
    assert acting.state(catalog).products == model.products
    assert list(acting.wrongs(catalog)) == []
    left = [path for path in catalog.settings.data.rglob("*") if path.name.startswith(".") and path.is_file()]
    assert left == []
    catalog.close()


@pytest.mark.parametrize("part", PARTS)
def test_the_server_says_so(env: dict[str, str], disk: Disk, part: str) -> None:
    if part == "database" and "postgresql" in env["CATALOG_DATABASE"]:
        pytest.skip("a file is SQLite's")
    catalog = open_on(env, disk, part)
    till = create_app(catalog, "a key for tests only, long enough").test_client()
    key = accounts.add_key(catalog.database, "till", accounts.SCOPES, actor="test").key
    till.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    assert _add(till, "S1", 1) == (201, "searchable")
    disk.fill()
    wanted = {"photos": (503, "storage_error"), "database": (503, "database_unavailable"), "gallery": (201, "pending")}
    assert _add(till, "S2", 2) == wanted[part]
    for _ in range(3):
        answer = till.post("/api/v1/recognize", data=photo(1), content_type="image/jpeg")
        assert (answer.status_code, answer.get_json()["matches"][0]["sku"]) == (200, "S1")
    disk.free()
    acting.settle(catalog)
    assert _add(till, "S3", 3) == (201, "searchable")
    assert list(acting.wrongs(catalog)) == []
    catalog.close()


def test_a_gallery_that_finds_no_room_at_the_start_is_opened_when_there_is(env: dict[str, str], disk: Disk) -> None:
    catalog = open_on(env, disk, "gallery")
    Acting(catalog).perform(create("S1", 1))
    catalog.close()
    disk.fill()
    catalog = open_on(env, disk, "gallery")
    with pytest.raises(CatalogError, match=r"The disk of the gallery in .* is full: 0 MB are free, 64 are needed"):
        recognize(catalog, photo(1))
    assert Acting(catalog).perform(create("S2", 2)) == ""
    with pytest.raises(CatalogError, match="is full"):
        enrollment.run_pending(catalog)
    disk.free()
    acting.settle(catalog)
    assert list(acting.wrongs(catalog)) == []
    catalog.close()


def _add(till: FlaskClient, sku: str, number: int) -> tuple[int, str]:
    """Status, and the error's code or the photo's state."""
    form = {"sku": sku, "photos": [(io.BytesIO(photo(number)), "photo.jpg")]}
    reply = till.post("/api/v1/products", data=form)
    body = reply.get_json(force=True)
    assert reply.content_type == ("application/json" if reply.status_code == 201 else "application/problem+json")
    return reply.status_code, body["photos"][0]["state"] if reply.status_code == 201 else body["code"]

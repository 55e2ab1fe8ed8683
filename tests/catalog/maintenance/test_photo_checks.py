from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import NewPhoto
from catalog.maintenance import photo_checks
from catalog.products import Facts, Intake
from catalog.storage import bin_rows, feature_store
from catalog.storage.tables import AuditEntry, BinEntry, Photo, Product, now
from tests.support.pictures import jpeg


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    for sku, seeds in (("A", (1, 2)), ("B", (2, 3))):  # photo 2 is of both
        photos = [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in seeds]
        products.create(catalog, Facts(sku), photos, Intake("test"))
    return catalog


def stored(catalog: Catalog, seed: int, kind: str = "") -> Path:
    from catalog.storage import content_hash

    sha256 = content_hash(jpeg(seed))
    return catalog.settings.data / "photos" / sha256[:2] / sha256[2:4] / (sha256 + kind)


def found(catalog: Catalog, **options: bool) -> list[tuple[str, str, bool]]:
    return sorted((one.sku, one.kind, one.mended) for one in maintenance.examine(catalog, **options))


def test_a_sound_catalog_gives_no_finding_and_every_photo_is_looked_at_once(filled: Catalog) -> None:
    looked: list[tuple[int, int]] = []
    assert not list(maintenance.examine(filled, progress=lambda done, total: looked.append((done, total))))
    assert looked[:3] == [(1, 3), (2, 3), (3, 3)] and set(looked[3:]) == {(3, 3)}, "between the parts, too"


def test_what_is_missing_is_found_and_details_are_made_again(filled: Catalog) -> None:
    kind = f".{feature_store.KIND}"
    whole = stored(filled, 1, kind).read_bytes()
    stored(filled, 1, kind).unlink()
    stored(filled, 2, kind).write_bytes(b"SKUD but no more")
    stored(filled, 3).unlink()
    lost = ("B", "photo_missing", False)
    assert found(filled) == [("A", "details_missing", False), ("A", "details_missing", False), lost]
    assert not stored(filled, 1, kind).exists()
    assert found(filled, repair=True) == [("A", "details_missing", True), ("A", "details_missing", True), lost]
    assert stored(filled, 1, kind).read_bytes() == whole
    assert found(filled) == [lost]


def test_a_photo_whose_bytes_changed_is_told(filled: Catalog) -> None:
    path = stored(filled, 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert found(filled, repair=True) == [("B", "photo_damaged", False)]


def test_pages_leave_nothing_out(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_checks, "PAGE", 1)
    for seed in (1, 2, 3):
        stored(filled, seed, f".{feature_store.KIND}").unlink()
    assert len(found(filled)) == 3


@pytest.mark.slow
def test_the_command_says_what_is_amiss_and_its_exit_status_is_for_monitoring(
    filled: Catalog, env: dict[str, str]
) -> None:
    kind = f".{feature_store.KIND}"
    stored(filled, 1, kind).unlink()
    filled.close()
    ask = CliRunner()

    def run(*words: str) -> tuple[int, str]:
        result = ask.invoke(main, ["doctor", "--quiet", *words], env=env)
        return result.exit_code, result.stdout

    status, said = run("--json")
    assert status == 1
    (finding,) = [json.loads(line) for line in said.splitlines()]
    assert (finding["kind"], finding["sku"], finding["mended"]) == ("details_missing", "A", False)
    assert run("--repair") == (0, f"A: mended: {finding['message']}\n1 findings, 1 mended\n")
    assert run() == (0, "0 findings, 0 mended\n")


def orphan(catalog: Catalog, seed: int, days: float) -> Path:
    """A photo with details that no row names, put so long ago."""
    sha256 = catalog.photos.put(jpeg(seed))
    catalog.photos.put_derived(sha256, feature_store.KIND, b"x")
    for path in (stored(catalog, seed), stored(catalog, seed, f".{feature_store.KIND}")):
        os.utime(path, (time.time() - days * 86400,) * 2)
    return stored(catalog, seed)


def test_orphaned_files_are_told_with_their_age_and_only_take_space(filled: Catalog, env: dict[str, str]) -> None:
    old, young = orphan(filled, 8, 3.5), orphan(filled, 9, 0.5)
    unfinished = old.with_name(".abcd_123")
    unfinished.write_bytes(b"half")
    os.utime(unfinished, (0, 0))
    (one, other) = sorted(maintenance.examine(filled, repair=True), key=lambda finding: finding.kind)
    assert (one.kind, one.sha256, one.mended) == ("file_orphaned", old.name, False)
    assert "3 days old" in one.message
    assert (other.kind, other.mended) == ("file_unfinished", False)
    filled.close()
    result = CliRunner().invoke(main, ["doctor", "--quiet"], env=env)
    assert result.exit_code == 0
    assert result.stdout.endswith("2 findings, 0 mended\n")
    result = CliRunner().invoke(main, ["doctor", "--quiet", "--remove-orphans"], env=env)
    assert result.exit_code == 0
    assert result.stdout.endswith("2 findings, 2 mended\n")
    assert not list(old.parent.iterdir())
    assert young.exists()
    assert stored(filled, 1).exists()


def test_a_photo_that_is_gone_stays_for_a_day_and_an_original_as_long_as_its_crop(filled: Catalog) -> None:
    cut = orphan(filled, 8, 30)
    os.utime(stored(filled, 1), (0, 0))
    with filled.database.write() as session:
        found = session.scalars(select(Photo).join(Product).where(Product.sku == "A"))
        photos = {photo.sha256: photo for photo in found}
        photos[stored(filled, 2).name].original = cut.name
        gone = photos[stored(filled, 1).name].id
    products.delete_photos(filled, "A", [gone], actor="anna")
    with filled.database.write() as session:
        session.execute(delete(BinEntry))
    assert list(maintenance.examine(filled, remove_orphans=True)) == []
    assert stored(filled, 1).exists()
    with filled.database.write() as session:
        session.execute(update(AuditEntry).values(at=now() - 2 * photo_checks.ORPHAN_AGE))
    os.utime(stored(filled, 1, f".{feature_store.KIND}"), (0, 0))
    assert [one.sha256 for one in maintenance.examine(filled, remove_orphans=True)] == [stored(filled, 1).name]
    assert not stored(filled, 1).exists()
    assert cut.exists()


LEFT, TOP = (0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 1.0, 0.5)


def second(catalog: Catalog) -> uuid.UUID:
    return products.get(catalog.database, "A").photos[1].id


def merge_and_lose(catalog: Catalog, photo: uuid.UUID) -> None:
    products.merge(catalog, "A", "B", actor="anna")
    with catalog.database.write() as session:  # so that the entry alone names them
        session.execute(delete(Photo).where(Photo.sha256 != stored(catalog, 3).name))


def move_and_lose(catalog: Catalog, photo: uuid.UUID) -> None:
    products.move_photos(catalog, "A", [photo], "B", actor="anna")
    with catalog.database.write() as session:
        session.execute(delete(Photo).where(Photo.original.is_not(None)))


def empty_the_bin(catalog: Catalog, photo: uuid.UUID) -> None:
    with catalog.database.write() as session:
        session.execute(update(BinEntry).values(at=now() - 2 * bin_rows.KEPT))
    assert bin_rows.trim(catalog.database) == 1


#: What is done to the photo (a crop) of A, by action; and how many files nothing names afterwards but the audit log.
TAKING: dict[str, tuple[Callable[[Catalog, uuid.UUID], object], int]] = {
    "bin.empty": (empty_the_bin, 1),
    "photo.cover": (lambda c, photo: products.set_cover(c.database, "A", second(c), actor="anna"), 0),
    "photo.crop": (lambda c, photo: products.crop_photo(c, "A", photo, TOP, actor="anna"), 1),
    "photo.delete": (lambda c, photo: products.delete_photos(c, "A", [photo], actor="anna"), 2),
    "photo.move": (move_and_lose, 2),
    "photo.replace": (
        lambda c, photo: products.replace_photo(c, "A", photo, NewPhoto("6.jpg", jpeg(6)), actor="anna"),
        2,
    ),
    "photo.rotate": (lambda c, photo: products.rotate_photo(c, "A", photo, 1, actor="anna"), 2),
    "photo.uncrop": (lambda c, photo: products.uncrop_photo(c, "A", photo, actor="anna"), 1),
    "photo.undelete": (
        lambda c, photo: products.undelete(c, products.list_deleted(c.database).entries[0].id, actor="a"),
        0,
    ),
    "product.merge": (merge_and_lose, 3),
    "product.purge": (lambda c, photo: products.purge(c, "A", actor="anna"), 4),
}


@pytest.mark.parametrize("action", TAKING)
def test_what_each_action_takes_from_a_product_stays_for_a_day(catalog: Catalog, action: str) -> None:
    added = products.create(catalog, Facts("A"), [NewPhoto(f"{n}.jpg", jpeg(n)) for n in (1, 2, 4)], Intake("test"))
    products.create(catalog, Facts("B"), [NewPhoto("3.jpg", jpeg(3))], Intake("test"))
    products.delete_photos(catalog, "A", [added.photos[2].id], actor="test")
    crop = products.crop_photo(catalog, "A", added.photos[0].id, LEFT, actor="test").id
    before = age(catalog)
    take, lost = TAKING[action]
    take(catalog, crop)
    with catalog.database.write() as session:
        assert session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc()).limit(1)).one() == action
        if action != "product.purge":  # which empties the product's part of the bin itself
            session.execute(delete(BinEntry).where(BinEntry.at > now() - photo_checks.ORPHAN_AGE))
    assert list(photo_checks.check_files(catalog, remove=True)) == []
    assert before <= {file.sha256 for file in catalog.photos.files()}
    age(catalog)
    orphans = {one.sha256 for one in photo_checks.check_files(catalog, remove=False)}
    assert len(orphans) == lost and orphans <= before


def age(catalog: Catalog) -> set[str]:
    """Make all files, entries of the audit log and of the bin older than a day; returns the hashes of the files."""
    past = now() - 2 * photo_checks.ORPHAN_AGE
    with catalog.database.write() as session:
        session.execute(update(AuditEntry).values(at=past))
        session.execute(update(BinEntry).values(at=past))
    for path in (catalog.settings.data / "photos").rglob("*"):
        if path.is_file():
            os.utime(path, (past.timestamp(),) * 2)
    return {file.sha256 for file in catalog.photos.files()}


def test_a_photo_that_is_added_again_while_it_is_removed_is_not_lost(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the removal: the bytes are there before the row, and nothing else says that it is wanted."""
    orphan(filled, 8, 3)
    remove = filled.photos.remove
    put: list[str] = []

    def late(*arguments: Any) -> bool:
        put.append(filled.photos.put(jpeg(8)))
        gone: bool = remove(*arguments)
        products.create(filled, Facts("C"), [NewPhoto("8.jpg", jpeg(8))], Intake("test"))
        return gone

    monkeypatch.setattr(filled.photos, "remove", late)
    (one,) = maintenance.examine(filled, remove_orphans=True)
    assert "It is in use now." in one.message
    assert filled.photos.get(put[0]) == jpeg(8)
    monkeypatch.undo()
    assert list(maintenance.examine(filled)) == []


def test_a_removal_that_was_killed_is_put_right(filled: Catalog) -> None:
    path = stored(filled, 1)
    path.rename(path.with_name(f".{path.name}.aside"))
    assert list(maintenance.examine(filled, remove_orphans=True)) == []
    assert path.exists()


def test_a_store_that_does_not_answer_is_not_the_photos_fault(filled: Catalog, env: dict[str, str]) -> None:
    root = filled.settings.data / "photos"
    root.rename(root.with_name("away"))
    root.write_text("")  # every open fails, and not because a photo is missing
    (one,) = maintenance.examine(filled)
    assert (one.kind, one.mended) == ("photos_not_asked", False)
    filled.close()
    result = CliRunner().invoke(main, ["doctor", "--quiet"], env=env)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([], 0),
        ([("details_missing", True), ("file_orphaned", False)], 0),
        ([("details_missing", False)], 1),
        ([("gallery_not_asked", False), ("file_orphaned", False)], 2),
        ([("gallery_not_asked", False), ("point_missing", True)], 2),
        ([("gallery_not_asked", False), ("point_missing", False)], 1),
    ],
)
def test_exit_status(kinds: list[tuple[maintenance.Kind, bool]], status: int) -> None:
    assert maintenance.status(maintenance.Finding(kind, "", mended=mended) for kind, mended in kinds) == status

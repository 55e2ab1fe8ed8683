"""The golden set: kept, asked, in backups, and no stray files to the doctor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from catalog import judging, maintenance, products
from catalog.backup import back_up, restore
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import NewPhoto
from catalog.errors import NotFoundError, PhotoRejectedError
from catalog.judging import golden
from catalog.storage.tables import AuditEntry, JudgedQuery
from embedder.bundle import Bundle
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.judged import put, put_packs, queries
from tests.support.pictures import jpeg
from tests.support.steps import create


def add(catalog: Catalog, data: bytes, sku: str = "") -> str:
    return golden.add(catalog, NewPhoto("g.jpg", data), sku, actor="anna")


def shown(catalog: Catalog) -> list[tuple[str, str, bool]]:
    return [(photo.sha256, photo.sku, photo.asked) for photo in golden.list_all(catalog.database)]


def asked(catalog: Catalog) -> list[JudgedQuery]:
    return [query for query in queries(catalog) if query.kind == "golden"]


@pytest.mark.slow
def test_golden_photos_are_asked_with_what_they_show(catalog: Catalog, equal_bundle: Bundle) -> None:
    put_packs(catalog, 2)
    put(catalog, "AWAY", front(DRAWN[5]))
    none, pack = add(catalog, small_and_turned(DRAWN[7])), add(catalog, front(DRAWN[0], 20, "navy"), "pack-0".upper())
    same = add(catalog, front(DRAWN[1]), "PACK-1")  # the very file that the product has
    add(catalog, front(DRAWN[5], 30), "AWAY")
    products.set_active(catalog, "AWAY", False, actor="anna")
    assert maintenance.reembed(catalog, equal_bundle).changed
    found = {query.sha256: query for query in asked(catalog)}
    assert {sha256: (query.sku, query.known) for sha256, query in found.items()} == {
        none: ("", False),
        pack: ("PACK-0", True),
        same: ("PACK-1", True),
    }
    assert (found[pack].live or {})["right"] and found[pack].left_out == []
    reference = next(photo for photo in products.get(catalog.database, "PACK-1").photos if photo.sha256 == same)
    assert found[same].left_out == [str(reference.id)]
    judged = judging.find_judgement(catalog.database, equal_bundle.id)
    assert judged is not None and judged.report.asked == {"golden": 3, "catalog": 6}


def test_a_photo_is_kept_once_and_may_show_something_else_later(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    create(catalog, "MILK", 2)
    sha256 = add(catalog, jpeg(9), "TEA")
    assert add(catalog, jpeg(9), "TEA") == add(catalog, jpeg(9), "MILK") == sha256
    assert shown(catalog) == [(sha256, "MILK", True)]
    with pytest.raises(NotFoundError, match="no product"):
        add(catalog, jpeg(8), "NONE")
    with pytest.raises(PhotoRejectedError):
        add(catalog, b"no photo")
    assert catalog.gallery.count(catalog.generations.ready().collection) == 2, "it is in no gallery"
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("golden.")))
        assert [(entry.before, (entry.after or {}).get("sku")) for entry in entries] == [
            (None, "TEA"),
            ({"sku": "TEA"}, "MILK"),
        ]


def test_it_follows_its_product(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    create(catalog, "MILK", 2)
    sha256 = add(catalog, jpeg(9), "TEA")
    products.rename(catalog, "TEA", "TEA-2", actor="anna")
    assert shown(catalog) == [(sha256, "TEA-2", True)]
    products.set_active(catalog, "TEA-2", False, actor="anna")
    assert shown(catalog) == [(sha256, "TEA-2", False)]
    products.set_active(catalog, "TEA-2", True, actor="anna")
    products.merge(catalog, "TEA-2", "MILK", actor="anna")
    assert shown(catalog) == [(sha256, "MILK", True)]


def test_its_file_is_no_stray_one_until_a_day_after_it_is_removed(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    sha256 = add(catalog, jpeg(9))
    file = next((catalog.settings.data / "photos").rglob(sha256))
    os.utime(file, (0, 0))
    assert list(maintenance.examine(catalog, remove_orphans=True)) == []
    with pytest.raises(NotFoundError, match="no golden photo"):
        golden.remove(catalog.database, "", actor="anna")
    assert golden.remove(catalog.database, sha256[:8], actor="anna") == sha256
    assert list(maintenance.examine(catalog, remove_orphans=True)) == [], "a backup may still name it"
    assert file.exists() and shown(catalog) == []
    with catalog.database.write() as session:
        for entry in session.scalars(select(AuditEntry)):
            entry.at = entry.at.replace(year=2020)
    (finding,) = maintenance.examine(catalog, remove_orphans=True)
    assert (finding.kind, finding.sha256, finding.mended) == ("file_orphaned", sha256, True)


def test_it_is_in_a_backup_and_comes_back(catalog: Catalog, target: Catalog, out: Path) -> None:
    create(catalog, "TEA", 1)
    sha256 = add(catalog, jpeg(9), "TEA")
    done = back_up(catalog, out)
    assert (done.photos, done.rows["golden_photo"], done.left_out) == (2, 1, [])
    restore(target, out, actor="test")
    assert shown(target) == [(sha256, "TEA", True)]
    assert target.photos.get(sha256) == jpeg(9)
    next((catalog.settings.data / "photos").rglob(sha256)).unlink()
    assert len(back_up(catalog, out.with_name("second.tar")).left_out) == 1, "one that is lost is told"


def test_the_commands(catalog: Catalog, env: dict[str, str], tmp_path: Path) -> None:
    create(catalog, "TEA", 1)
    catalog.close()
    (tmp_path / "a.jpg").write_bytes(jpeg(8))
    (tmp_path / "text.jpg").write_text("no photo")

    def run(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["golden", *words], env=env)
        return result.exit_code, result.output

    status, said = run("add", str(tmp_path / "a.jpg"), str(tmp_path / "text.jpg"), "--sku", "TEA")
    assert status == 1 and "\tTEA\ta.jpg" in said and "text.jpg: The file is not an image" in said
    assert run("add", str(tmp_path / "a.jpg"))[0] == 2
    assert run("add", str(tmp_path / "a.jpg"), "--sku", "TEA", "--none")[0] == 2
    assert run("add", str(tmp_path / "a.jpg"), "--none")[0] == 0
    status, said = run("list")
    assert status == 0 and "\tnone\ta.jpg" in said and "1 golden photos" in said
    assert run("remove", said[:12]) == (0, f"{said[:12]} removed\n")
    assert run("remove", said[:12])[0] == 1

from __future__ import annotations

import uuid
from collections.abc import Callable

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import delete, func, select

from catalog import enrollment, maintenance, products
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import outbox
from catalog.errors import GalleryUnavailableError
from catalog.gallery import GalleryPoint
from catalog.maintenance import rebuilding
from catalog.storage.tables import AuditEntry, Enrollment
from tests.support.spawning import spawn
from tests.support.steps import all_found, create, create_each, points


def pending(catalog: Catalog) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(Enrollment).where(~Enrollment.done)) or 0


def test_the_gallery_is_what_sql_and_the_photos_say(catalog: Catalog) -> None:
    create_each(catalog, *range(4))
    live = catalog.generations.ready()
    products.set_active(catalog, "S3", False, actor="anna")
    stranger = np.eye(live.embedder.bundle.dim, dtype=np.float32)[0]
    catalog.gallery.upsert(live.collection, [GalleryPoint(str(uuid.uuid4()), stranger, "X", "x")])
    forgotten = products.get(catalog.database, "S1").photos[0].id
    with catalog.database.write() as session:
        session.execute(delete(Enrollment).where(Enrollment.photo_id == forgotten))
    seen: list[tuple[int, int]] = []
    result = maintenance.rebuild(catalog, lambda done, total: seen.append((done, total)), actor="anna")
    assert result == rebuilding.Rebuilt(live.embedder.bundle.id, 3, [])
    assert seen == [(3, 3)]
    assert points(catalog) == 3
    assert all_found(catalog, 0, 1, 2)
    assert list(maintenance.examine(catalog)) == []
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "gallery.rebuild")).one()
        assert (entry.actor, entry.subject) == ("anna", live.embedder.bundle.id)


def test_an_empty_catalog(catalog: Catalog) -> None:
    assert maintenance.rebuild(catalog, actor="anna").photos == 0
    create(catalog, "S1", 1)
    assert all_found(catalog, 1)


def test_photos_that_can_not_be_read_are_named_and_the_others_are_there(catalog: Catalog, env: dict[str, str]) -> None:
    create_each(catalog, *range(3))
    sha256 = products.get(catalog.database, "S1").photos[0].sha256
    next((catalog.settings.data / "photos").rglob(sha256)).unlink()
    catalog.close()
    result = CliRunner().invoke(main, ["rebuild", "--quiet"], env=env)
    assert result.exit_code == 1
    assert result.stderr == f"S1: pending: The photo {sha256[:12]} is not in the store.\n"
    assert result.stdout.endswith(": 2 photos searchable, 1 pending\n")


def test_a_broken_collection_is_made_anew(open_catalog: Callable[[], Catalog], env: dict[str, str]) -> None:
    catalog = open_catalog()
    create_each(catalog, 1, 2)
    live = catalog.generations.ready()
    catalog.close()
    (catalog.settings.data / "gallery" / live.collection / "edge_config.json").write_text("{")
    result = CliRunner().invoke(main, ["rebuild", "--quiet"], env=env)
    assert (result.exit_code, result.stderr) == (0, "")
    assert all_found(open_catalog(), 1, 2)


def test_it_refuses_while_another_process_holds_the_gallery(
    catalog: Catalog, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.gallery.edge.EdgeGallery.__init__.__defaults__", (0.0,))
    create_each(catalog, 1)
    result = CliRunner().invoke(main, ["rebuild", "--quiet"], env=env)
    assert result.exit_code == 1
    assert "is open in another process (pid " in result.stderr
    assert result.stderr.count("\n") == 1
    assert pending(catalog) == 0
    assert all_found(catalog, 1)


def test_a_gallery_that_goes_away_leaves_the_rest_pending(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create_each(catalog, *range(3))
    monkeypatch.setattr(outbox, "CHUNK", 1)

    def off(done: int, total: int) -> None:
        catalog.gallery.on = False

    with pytest.raises(GalleryUnavailableError):
        maintenance.rebuild(catalog, off, actor="anna")
    catalog.gallery.on = True
    assert pending(catalog) == 2
    while enrollment.run_pending(catalog):
        pass
    assert all_found(catalog, *range(3))


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["drop", "commit", "photo"])
def test_kill_9_at_any_moment(env: dict[str, str], open_catalog: Callable[[], Catalog], moment: str) -> None:
    catalog = open_catalog()
    create_each(catalog, *range(4))
    catalog.close()
    with spawn("rebuilding", moment, env=env) as child:
        assert child.wait(60) == -9
    catalog = open_catalog()
    catalog.generations.ready()  # what a server's start does, and then its outbox
    assert pending(catalog) == (3 if moment == "photo" else 4)
    while enrollment.run_pending(catalog):
        pass
    assert all_found(catalog, *range(4))
    assert points(catalog) == 4
    assert list(maintenance.examine(catalog)) == []

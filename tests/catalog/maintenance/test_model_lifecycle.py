"""Models are added while another is live, and removed for good; nothing of a bad one stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.enrollment import run_pending
from catalog.errors import ConflictError, GalleryLockedError, NotFoundError
from catalog.gallery import collection_name
from catalog.gallery.edge import EdgeGallery
from catalog.runs import recording
from catalog.runs.performing import alone_at
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, Enrollment, Generation, Removal
from embedder.bundle import META_FILE, MODEL_FILE, RELEASED, Bundle, load_bundle
from embedder.errors import BundleError
from tests.support.models import blind, made, spoiled, with_self_test
from tests.support.spawning import spawn
from tests.support.steps import all_found, create, create_each

FIRST = load_bundle(RELEASED)


def listed(catalog: Catalog) -> dict[str, str]:
    return {model.bundle_id: model.state for model in maintenance.list_models(catalog).models}


def audited(catalog: Catalog, *actions: str) -> list[tuple[str, str, str]]:
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.in_(actions)).order_by(AuditEntry.id))
        return [(entry.actor, entry.action, entry.subject) for entry in entries]


def rows_of(catalog: Catalog, table: Any) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def remove(catalog: Catalog, bundle: Bundle) -> bool:
    return maintenance.remove_model(catalog, bundle.id, actor="anna")


def test_an_added_model_is_kept_and_not_live(catalog: Catalog, tmp_path: Path) -> None:
    create_each(catalog, 1, 2)
    bundle = with_self_test(tmp_path / "made")
    added = maintenance.add_model(catalog, bundle.path, actor="anna")
    assert (added.bundle, added.new, added.live) == (bundle, True, False)
    assert added.self_test == pytest.approx(1, abs=1e-4)
    shutil.rmtree(bundle.path)  # the copy alone is needed from now on
    assert listed(catalog) == {bundle.id: "added", FIRST.id: "live"}
    assert all_found(catalog, 1, 2)
    model, counts = maintenance.get_model(catalog, bundle.id)
    assert (model.embedded, counts.embedded, counts.pending) == (0, 0, 0)
    assert model.bundle is not None
    assert model.bundle_bytes > 5_000_000
    again = maintenance.add_model(catalog, catalog.settings.bundles / bundle.id, actor="ben")
    assert (again.new, again.live) == (False, False)
    assert audited(catalog, "model.add") == [("anna", "model.add", bundle.id)]
    assert maintenance.reembed(catalog, model.bundle, switch_anyway=True).photos == 2
    assert listed(catalog) == {bundle.id: "live", FIRST.id: "kept"}
    assert maintenance.add_model(catalog, catalog.settings.bundles / bundle.id, actor="anna").live


def test_a_bundle_without_a_self_test_is_accepted(catalog: Catalog, other_bundle: Bundle) -> None:
    assert maintenance.add_model(catalog, other_bundle.path, actor="anna").self_test is None
    assert listed(catalog) == {other_bundle.id: "added", FIRST.id: "live"}  # a new catalog has its first model, too


def test_a_copy_that_is_damaged_is_replaced(catalog: Catalog, tmp_path: Path) -> None:
    bundle = made(tmp_path / "made", name="whole")
    maintenance.add_model(catalog, bundle.path, actor="anna")
    (catalog.settings.bundles / bundle.id / MODEL_FILE).write_bytes(b"half")
    assert maintenance.get_model(catalog, bundle.id)[0].bundle is None
    assert not maintenance.add_model(catalog, bundle.path, actor="anna").new
    assert maintenance.get_model(catalog, bundle.id)[0].bundle is not None


def tampered(path: Path) -> Path:
    made(path)
    (path / MODEL_FILE).write_bytes(spoiled(b"\x00\x00"))
    return path


def of_another_dimension(path: Path) -> Path:
    """What is declared is hashed, but is not what the model gives."""
    return made(path, dim=128).path


def declared_anew(path: Path) -> Path:
    made(path)
    meta = json.loads((path / META_FILE).read_text())
    (path / META_FILE).write_text(json.dumps({**meta, "dim": 128}))
    return path


def without_its_model(path: Path) -> Path:
    made(path)
    (path / MODEL_FILE).unlink()
    return path


def failing_its_self_test(path: Path) -> Path:
    test = with_self_test(path.with_name("tested")).self_test
    assert test is not None
    return made(path, load_bundle(RELEASED).model_path.read_bytes(), self_test=test).path


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (tampered, "model.tflite is damaged"),
        (declared_anew, "was changed after it was written"),
        (of_another_dimension, "takes .* and gives .*256.*, not .*128"),
        (without_its_model, "no complete model bundle"),
        (lambda path: path, "no model bundle"),
        (lambda path: made(path, b"no model at all").path, "no LiteRT model"),
        (lambda path: made(path, spoiled(b"\x00\x7e")).path, "not finite"),
        (lambda path: made(path, spoiled(b"\x00\x7c")).path, "not finite"),
        (lambda path: made(path, blind()).path, "to one point"),
        (failing_its_self_test, "fails its self-test"),
    ],
    ids=[
        "tampered",
        "declared",
        "dimension",
        "no model",
        "nothing",
        "unreadable",
        "NaN",
        "infinite",
        "one point",
        "self-test",
    ],
)
def test_a_bad_bundle_is_refused_and_nothing_of_it_stays(
    catalog: Catalog, tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    create_each(catalog, 1)
    folder = make(tmp_path / "bad")
    kept = set(catalog.settings.bundles.iterdir())
    with pytest.raises(BundleError, match=why):
        maintenance.add_model(catalog, folder, actor="anna")
    assert listed(catalog) == {FIRST.id: "live"}
    assert set(catalog.settings.bundles.iterdir()) == kept
    assert audited(catalog, "model.add") == []
    assert catalog.gallery.generations() == [collection_name(FIRST.id)]
    assert all_found(catalog, 1)


def test_a_removed_model_leaves_nothing_and_can_come_back(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    products.set_active(catalog, "S2", False, actor="anna")  # a removal is owed to the one before
    assert rows_of(catalog, Removal) == 1
    before = rows_of(catalog, AuditEntry)
    assert remove(catalog, FIRST) is True
    assert listed(catalog) == {other_bundle.id: "live"}
    assert catalog.gallery.generations() == [collection_name(other_bundle.id)]
    assert not (catalog.settings.bundles / FIRST.id).exists()
    assert (rows_of(catalog, Enrollment), rows_of(catalog, Removal)) == (1, 0)
    assert remove(catalog, FIRST) is False
    assert rows_of(catalog, AuditEntry) == before + 1
    assert audited(catalog, "model.remove") == [("anna", "model.remove", FIRST.id)]
    assert maintenance.list_models(catalog).previous is None
    with pytest.raises(NotFoundError):
        maintenance.rollback(catalog)
    assert all_found(catalog, 1)
    products.set_active(catalog, "S2", True, actor="anna")
    maintenance.add_model(catalog, FIRST.path, actor="anna")
    assert maintenance.reembed(catalog, FIRST, switch_anyway=True).photos == 2
    while run_pending(catalog):
        pass
    assert all_found(catalog, 1, 2)
    assert remove(catalog, other_bundle) is True


def test_a_rollback_goes_to_the_one_before_the_removed_one(
    catalog: Catalog, other_bundle: Bundle, tmp_path: Path
) -> None:
    create_each(catalog, 1)
    third = made(tmp_path / "third", name="third")
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    maintenance.reembed(catalog, third, switch_anyway=True)
    assert listed(catalog) == {third.id: "live", other_bundle.id: "kept", FIRST.id: "kept"}
    assert remove(catalog, other_bundle)
    previous = maintenance.list_models(catalog).previous
    assert previous is not None
    assert previous.bundle_id == FIRST.id
    assert maintenance.rollback(catalog).bundle == FIRST.id
    assert remove(catalog, third)
    assert listed(catalog) == {FIRST.id: "live"}


def test_models_that_went_back_and_forth_leave_no_way_to_themselves(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    maintenance.reembed(catalog, FIRST, switch_anyway=True)  # no rollback: each is the other's predecessor now
    assert remove(catalog, other_bundle)
    with catalog.database.read() as session:
        assert session.execute(select(Generation.bundle_id, Generation.previous_id)).all() == [(FIRST.id, None)]


def test_the_live_one_is_not_removed(catalog: Catalog) -> None:
    create_each(catalog, 1)
    with pytest.raises(ConflictError, match="is live"):
        remove(catalog, FIRST)
    assert all_found(catalog, 1)
    assert (catalog.settings.bundles / FIRST.id).is_dir()


@pytest.mark.parametrize("name", ["0" * 12, "..", "../photos", "", "x" * 12, "C02BB865DE67"])
def test_what_is_no_model_is_not_removed(catalog: Catalog, name: str) -> None:
    catalog.generations.ready()
    with pytest.raises(NotFoundError):
        maintenance.remove_model(catalog, name, actor="anna")
    with pytest.raises(NotFoundError):
        maintenance.get_model(catalog, name)
    assert catalog.settings.data.joinpath("bundles", FIRST.id).is_dir()


def test_one_that_is_being_built_is_not_removed_nor_another_beside_it(
    catalog: Catalog, other_bundle: Bundle, tmp_path: Path, database_url: str
) -> None:
    """As another process builds it: under the lock of its run, with the run at work."""
    create_each(catalog, 1)
    third = made(tmp_path / "third", name="third")
    for bundle in (other_bundle, third):
        maintenance.add_model(catalog, bundle.path, actor="anna")
    options = {"bundle": str(other_bundle.path), "bundle_id": other_bundle.id}
    with closing(Database(database_url)) as elsewhere:
        with alone_at(elsewhere, "reembed"):
            recording.take_as_command(elsewhere, "reembed", actor="cli", options=options)
            assert listed(catalog) == {third.id: "added", other_bundle.id: "building", FIRST.id: "live"}
            with pytest.raises(ConflictError, match=f"by the model {other_bundle.id}"):
                remove(catalog, other_bundle)
            with pytest.raises(ConflictError, match=f"another model \\({other_bundle.id}\\)"):
                remove(catalog, third)
        # It was killed: its lock is free, though its run was not ended.
        assert listed(catalog)[other_bundle.id] == "added"
        assert remove(catalog, other_bundle)
    assert listed(catalog) == {third.id: "added", FIRST.id: "live"}


@pytest.mark.parametrize("ask", ["id", "folder", "CATALOG_MODEL", "rollback"])
def test_one_that_is_to_be_built_is_not_removed(catalog: Catalog, other_bundle: Bundle, ask: str) -> None:
    create_each(catalog, 1)
    if ask == "rollback":
        maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    else:
        maintenance.add_model(catalog, other_bundle.path, actor="anna")
    target = FIRST if ask == "rollback" else other_bundle
    options: dict[str, Any] = {
        "id": {"bundle_id": other_bundle.id},
        "folder": {"bundle": str(other_bundle.path)},
        "CATALOG_MODEL": {},
        "rollback": {"rollback": True, "live": other_bundle.id},
    }[ask]
    if ask == "CATALOG_MODEL":
        catalog = _with_model(catalog, other_bundle.path)
    run = recording.start(catalog.database, "reembed", actor="anna", options=options)
    with pytest.raises(ConflictError, match="are to be embedded"):
        remove(catalog, target)
    recording.stop(catalog.database, run, actor="anna")
    assert remove(catalog, target)


def _with_model(catalog: Catalog, folder: Path) -> Catalog:
    return replace(catalog, settings=replace(catalog.settings, model=folder))


def test_the_copy_that_catalog_model_names_stays(catalog: Catalog, other_bundle: Bundle) -> None:
    maintenance.add_model(catalog, other_bundle.path, actor="anna")
    configured = _with_model(catalog, catalog.settings.bundles / other_bundle.id)
    with pytest.raises(ConflictError, match="CATALOG_MODEL"):
        remove(configured, other_bundle)
    assert remove(catalog, other_bundle)


def test_a_copy_without_a_row_is_removed(catalog: Catalog, tmp_path: Path) -> None:
    """A process that added it was killed before its row was there."""
    catalog.generations.ready()
    bundle = made(tmp_path / "made", name="left")
    shutil.copytree(bundle.path, catalog.settings.bundles / bundle.id)
    assert remove(catalog, bundle) is True
    assert not (catalog.settings.bundles / bundle.id).exists()
    assert remove(catalog, bundle) is False


def test_while_another_process_has_its_gallery_a_model_stays_as_it_is(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    catalog.generations.release_old()
    with closing(EdgeGallery(catalog.settings.data / "gallery")) as elsewhere:
        elsewhere.create(collection_name(FIRST.id), FIRST.dim)
        with pytest.raises(GalleryLockedError):
            remove(catalog, FIRST)
        previous = maintenance.list_models(catalog).previous
        assert previous is not None
        assert (previous.bundle_id, previous.state, previous.embedded) == (FIRST.id, "kept", 1)
        assert previous.bundle is not None
    assert maintenance.rollback(catalog).photos == 0
    assert all_found(catalog, 1)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["collection", "sweep", "files", "rows", "commit"])
def test_kill_9_while_it_is_removed(
    env: dict[str, str], open_catalog: Callable[[], Catalog], tmp_path: Path, step: str
) -> None:
    """It is still listed, answers go on, and the removal is repeated, or photos are embedded by it again."""
    bundle = made(tmp_path / "made", name=f"killed at {step}")
    catalog = open_catalog()
    create_each(catalog, 1, 2)
    maintenance.reembed(catalog, bundle, switch_anyway=True)
    maintenance.rollback(catalog)
    create(catalog, "S3", 3)
    catalog.close()
    for again in ("embedded", "removed"):
        with spawn("removing_killed", bundle.id, step, env=env) as child:
            assert child.wait(60) == -9
        catalog = open_catalog()
        assert all_found(catalog, 1, 2, 3)
        assert listed(catalog) == {bundle.id: "kept", FIRST.id: "live"}
        assert audited(catalog, "model.remove") == []
        known = {known.id for known in maintenance.known_bundles(catalog.settings)}
        assert (bundle.id in known) == (step in ("collection", "sweep"))
        if again == "embedded":
            maintenance.reembed(catalog, bundle, switch_anyway=True)
            assert all_found(catalog, 1, 2, 3)
            assert catalog.gallery.count(collection_name(bundle.id)) == 3
            maintenance.rollback(catalog)
        else:
            assert remove(catalog, bundle) is True
            assert listed(catalog) == {FIRST.id: "live"}
            assert catalog.gallery.generations() == [collection_name(FIRST.id)]
            assert not list(catalog.settings.bundles.glob(f"*{bundle.id}*"))
            assert audited(catalog, "model.remove") == [("anna", "model.remove", bundle.id)]
        assert all_found(catalog, 1, 2, 3)
        catalog.close()

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import NewPhoto, Worker, run_pending
from catalog.errors import GalleryUnavailableError, NotFoundError
from catalog.generations import live_generation
from catalog.maintenance import reembedding
from catalog.maintenance.reembedding import NotFitError
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry, Enrollment, Generation, Removal
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.pictures import jpeg
from tests.support.spawning import line, spawn
from tests.support.steps import all_found, create_each

FIRST = load_bundle(RELEASED)


def live_id(catalog: Catalog) -> str:
    return catalog.generations.ready().embedder.bundle.id


def ids_of(catalog: Catalog, *seeds: int) -> set[str]:
    return {str(photo.id) for seed in seeds for photo in products.get(catalog.database, f"S{seed}").photos}


def points(catalog: Catalog, bundle: Bundle) -> set[str]:
    return catalog.gallery.ids(f"sku-gallery-{bundle.id}")


def test_a_switch_and_the_way_back(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2, 3)
    before = recognize(catalog, jpeg(1)).matches
    seen: list[tuple[int, int]] = []
    result = maintenance.reembed(catalog, other_bundle, lambda done, total: seen.append((done, total)), actor="anna")
    assert result == reembedding.Switched(other_bundle.id, FIRST.id, photos=3, total=3, changed=True)
    assert seen == [(3, 3), (6, 6)]  # photos embedded; then answers, two to each photo
    assert live_id(catalog) == other_bundle.id
    assert recognize(catalog, jpeg(1)).bundle == other_bundle.id
    assert all_found(catalog, 1, 2, 3)
    assert points(catalog, FIRST) == points(catalog, other_bundle) == ids_of(catalog, 1, 2, 3)  # the old one stays

    create_each(catalog, 4)
    products.set_active(catalog, "S2", False, actor="anna")
    back = maintenance.rollback(catalog, actor="ben")
    assert back == reembedding.Switched(FIRST.id, other_bundle.id, photos=1, total=3, changed=True)
    assert all_found(catalog, 1, 3, 4)
    assert points(catalog, FIRST) == ids_of(catalog, 1, 3, 4)
    assert [(m.sku, round(m.score, 4)) for m in recognize(catalog, jpeg(1)).matches[:1]] == [
        (before[0].sku, round(before[0].score, 4))
    ]
    with pytest.raises(NotFoundError, match="go back"):
        maintenance.rollback(catalog)
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("model.")))
        assert [(e.actor, e.action, e.subject, e.before, e.after) for e in entries] == [
            ("anna", "model.switch", other_bundle.id, {"live": FIRST.id}, {"live": other_bundle.id}),
            ("ben", "model.rollback", FIRST.id, {"live": other_bundle.id}, {"live": FIRST.id}),
        ]


def test_back_and_forth(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2)
    for _ in range(2):
        assert maintenance.reembed(catalog, other_bundle).changed
        assert all_found(catalog, 1, 2)
        assert maintenance.rollback(catalog).bundle == FIRST.id
        assert all_found(catalog, 1, 2)
    assert maintenance.reembed(catalog, other_bundle).photos == 0  # all are there already


def test_the_live_model_is_left_alone(catalog: Catalog) -> None:
    create_each(catalog, 1)
    assert maintenance.reembed(catalog, FIRST) == reembedding.Switched(FIRST.id, FIRST.id, 0, 0, changed=False)


def test_an_empty_catalog_switches_too(catalog: Catalog, other_bundle: Bundle) -> None:
    assert maintenance.reembed(catalog, other_bundle).total == 0
    create_each(catalog, 1)
    assert all_found(catalog, 1)


def test_the_way_back_waits_for_a_server_that_still_has_the_one_before(
    catalog: Catalog, open_catalog: Callable[[], Catalog], other_bundle: Bundle
) -> None:
    create_each(catalog, 1)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    catalog.generations.release_old()
    server = open_catalog()
    assert points(server, FIRST) == ids_of(catalog, 1), "it has it open"
    giving_back = threading.Timer(4.0, server.generations.release_old)  # later than one look at the lock waits for it
    server.generations.load(catalog.generations.add(FIRST))
    giving_back.start()
    assert maintenance.rollback(catalog).bundle == FIRST.id
    giving_back.join()


def test_no_way_back_from_the_first(catalog: Catalog) -> None:
    for _ in range(2):
        with pytest.raises(NotFoundError):
            maintenance.rollback(catalog)
        catalog.generations.ready()


@pytest.mark.slow
def test_what_changes_while_it_is_built(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Added, deleted, retired and restored photos, at two moments: in the middle of the build, and after the check."""
    create_each(catalog, *range(6))
    turns = iter(range(10))

    def meanwhile(done: int, total: int) -> None:
        if next(turns) == 0:
            create_each(catalog, 10)
            products.set_active(catalog, "S0", False, actor="anna")
            products.delete_photos(catalog, "S1", [products.get(catalog.database, "S1").photos[0].id], actor="anna")
            products.set_active(catalog, "S2", False, actor="anna")
            products.set_active(catalog, "S2", True, actor="anna")
            assert all_found(catalog, 2, 3, 10)  # the live one goes on

    validate = reembedding._validate

    def late(validated: Catalog, building: object) -> None:
        validate(validated, building)  # type: ignore[arg-type]
        create_each(catalog, 11)
        products.delete_photos(catalog, "S3", [products.get(catalog.database, "S3").photos[0].id], actor="anna")

    monkeypatch.setattr(reembedding, "_validate", late)
    result = maintenance.reembed(catalog, other_bundle, meanwhile)
    assert result.total == 5
    while run_pending(catalog):
        pass
    assert live_id(catalog) == other_bundle.id
    assert all_found(catalog, 2, 4, 5, 10, 11)
    there = ids_of(catalog, 2, 4, 5, 10, 11)
    assert points(catalog, other_bundle) == points(catalog, FIRST) == there
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Removal)) == 0
        done = select(Enrollment.generation_id, func.count()).where(Enrollment.done).group_by(Enrollment.generation_id)
        assert {count for _, count in session.execute(done)} == {5}
    products.set_active(catalog, "S0", True, actor="anna")
    assert all_found(catalog, 0)


@pytest.mark.slow
def test_a_photo_that_can_not_be_read_stops_the_switch(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, *range(5))
    sha256 = products.get(catalog.database, "S2").photos[0].sha256
    file = next((catalog.settings.data / "photos").rglob(sha256))
    whole = file.read_bytes()
    file.unlink()
    for _ in range(2):
        with pytest.raises(NotFitError, match="1 photos can't be embedded"):
            maintenance.reembed(catalog, other_bundle)
        assert live_id(catalog) == FIRST.id
        assert all_found(catalog, *range(5))
    file.write_bytes(whole)
    assert maintenance.reembed(catalog, other_bundle).photos == 1  # goes on where it ended
    assert all_found(catalog, *range(5))


def test_a_gallery_that_goes_away_leaves_the_live_one(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2)

    def off(done: int, total: int) -> None:
        catalog.gallery.on = False

    with pytest.raises(GalleryUnavailableError):
        maintenance.reembed(catalog, other_bundle, off)
    catalog.gallery.on = True
    assert live_id(catalog) == FIRST.id
    assert all_found(catalog, 1, 2)
    assert maintenance.reembed(catalog, other_bundle).changed


def test_a_gallery_that_finds_nothing_is_not_switched_to(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1, 2)
    real = catalog.gallery.real.optimize

    def broken(generation: str) -> None:
        real(generation)
        catalog.gallery.delete(generation, sorted(points(catalog, other_bundle))[:1])

    monkeypatch.setattr(catalog.gallery.real, "optimize", broken)
    with pytest.raises(NotFitError, match="1 do not find themselves"):
        maintenance.reembed(catalog, other_bundle)
    assert live_id(catalog) == FIRST.id
    assert all_found(catalog, 1, 2)


def test_a_lost_old_gallery_is_built_anew_on_the_way_back(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2)
    maintenance.reembed(catalog, other_bundle)
    catalog.generations.release_old()
    catalog.gallery.drop(f"sku-gallery-{FIRST.id}")
    assert maintenance.rollback(catalog).photos == 2
    assert all_found(catalog, 1, 2)


def test_a_query_is_compared_with_its_own_model_only(catalog: Catalog, other_bundle: Bundle) -> None:
    """Two models of equal dimension: a request that began before the switch still asks the gallery of its model."""
    create_each(catalog, 1, 2)
    began = catalog.generations.ready()
    maintenance.reembed(catalog, other_bundle)
    create_each(catalog, 3)
    assert catalog.generations.ready().embedder.bundle.dim == began.embedder.bundle.dim
    vectors = {seed: began.embedder.embed_bytes(jpeg(seed)) for seed in (1, 2, 3)}
    for seed in (1, 2):
        hit = catalog.gallery.search(began.collection, vectors[seed], 1)[0]
        assert hit.sku == f"S{seed}"
        assert hit.score == pytest.approx(1, abs=1e-3)
    assert catalog.gallery.search(began.collection, vectors[3], 1)[0].sku != "S3"
    assert catalog.generations.ready().collection != began.collection


def test_an_add_that_began_before_the_switch_is_not_lost(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1)
    put = catalog.photos.put

    def late(data: bytes) -> str:  # called after the model was asked for, before the product is written
        monkeypatch.undo()
        maintenance.reembed(catalog, other_bundle)
        return put(data)

    monkeypatch.setattr(catalog.photos, "put", late)
    added = products.create(catalog, Facts("S2"), [NewPhoto("2.jpg", jpeg(2))], Intake("anna"))
    assert added.photos[0].state == "pending"
    while run_pending(catalog):
        pass
    assert all_found(catalog, 1, 2)
    assert points(catalog, FIRST) == ids_of(catalog, 1)


def test_an_add_that_waits_for_the_switch_is_not_lost(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An add whose transaction reaches the live generation's row while a switch holds it."""
    create_each(catalog, 1)
    released = threading.Event()
    adding = threading.Thread(target=create_each, args=(catalog, 2))
    release = catalog.generations.release

    def slow(collection: str) -> None:  # the last step inside the switch's transaction
        if not released.is_set():
            released.set()
            adding.start()
            time.sleep(0.5)
        release(collection)

    monkeypatch.setattr(catalog.generations, "release", slow)
    maintenance.reembed(catalog, other_bundle)
    adding.join()
    while run_pending(catalog):
        pass
    assert live_id(catalog) == other_bundle.id
    assert all_found(catalog, 1, 2)
    assert products.counts(catalog.database).pending == 0


@pytest.mark.slow
def test_adds_from_threads_during_switches(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 0)
    worker = Worker(catalog, every=0.02)
    worker.start()
    stop = threading.Event()
    made: list[int] = []

    def add() -> None:
        while not stop.wait(0.05):
            seed = 1 + len(made)
            create_each(catalog, seed)
            made.append(seed)

    thread = threading.Thread(target=add)
    thread.start()
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    maintenance.rollback(catalog)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    stop.set()
    thread.join()
    worker.stop()
    while run_pending(catalog):
        pass
    assert all_found(catalog, 0, *made)
    assert points(catalog, other_bundle) == ids_of(catalog, 0, *made)


@pytest.mark.slow
def test_kill_9_while_it_is_built(
    env: dict[str, str], open_catalog: Callable[[], Catalog], other_bundle: Bundle
) -> None:
    catalog = open_catalog()
    create_each(catalog, *range(8))
    catalog.close()
    with spawn("killed", other_bundle.path, env=env) as child:
        assert child.wait(60) == -9
    catalog = open_catalog()
    assert live_id(catalog) == FIRST.id
    assert all_found(catalog, *range(8))
    with catalog.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Generation)) == 2
    seen: list[tuple[int, int]] = []
    result = maintenance.reembed(catalog, other_bundle, lambda done, total: seen.append((done, total)))
    assert result.total == 8
    assert result.photos == 4  # what was done before is not done again
    assert seen[0] == (8, 8)  # and counts as done; then the answers of the judgement are counted
    assert all_found(catalog, *range(8))


@pytest.mark.slow
def test_a_serving_process_goes_on(
    env: dict[str, str], open_catalog: Callable[[], Catalog], other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tills ask, and products are added, while the command re-embeds in another process and later goes back."""
    catalog = open_catalog()
    create_each(catalog, *range(6))
    catalog.close()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    lines: list[str] = []

    def until(text: str) -> None:
        while True:
            lines.append(line(child))
            assert not lines[-1].startswith("error"), lines[-1]
            if lines[-1] == text:
                return

    def run(*arguments: str) -> None:
        result = CliRunner().invoke(main, ["reembed", "--quiet", *arguments])
        assert result.exit_code == 0, result.output

    with spawn("recognizing", *range(6), env=env) as child:
        until(f"{FIRST.id} True")
        run("--bundle", str(other_bundle.path))
        until(f"{other_bundle.id} True")
        run("--rollback")
        until(f"{FIRST.id} True")
        lines += child.communicate()[0].splitlines()
    assert child.returncode == 0
    assert {text for text in lines if not text.startswith("added")} == {
        f"{FIRST.id} True",
        f"{other_bundle.id} True",
    }
    added = [int(text.split()[1]) for text in lines if text.startswith("added")]
    catalog = open_catalog()
    while run_pending(catalog):
        pass
    assert all_found(catalog, *range(6), *added)
    with catalog.database.read() as session:
        live = live_generation(session)
    assert live is not None
    assert live.bundle_id == FIRST.id


def test_bundles_are_kept_by_id(catalog: Catalog, other_bundle: Bundle) -> None:
    maintenance.reembed(catalog, other_bundle)
    kept: Path = catalog.settings.bundles
    assert {FIRST.id, other_bundle.id} <= {path.name for path in kept.iterdir()}

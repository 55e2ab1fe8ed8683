"""The doctor's look at the gallery: what SQL says against what is there."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from click.testing import CliRunner
from qdrant_client import QdrantClient
from sqlalchemy import delete, func, select, update

from catalog import enrollment, maintenance, products
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import outbox
from catalog.gallery import GalleryPoint, Vector, collection_name
from catalog.gallery.server import ServerGallery
from catalog.generations import LiveModel
from catalog.maintenance import Finding, gallery_checks
from catalog.storage.tables import AuditEntry, Enrollment, Generation, Photo, Product, Removal, now
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.catalogs import with_gallery
from tests.support.pictures import jpeg
from tests.support.steps import all_found, create, create_each, points


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    create_each(catalog, *range(6))
    return catalog


def findings(catalog: Catalog, **options: bool) -> list[Finding]:
    return list(maintenance.examine(catalog, **options))


def found(catalog: Catalog, **options: bool) -> list[tuple[str, str, bool]]:
    return sorted((one.kind, one.sku, one.mended) for one in findings(catalog, **options))


def ids(catalog: Catalog, *seeds: int) -> list[str]:
    return [str(photo.id) for seed in seeds for photo in products.get(catalog.database, f"S{seed}").photos]


def unit_vectors(count: int, dim: int) -> Vector:
    vectors = np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def copied(catalog: Catalog, live: LiveModel, identity: str, seed: int) -> GalleryPoint:
    """A point as it would be written, under any id."""
    look = live.embedder.extract_reference(jpeg(seed))
    return GalleryPoint(identity, look.vector, f"S{seed}", str(uuid.uuid4()), look.words)


def test_a_sound_gallery(filled: Catalog) -> None:
    products.set_active(filled, "S3", False, actor="anna")
    products.delete_photos(filled, "S4", [products.get(filled.database, "S4").photos[0].id], actor="anna")
    assert found(filled) == []


def test_a_point_that_is_missing_is_made_again(filled: Catalog) -> None:
    live = filled.generations.ready()
    filled.gallery.delete(live.collection, ids(filled, 2, 5))
    gone = [("point_missing", "S2"), ("point_missing", "S5")]
    assert found(filled) == [(*one, False) for one in gone]
    assert points(filled) == 4
    assert found(filled, repair=True) == [(*one, True) for one in gone]
    assert all_found(filled, *range(6))
    assert found(filled) == []


def test_a_point_that_can_not_be_made_again_stays_a_finding(filled: Catalog) -> None:
    live = filled.generations.ready()
    filled.gallery.delete(live.collection, ids(filled, 2))
    sha256 = products.get(filled.database, "S2").photos[0].sha256
    next((filled.settings.data / "photos").rglob(sha256)).unlink()
    kinds = [("photo_missing", "S2", False), ("point_missing", "S2", False)]
    assert found(filled) == kinds
    assert found(filled, repair=True) == kinds
    assert found(filled, repair=True) == kinds[:1]  # it is pending now, which is no finding until it is so for long


def test_points_that_nothing_accounts_for_are_removed(filled: Catalog) -> None:
    live = filled.generations.ready()
    stranger, retired = str(uuid.uuid4()), ids(filled, 3)[0]
    products.set_active(filled, "S3", False, actor="anna")
    filled.gallery.upsert(live.collection, [copied(filled, live, stranger, 20), copied(filled, live, retired, 3)])
    assert found(filled) == [("point_orphaned", "", False), ("point_retired", "S3", False)]
    assert {one.photo for one in findings(filled)} == {stranger, retired}
    assert found(filled, repair=True) == [("point_orphaned", "", True), ("point_retired", "S3", True)]
    assert filled.gallery.ids(live.collection) == set(ids(filled, 0, 1, 2, 4, 5))
    assert found(filled) == []


def test_a_removal_that_is_owed_is_no_finding(filled: Catalog) -> None:
    filled.gallery.on = False
    products.set_active(filled, "S3", False, actor="anna")
    filled.gallery.on = True
    assert points(filled) == 6
    assert found(filled) == []


def test_a_product_that_comes_back_while_its_point_is_removed_keeps_it(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the removal somebody restores the product."""
    live = filled.generations.ready()
    products.set_active(filled, "S3", False, actor="anna")
    filled.gallery.upsert(live.collection, [copied(filled, live, ids(filled, 3)[0], 3)])
    remove = gallery_checks._remove

    def late(*arguments: object) -> None:
        products.set_active(filled, "S3", True, actor="anna")
        remove(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery_checks, "_remove", late)
    assert found(filled, repair=True) == [("point_retired", "S3", True)]
    assert all_found(filled, *range(6))
    with filled.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Removal)) == 0


def test_a_photo_without_a_row_is_enrolled(filled: Catalog) -> None:
    with filled.database.write() as session:
        session.execute(delete(Enrollment).where(Enrollment.photo_id == uuid.UUID(ids(filled, 1)[0])))
    filled.gallery.delete(filled.generations.ready().collection, ids(filled, 1))
    assert found(filled) == [("enrollment_missing", "S1", False)]
    assert found(filled, repair=True) == [("enrollment_missing", "S1", True)]
    assert all_found(filled, *range(6))
    assert found(filled) == []


def test_pending_for_long_says_why(filled: Catalog) -> None:
    filled.gallery.on = False
    create(filled, "late", 30)
    create(filled, "new", 31)
    filled.gallery.on = True
    before = now() - 2 * gallery_checks.LONG
    with filled.database.write() as session:
        late = products.get(filled.database, "late").photos[0].id
        session.execute(update(Enrollment).where(Enrollment.photo_id == late).values(updated_at=before))
    (one,) = findings(filled)
    assert (one.kind, one.sku, one.mended) == ("pending_long", "late", False)
    assert "The gallery is switched off." in one.message
    assert found(filled, repair=True) == [("pending_long", "late", True)]
    assert found(filled) == []


def test_a_photo_that_failed_repeatedly_is_pending_for_long(filled: Catalog) -> None:
    filled.gallery.on = False
    create(filled, "late", 30)
    filled.gallery.on = True
    late = products.get(filled.database, "late").photos[0]
    next((filled.settings.data / "photos").rglob(late.sha256)).unlink()
    for _ in range(outbox.ATTEMPTS):
        assert enrollment.run_pending(filled, only=[late.id]) == 0
    kinds = [("pending_long", "late", False), ("photo_missing", "late", False)]
    assert found(filled) == kinds
    assert found(filled, repair=True) == kinds


def test_a_collection_that_was_lost(filled: Catalog) -> None:
    live = filled.generations.ready()
    filled.generations.release(live.collection)
    filled.gallery.drop(live.collection)
    assert found(filled) == [("collection_missing", "", False)]
    assert live.collection not in filled.gallery.generations()  # a look changes nothing
    assert found(filled, repair=True) == [("collection_missing", "", True)]
    assert all_found(filled, *range(6))
    assert found(filled) == []


def test_a_collection_of_another_dimension(filled: Catalog) -> None:
    live = filled.generations.ready()
    filled.generations.release(live.collection)
    filled.gallery.drop(live.collection)
    filled.gallery.create(live.collection, 32)
    (one,) = findings(filled)
    assert (one.kind, one.collection) == ("collection_mismatch", live.collection)
    assert "32" in one.message
    assert found(filled, repair=True) == [("collection_mismatch", "", True)]
    assert all_found(filled, *range(6))
    assert found(filled) == []
    with filled.database.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "gallery.rebuild")).one()
        assert (entry.actor, entry.subject) == ("doctor", live.embedder.bundle.id)


def test_vectors_of_another_model_of_the_same_dimension(filled: Catalog, other_bundle: Bundle) -> None:
    with filled.database.read() as session:
        live_row = session.scalars(select(Generation)).one()
    other = filled.generations.load(filled.generations.add(other_bundle))
    live = filled.generations.ready()
    assert other.embedder.bundle.dim == live.embedder.bundle.dim
    with filled.database.read() as session:
        rows = session.execute(select(Photo.id, Photo.product_id)).all()
    skus = {identity: seed for seed in range(6) for identity in ids(filled, seed)}
    foreign = [
        GalleryPoint(str(i), other.embedder.embed_bytes(jpeg(skus[str(i)])), f"S{skus[str(i)]}", str(product))
        for i, product in rows
    ]
    filled.gallery.upsert(live_row.collection, foreign)
    (one,) = findings(filled)
    assert (one.kind, one.collection, one.mended) == ("vectors_wrong", live.collection, False)
    assert one.message.startswith("6 of 6 photos do not find themselves")
    assert found(filled, repair=True) == [("vectors_wrong", "", True)]
    assert all_found(filled, *range(6))
    assert found(filled) == []


def test_one_damaged_vector_among_many_is_seen_when_it_is_drawn(filled: Catalog) -> None:
    live = filled.generations.ready()
    vector = np.roll(live.embedder.embed_bytes(jpeg(4)), 7)
    filled.gallery.upsert(live.collection, [GalleryPoint(ids(filled, 4)[0], vector, "S4", "x")])
    (one,) = findings(filled)
    assert one.message.startswith("1 of 6 photos do not find themselves by their own vector (S4)")
    assert found(filled, repair=True) == [("vectors_wrong", "", True)]


def test_points_without_words(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    live = filled.generations.ready()
    fillers = unit_vectors(2 * gallery_checks.WORDS_LIMIT, live.embedder.bundle.dim)  # fewer come up by their vectors
    with filled.database.write() as session:
        product = session.scalars(select(Product).where(Product.sku == "S0")).one()
        for number in range(len(fillers)):
            photo = Photo(id=uuid.uuid4(), product=product, sha256=f"{number:064}", bytes=1, width=1, height=1)
            session.add(photo)
            session.flush()
            session.add(Enrollment(generation_id=live.generation_id, photo_id=photo.id, done=True))
        new = [str(photo.id) for photo in product.photos if photo.bytes == 1]
    wordless = [
        GalleryPoint(
            i, live.embedder.embed_bytes(jpeg(seed)), f"S{seed}", str(products.get(filled.database, f"S{seed}").id)
        )
        for seed in (2, 3)
        for i in ids(filled, seed)
    ]
    filled.gallery.upsert(live.collection, [GalleryPoint(i, v, "S0", "x") for i, v in zip(new, fillers, strict=True)])

    def words() -> list[str]:
        there = filled.gallery.ids(live.collection)
        return [one.message for one in gallery_checks._sampled(filled, live, there, lambda: None)]

    monkeypatch.setattr(gallery_checks, "SAMPLE", 1000)
    assert words() == []
    filled.gallery.upsert(live.collection, wordless)
    assert words() == ["2 of 6 photos have no visual words in the gallery (S2, S3)."]
    (one,) = [one for one in findings(filled, repair=True) if one.kind == "words_missing"]
    assert one.message.endswith(f"Made anew, but {len(new)} photos are pending.")  # the fillers have no file
    assert words() == []


def test_identical_pictures_are_no_finding(catalog: Catalog) -> None:
    for sku in ("A", "B", "C"):
        create(catalog, sku, 1)
    create_each(catalog, 2, 3)
    assert found(catalog) == []


@pytest.mark.slow
def test_the_generation_before_is_looked_at_too(filled: Catalog, other_bundle: Bundle) -> None:
    maintenance.reembed(filled, other_bundle, switch_anyway=True)
    old = collection_name(load_bundle(RELEASED).id)
    assert found(filled) == []
    filled.gallery.delete(old, ids(filled, 2))
    stranger = np.eye(load_bundle(RELEASED).dim, dtype=np.float32)[0]
    filled.gallery.upsert(old, [GalleryPoint(str(uuid.uuid4()), stranger, "X", "x")])
    kinds = [("point_missing", "S2"), ("point_orphaned", "")]
    assert found(filled) == [(*one, False) for one in kinds]
    assert found(filled, repair=True) == [(*one, True) for one in kinds]
    assert found(filled) == []
    assert maintenance.rollback(filled).photos == 1
    assert filled.gallery.ids(old) == set(ids(filled, *range(6)))
    assert all_found(filled, *range(6))


def test_a_generation_whose_bundle_is_lost(filled: Catalog) -> None:
    with filled.database.write() as session:
        lost = Generation(bundle_id="0" * 12, bundle_name="lost", collection=collection_name("0" * 12), dim=256)
        session.add(lost)
    (one,) = findings(filled)
    assert (one.kind, one.collection) == ("bundle_missing", collection_name("0" * 12))


def test_an_older_model_is_looked_at_and_not_loaded(filled: Catalog, other_bundle: Bundle) -> None:
    filled.generations.add(other_bundle)
    assert found(filled) == []
    assert other_bundle.id not in filled.generations._embedders, "a serving process would keep it for good"
    kept = filled.settings.bundles.resolve()
    filled.settings.bundles.unlink()  # which all tests share
    shutil.copytree(kept, filled.settings.bundles)
    (filled.settings.bundles / other_bundle.id / other_bundle.model_path.name).write_bytes(b"damaged")
    (one,) = findings(filled)
    assert (one.kind, one.collection) == ("bundle_missing", collection_name(other_bundle.id))


def test_it_says_how_far_it_is_in_the_gallery_too(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []

    def count(**options: bool) -> int:
        calls.clear()
        list(maintenance.examine(filled, **options, progress=lambda done, total: calls.append((done, total))))
        return len(calls)

    usual = count()
    assert usual >= 6 + 6, "each photo, and each of the sample"
    monkeypatch.setattr(outbox, "CHUNK", 2)
    filled.gallery.drop(filled.generations.live().collection)
    filled.generations.release(filled.generations.live().collection)
    assert count(repair=True) >= 6 + 3, "each page that is enrolled"
    assert all_found(filled, *range(6))


def test_collections_that_nothing_names(filled: Catalog) -> None:
    stray = collection_name("feedfeedfeed")
    filled.gallery.create(stray, 256)
    filled.generations.release(stray)
    assert found(filled, repair=True) == [("collection_orphaned", "", False)]
    assert found(filled, remove_orphans=True) == [("collection_orphaned", "", True)]
    assert stray not in filled.gallery.generations()
    assert found(filled) == []


def test_what_changes_while_the_points_are_listed_is_no_finding(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's gallery is written by others meanwhile: here between the two looks at SQL, around the list."""
    listed = filled.gallery.real.ids

    def meanwhile(generation: str) -> set[str]:
        create(filled, "early", 40)
        products.set_active(filled, "S1", False, actor="anna")
        products.set_active(filled, "S2", False, actor="anna")
        result: set[str] = listed(generation)
        products.set_active(filled, "S2", True, actor="anna")
        create(filled, "late", 41)
        products.set_active(filled, "S5", False, actor="anna")
        return result

    monkeypatch.setattr(filled.gallery.real, "ids", meanwhile)
    assert found(filled, repair=True) == []
    assert all_found(filled, 0, 2, 3, 4)


def test_a_gallery_that_is_away_is_not_asked_and_the_rest_is(filled: Catalog) -> None:
    sha256 = products.get(filled.database, "S2").photos[0].sha256
    next((filled.settings.data / "photos").rglob(sha256)).unlink()
    filled.gallery.on = False
    assert found(filled) == [("gallery_not_asked", "", False), ("photo_missing", "S2", False)]


def test_beside_a_process_that_holds_the_embedded_gallery(
    filled: Catalog, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.gallery.edge.EdgeGallery.__init__.__defaults__", (0.0,))
    filled.generations.ready()

    def run(*words: str) -> tuple[int, list[dict[str, object]]]:
        result = CliRunner().invoke(main, ["doctor", "--quiet", "--json", *words], env=env)
        assert "Traceback" not in result.output
        return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]

    status, (one,) = run()
    assert (status, one["kind"]) == (2, "gallery_not_asked")
    assert "is open in another process (pid " in str(one["message"])
    assert "--no-gallery" in str(one["message"])
    assert run("--no-gallery") == (0, [])
    sha256 = products.get(filled.database, "S2").photos[0].sha256
    next((filled.settings.data / "photos").rglob(sha256)).unlink()
    status, said = run()
    assert (status, {one["kind"] for one in said}) == (1, {"gallery_not_asked", "photo_missing"})
    assert all_found(filled, 1, 3)


def test_a_database_that_is_away_is_status_2(env: dict[str, str]) -> None:
    env["CATALOG_DATABASE"] = "postgresql://me@127.0.0.1:1/x"
    result = CliRunner().invoke(main, ["doctor", "--quiet"], env=env)
    assert result.exit_code == 2
    assert result.stderr.startswith("catalog: The database does not answer")


def test_a_broken_collection_is_told_and_not_touched(open_catalog: Callable[[], Catalog], filled: Catalog) -> None:
    live = filled.generations.ready()
    filled.close()
    config = filled.settings.data / "gallery" / live.collection / "edge_config.json"
    config.write_text("{")
    catalog = open_catalog()
    (one,) = findings(catalog, repair=True)
    assert (one.kind, one.collection, one.mended) == ("collection_broken", live.collection, False)
    assert "catalog rebuild" in one.message


@pytest.mark.parametrize("serving", [False, True])
def test_a_broken_collection_is_made_anew_where_a_person_wants_it(
    open_catalog: Callable[[], Catalog], filled: Catalog, serving: bool
) -> None:
    live = filled.generations.ready()
    filled.close()
    config = filled.settings.data / "gallery" / live.collection / "edge_config.json"
    config.write_text("{")
    catalog = open_catalog()
    (one,) = findings(catalog, repair=True, remake=True, serving=serving)
    assert (one.kind, one.collection, one.mended) == ("collection_broken", live.collection, True)
    assert all_found(catalog, 1, 2, 3)
    assert findings(catalog, serving=serving) == []


def test_long_is_longer_than_a_photo_rests() -> None:
    assert timedelta(seconds=outbox.REST) < gallery_checks.LONG


@pytest.mark.slow
def test_on_a_server_the_same_is_found_and_mended(catalog: Catalog) -> None:
    server = ServerGallery({"local mode": QdrantClient(":memory:")})
    catalog = with_gallery(catalog, server)
    create_each(catalog, *range(4))
    live = catalog.generations.ready()
    assert found(catalog) == []
    server.delete(live.collection, ids(catalog, 2))
    server.upsert(live.collection, [copied(catalog, live, str(uuid.uuid4()), 20)])
    server.create(collection_name("feedfeedfeed"), 256)
    kinds = [("collection_orphaned", ""), ("point_missing", "S2"), ("point_orphaned", "")]
    assert found(catalog) == [(*one, False) for one in kinds]
    assert found(catalog, repair=True, remove_orphans=True) == [(*one, True) for one in kinds]
    assert found(catalog) == []
    server.drop(live.collection)
    server.create(live.collection, 32)
    assert found(catalog, repair=True) == [("collection_mismatch", "", True)]
    assert maintenance.rebuild(catalog, actor="anna").photos == 4
    assert all_found(catalog, *range(4))
    assert found(catalog) == []

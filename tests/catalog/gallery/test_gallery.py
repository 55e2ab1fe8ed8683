"""One contract for both galleries, and what each of them promises beyond it."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from catalog.errors import ConfigError, GalleryError, GalleryLockedError, GalleryMismatchError
from catalog.gallery import Gallery, GalleryPoint, Vector, open_gallery
from catalog.gallery.edge import EdgeGallery
from tests.support.galleries import (
    DIM,
    GENERATION,
    OTHER,
    kill,
    point_id,
    points,
    said,
    spawn,
    unit_vectors,
    words_of,
)


def test_create_can_be_repeated_but_not_for_another_dimension(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(unit_vectors(3)))
    gallery.create(GENERATION, DIM)
    assert gallery.count(GENERATION) == 3
    with pytest.raises(GalleryMismatchError, match=str(DIM)):
        gallery.create(GENERATION, DIM + 1)


def test_what_it_takes_on_the_disk_of_this_host(gallery: Gallery) -> None:
    embedded = isinstance(gallery, EdgeGallery)
    assert gallery.disk_bytes(GENERATION) == (0 if embedded else None)
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(unit_vectors(3)))
    taken = gallery.disk_bytes(GENERATION)
    assert (taken is not None and taken > 0) if embedded else taken is None


def test_search_is_an_exact_scan(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(500)
    gallery.upsert(GENERATION, points(vectors))
    for query in unit_vectors(20, seed=1):
        hits = gallery.search(GENERATION, query, 10)
        best = np.argsort(-(vectors @ query))[:10]
        assert [hit.id for hit in hits] == [point_id(int(n)) for n in best]
        assert [(hit.sku, hit.product) for hit in hits] == [(f"SKU-{n}", f"product-{n}") for n in best]
        np.testing.assert_allclose([hit.score for hit in hits], vectors[best] @ query, atol=1e-5)


def test_upsert_replaces_the_point_of_the_same_id(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    old, new, newest = unit_vectors(3)
    gallery.upsert(GENERATION, points(old[None]))
    gallery.upsert(GENERATION, points(new[None]))
    assert gallery.count(GENERATION) == 1
    assert gallery.search(GENERATION, new, 5)[0].score == pytest.approx(1, abs=1e-5)
    gallery.upsert(GENERATION, points(old[None]) + points(newest[None]))
    assert gallery.count(GENERATION) == 1
    assert gallery.search(GENERATION, newest, 5)[0].score == pytest.approx(1, abs=1e-5)


def test_deleted_points_are_not_found(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(20)
    gallery.upsert(GENERATION, points(vectors))
    for _ in range(2):
        gallery.delete(GENERATION, [point_id(4), point_id(7), point_id(99)])
    gallery.delete(GENERATION, [])
    assert point_id(4) not in [hit.id for hit in gallery.search(GENERATION, vectors[4], 20)]
    assert gallery.ids(GENERATION) == {point_id(n) for n in range(20)} - {point_id(4), point_id(7)}
    assert gallery.count(GENERATION) == 18


def test_stored_vectors_are_read_by_id(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{type(gallery).__module__}.CHUNK", 7)
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(20)
    gallery.upsert(GENERATION, points(vectors, words={3: words_of(1, 5)}))
    found = gallery.vectors(GENERATION, [point_id(n) for n in range(25)])
    assert found.keys() == {point_id(n) for n in range(20)}
    for number, vector in enumerate(vectors):
        assert found[point_id(number)].dtype == np.float32
        assert found[point_id(number)] == pytest.approx(vector, abs=1e-5)
    assert gallery.vectors(GENERATION, []) == {}


def test_stored_points_can_be_written_elsewhere(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{type(gallery).__module__}.CHUNK", 7)
    for generation in (GENERATION, OTHER):
        gallery.create(generation, DIM)
    vectors = unit_vectors(20)
    given = points(vectors, words={3: words_of(1, 5), 4: words_of(9)})
    gallery.upsert(GENERATION, given)
    read = gallery.points(GENERATION, [point_id(n) for n in range(25)])
    gallery.upsert(OTHER, read)
    assert {point.id: (point.sku, point.product) for point in read} == {p.id: (p.sku, p.product) for p in given}
    words = {point.id: point.words.indexes.tolist() for point in read if point.words}
    assert words == {point_id(3): [1, 5], point_id(4): [9]}
    for query in (vectors[3], vectors[11]):
        one, other = (
            [(hit.id, hit.score) for hit in gallery.shortlist(generation, query, words_of(5, 9), 6)]
            for generation in (GENERATION, OTHER)
        )
        assert [hit for hit, _ in one] == [hit for hit, _ in other]
        assert [score for _, score in one] == pytest.approx([score for _, score in other], abs=1e-6)
    assert gallery.points(GENERATION, []) == []
    if isinstance(gallery, EdgeGallery):  # so that a till's scores are the server's to the last digit
        again = gallery.points(OTHER, [point.id for point in read])
        exact = {point.id: point.vector.tobytes() for point in read}
        assert {point.id: point.vector.tobytes() for point in again} == exact


def test_ids_come_in_pages(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{type(gallery).__module__}.PAGE", 7)
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(unit_vectors(21)))
    assert gallery.ids(GENERATION) == {point_id(n) for n in range(21)}


def test_an_empty_generation(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, [])
    assert gallery.search(GENERATION, unit_vectors(1)[0], 5) == []
    assert gallery.search(GENERATION, unit_vectors(1)[0], 0) == []
    assert gallery.ids(GENERATION) == set()
    assert gallery.count(GENERATION) == 0


def test_generations_do_not_mix(gallery: Gallery) -> None:
    vectors = unit_vectors(2)
    for generation, vector, first in ((GENERATION, vectors[0], 0), (OTHER, vectors[1], 1)):
        gallery.create(generation, DIM)
        gallery.upsert(generation, points(vector[None], first))
    assert {GENERATION, OTHER} <= set(gallery.generations())
    assert gallery.ids(GENERATION) == {point_id(0)}
    assert [hit.id for hit in gallery.search(OTHER, vectors[0], 5)] == [point_id(1)]


def test_optimize_and_release_keep_everything(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(50)
    gallery.upsert(GENERATION, points(vectors))
    gallery.optimize(GENERATION)
    gallery.release(GENERATION)
    assert gallery.search(GENERATION, vectors[3], 1)[0].id == point_id(3)


def test_a_dropped_generation_is_unknown(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(unit_vectors(3)))
    gallery.drop(GENERATION)
    gallery.drop(GENERATION)
    assert GENERATION not in gallery.generations()
    calls: list[Callable[[], object]] = [
        lambda: gallery.upsert(GENERATION, points(unit_vectors(1))),
        lambda: gallery.upsert(GENERATION, []),
        lambda: gallery.delete(GENERATION, [point_id(0)]),
        lambda: gallery.search(GENERATION, unit_vectors(1)[0], 5),
        lambda: gallery.ids(GENERATION),
        lambda: gallery.count(GENERATION),
        lambda: gallery.optimize(GENERATION),
    ]
    for call in calls:
        with pytest.raises(GalleryMismatchError, match=GENERATION):
            call()
    gallery.create(GENERATION, DIM + 1)
    assert gallery.count(GENERATION) == 0


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.ones(DIM + 1, np.float32), GalleryMismatchError),
        (np.ones((1, DIM), np.float32), GalleryMismatchError),
        (np.full(DIM, np.nan, np.float32), GalleryError),
        (np.zeros(DIM, np.float32), GalleryError),
    ],
)
def test_a_bad_vector_writes_nothing(gallery: Gallery, bad: Vector, error: type[GalleryError]) -> None:
    gallery.create(GENERATION, DIM)
    batch = [*points(unit_vectors(300)), GalleryPoint(point_id(300), bad, "SKU", "product")]
    with pytest.raises(error, match=GENERATION):
        gallery.upsert(GENERATION, batch)
    with pytest.raises(error, match=GENERATION):
        gallery.search(GENERATION, bad, 5)
    assert gallery.count(GENERATION) == 0


def test_a_bad_id_is_a_gallery_error(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    with pytest.raises(GalleryError):
        gallery.upsert(GENERATION, [GalleryPoint("no uuid", unit_vectors(1)[0], "SKU", "product")])


@pytest.mark.parametrize(
    "name", ["other-collection", "../outside", "sku-gallery-", "sku-gallery-a/b", "sku-gallery-a.lock"]
)
def test_foreign_names_are_refused(gallery: Gallery, name: str) -> None:
    for call in (lambda: gallery.create(name, DIM), lambda: gallery.drop(name), lambda: gallery.count(name)):
        with pytest.raises(GalleryError, match="not the name"):
            call()


@pytest.mark.slow
def test_threads_search_while_one_writes(gallery: Gallery) -> None:
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(400)
    gallery.upsert(GENERATION, points(vectors[:50]))
    done = threading.Event()
    wrong: list[object] = []

    def search(number: int) -> None:
        while not done.is_set():
            try:
                if gallery.search(GENERATION, vectors[number], 3)[0].id != point_id(number):
                    wrong.append(number)
            except GalleryError as error:
                wrong.append(error)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        for start in range(50, 400, 10):
            gallery.upsert(GENERATION, points(vectors[start : start + 10], start))
            gallery.delete(GENERATION, [point_id(start)])
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert gallery.count(GENERATION) == 400 - 35


def test_edge_reopens_with_everything(edge: EdgeGallery, tmp_path: Path) -> None:
    edge.upsert(GENERATION, points(unit_vectors(300)))
    edge.close()
    again = EdgeGallery(tmp_path, lock_wait=0)
    assert again.count(GENERATION) == 300
    again.close()


WRITE = """
gallery.create(name, dim)
for batch in range(10**6):
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(batch * 20 + n))) for n in range(20)]
    gallery.upsert(name, [GalleryPoint(i, v, "s", "p") for i, v in zip(ids, np.ones((20, dim), np.float32))])
    print(batch, flush=True)
"""


def test_edge_keeps_what_it_acknowledged_before_kill_9(tmp_path: Path) -> None:
    with spawn(tmp_path, WRITE) as child:
        batches = [said(child) for _ in range(30)] + kill(child)
    survivor = EdgeGallery(tmp_path, lock_wait=2)
    assert {point_id(n) for n in range(20 * len(batches))} <= survivor.ids(GENERATION)
    survivor.upsert(GENERATION, points(unit_vectors(1)))
    survivor.close()


def test_edge_is_open_in_one_process_at_a_time(edge: EdgeGallery, tmp_path: Path) -> None:
    edge.release(GENERATION)
    with spawn(tmp_path, "gallery.create(name, dim); print('open', flush=True); time.sleep(60)") as child:
        assert said(child) == "open"
        for call in (lambda: edge.count(GENERATION), lambda: edge.drop(GENERATION)):
            with pytest.raises(GalleryLockedError, match=rf"pid {child.pid}: .*python.*stop it, or use its API"):
                call()
        edge.create(OTHER, DIM)  # Another generation is nobody's business.
        kill(child)
    assert edge.count(GENERATION) == 0


def test_edge_waits_for_a_release(edge: EdgeGallery, tmp_path: Path) -> None:
    edge.upsert(GENERATION, points(unit_vectors(5)))
    patient = EdgeGallery(tmp_path, lock_wait=10)
    threading.Timer(0.2, edge.release, [GENERATION]).start()
    assert patient.count(GENERATION) == 5
    patient.close()


@pytest.mark.parametrize(
    "script",
    [
        "made = lambda path, _: (Path(path, 'segments').mkdir(), die()); edge_shards.EdgeShard.create = made; "
        "gallery.create(name, dim)",
        "Path.rename = die; gallery.create(name, dim)",
        "gallery.create(name, dim); shutil.rmtree = die; gallery.drop(name)",
    ],
    ids=["half made", "not yet renamed", "half dropped"],
)
def test_edge_mends_what_a_killed_process_left(tmp_path: Path, script: str) -> None:
    with spawn(tmp_path, script) as child:
        assert child.wait(30) == -signal.SIGKILL
    gallery = EdgeGallery(tmp_path, lock_wait=0)
    assert gallery.generations() == []
    with pytest.raises(GalleryMismatchError):
        gallery.count(GENERATION)
    gallery.create(GENERATION, DIM)
    assert gallery.count(GENERATION) == 0
    gallery.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [GENERATION, GENERATION + ".lock"]


def test_edge_reports_damage(edge: EdgeGallery, tmp_path: Path) -> None:
    edge.close()
    shutil.rmtree(tmp_path / GENERATION / "segments")
    (tmp_path / GENERATION / "edge_config.json").unlink()
    for _ in range(2):
        with pytest.raises(GalleryError, match=GENERATION):
            edge.count(GENERATION)


FORK = """
gallery.create(name, dim)
if (child := os.fork()) == 0:
    try:
        gallery.count(name)
    except GalleryError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), gallery.count(name))
"""


def test_edge_is_not_shared_with_a_fork(tmp_path: Path) -> None:
    with spawn(tmp_path, FORK) as child:
        assert child.communicate()[0].split() == ["7", "0"]


def test_open_gallery_opens_nothing_yet(tmp_path: Path) -> None:
    gallery = open_gallery(f"edge:{tmp_path / 'gallery'}")
    assert gallery.generations() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["", "edge:", "gallery", "ftp://host", "http://", "http://host:port", "http://me:pw@host"]
)
def test_a_bad_url_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="edge:PATH"):
        open_gallery(url)

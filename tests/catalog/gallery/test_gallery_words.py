"""Visual words in the gallery: one contract for both galleries, and generations made before there were words."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge
from qdrant_client import QdrantClient, models

from catalog.errors import GalleryError, GalleryMismatchError
from catalog.gallery import Gallery, GalleryPoint, Hit, Vector, open_gallery
from catalog.gallery.collection_schema import VECTOR_NAME, WORDS_NAME
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.edge_shards import _copy
from catalog.gallery.server import ServerGallery
from embedder.calibration.asking import shared_words, shortlist
from embedder.matching import VisualWords
from tests.support.galleries import DIM, GENERATION, OTHER, point_id, points, spawn, unit_vectors, words_of

COUNT = 60
RARE, COMMON = 7000, 5


def ordered(query: Vector, count: int = COUNT) -> Vector:
    """Random vectors [count, DIM], the nearest to the query first: point n is the n-th by vector."""
    vectors = unit_vectors(count)
    return vectors[np.argsort(-(vectors @ query))]


def numbers(hits: Sequence[Hit]) -> list[int]:
    """The numbers of the points that were found."""
    known = {point_id(n): n for n in range(1000)}
    return [known[hit.id] for hit in hits]


@pytest.fixture
def query() -> Vector:
    return unit_vectors(1, seed=1)[0]


def fill(gallery: Gallery, query: Vector, words: dict[int, VisualWords]) -> Vector:
    """A generation of COUNT points, ordered by vector, with these words; their vectors."""
    gallery.create(GENERATION, DIM)
    vectors = ordered(query)
    gallery.upsert(GENERATION, points(vectors, words=words))
    return vectors


def brought(gallery: Gallery, query: Vector, word: int = RARE) -> list[int]:
    """The points that a word alone brings into a shortlist."""
    found = numbers(gallery.shortlist(GENERATION, query, words_of(word), 10))
    return sorted(set(found) - set(numbers(gallery.search(GENERATION, query, 20))))


def test_a_rare_word_brings_what_the_vector_ranks_last(gallery: Gallery, query: Vector) -> None:
    words = {n: words_of(COMMON, 100 + n) for n in range(COUNT - 1)} | {COUNT - 1: words_of(COMMON, RARE)}
    vectors = fill(gallery, query, words)
    hits = gallery.shortlist(GENERATION, query, words_of(COMMON, RARE, 9000), 10)
    # All share the common word, and tie by it in any order: at most three near ones get enough by that to go before.
    place = numbers(hits).index(COUNT - 1)
    assert place < 4
    assert 0 in numbers(hits)
    assert len(hits) == len({hit.id for hit in hits}) == 10
    assert (hits[place].sku, hits[place].product) == (f"SKU-{COUNT - 1}", f"product-{COUNT - 1}")
    # The score is the cosine, whatever brought the photo.
    np.testing.assert_allclose([hit.score for hit in hits], vectors[numbers(hits)] @ query, atol=1e-5)


def test_a_query_vector_of_any_length_gives_cosines(gallery: Gallery, query: Vector) -> None:
    fill(gallery, query, {3: words_of(RARE)})
    unit = gallery.shortlist(GENERATION, query, words_of(RARE), 5)
    longer = gallery.shortlist(GENERATION, 3 * query, words_of(RARE), 5)
    assert [hit.id for hit in longer] == [hit.id for hit in unit]
    assert [hit.score for hit in longer] == pytest.approx([hit.score for hit in unit], abs=1e-5)


def test_what_both_rank_high_comes_first(gallery: Gallery, query: Vector) -> None:
    words = {1: words_of(RARE), 40: words_of(RARE, 8000)}
    fill(gallery, query, words)
    assert numbers(gallery.shortlist(GENERATION, query, words_of(RARE, 8000), 3)) in ([1, 40, 0], [40, 1, 0])
    assert numbers(gallery.shortlist(GENERATION, query, words_of(RARE), 3))[0] == 1


def test_the_same_question_has_the_same_answer(gallery: Gallery, query: Vector) -> None:
    rng = np.random.default_rng(3)
    fill(gallery, query, {n: words_of(*rng.choice(50, 10, replace=False)) for n in range(COUNT)})
    asked = words_of(*range(0, 50, 3))
    first = numbers(gallery.shortlist(GENERATION, query, asked, 10))
    assert all(numbers(gallery.shortlist(GENERATION, query, asked, 10)) == first for _ in range(10))


def test_a_word_that_all_have_weighs_next_to_nothing(gallery: Gallery, query: Vector) -> None:
    # 59 has much of the common word, and 58 a little of the rare one.
    common = VisualWords(np.asarray([COMMON], np.uint32), np.asarray([1], np.float32))
    rare = VisualWords(np.asarray([COMMON, RARE], np.uint32), np.asarray([0.1, 0.05], np.float32))
    weak = VisualWords(np.asarray([COMMON], np.uint32), np.asarray([0.1], np.float32))
    fill(gallery, query, dict.fromkeys(range(COUNT), weak) | {59: common, 58: rare})
    hits = numbers(gallery.shortlist(GENERATION, query, words_of(COMMON, RARE), 30))
    # Without IDF 59 is first of the words: 0.71 against 0.11. By vector both are last.
    assert hits.index(58) < hits.index(59)


@pytest.mark.parametrize("words", [None, words_of()], ids=["none", "empty"])
def test_without_words_it_is_search(gallery: Gallery, query: Vector, words: VisualWords | None) -> None:
    fill(gallery, query, {n: words_of(n) for n in range(0, COUNT, 2)})
    assert gallery.shortlist(GENERATION, query, words, 10) == gallery.search(GENERATION, query, 10)


def test_words_that_nobody_has_change_nothing(gallery: Gallery, query: Vector) -> None:
    fill(gallery, query, {})
    assert numbers(gallery.shortlist(GENERATION, query, words_of(RARE), 10)) == list(range(10))
    gallery.upsert(GENERATION, points(ordered(query)[50:], 50, {50: words_of(RARE + 1)}))
    assert numbers(gallery.shortlist(GENERATION, query, words_of(RARE), 10)) == list(range(10))


def test_replacing_a_point_replaces_its_words(gallery: Gallery, query: Vector) -> None:
    vectors = fill(gallery, query, {50: words_of(RARE), 51: words_of(RARE)})
    assert brought(gallery, query) == [50, 51]
    gallery.upsert(GENERATION, points(vectors[50:52], 50, {51: words_of(RARE + 1)}))
    assert brought(gallery, query) == []
    assert brought(gallery, query, RARE + 1) == [51]
    gallery.upsert(GENERATION, points(vectors[51:52], 51, {51: words_of()}))
    assert brought(gallery, query, RARE + 1) == []
    gallery.upsert(GENERATION, points(vectors[50:51], 50, {50: words_of(RARE)}))
    assert brought(gallery, query) == [50]
    assert gallery.count(GENERATION) == COUNT


def test_deleted_points_take_their_words_along(gallery: Gallery, query: Vector) -> None:
    vectors = fill(gallery, query, {50: words_of(RARE), 51: words_of(RARE)})
    gallery.delete(GENERATION, [point_id(50)])
    assert brought(gallery, query) == [51]
    gallery.upsert(GENERATION, points(vectors[50:51], 50))
    assert brought(gallery, query) == [51]


def test_words_outlive_optimize_and_release(gallery: Gallery, query: Vector) -> None:
    fill(gallery, query, {50: words_of(RARE)})
    for step in (gallery.release, gallery.optimize, gallery.release):
        step(GENERATION)
        assert brought(gallery, query) == [50]


def test_an_empty_generation_has_no_shortlist(gallery: Gallery, query: Vector) -> None:
    gallery.create(GENERATION, DIM)
    assert gallery.shortlist(GENERATION, query, words_of(RARE), 5) == []
    assert gallery.shortlist(GENERATION, query, words_of(RARE), 0) == []
    with pytest.raises(GalleryMismatchError, match=OTHER):
        gallery.shortlist(OTHER, query, words_of(RARE), 5)


def broken(indexes: object, values: object) -> VisualWords:
    return VisualWords(np.asarray(indexes), np.asarray(values))


BROKEN = {
    "not ascending": broken(np.uint32([5, 3]), np.float32([1, 1])),
    "twice": broken(np.uint32([3, 3]), np.float32([1, 1])),
    "NaN": broken(np.uint32([3]), np.float32([np.nan])),
    "infinite": broken(np.uint32([3]), np.float32([np.inf])),
    "zero": broken(np.uint32([3]), np.float32([0])),
    "below zero": broken(np.uint32([3]), np.float32([-1])),
    "unequal": broken(np.uint32([3, 4]), np.float32([1])),
    "values alone": broken(np.uint32([]), np.float32([1])),
    "a table": broken(np.uint32([[3]]), np.float32([[1]])),
    "signed": broken(np.int64([-1]), np.float32([1])),
    "double": broken(np.uint32([3]), np.float64([1e300])),
}


@pytest.mark.parametrize("words", BROKEN.values(), ids=BROKEN.keys())
def test_bad_words_write_nothing(gallery: Gallery, query: Vector, words: VisualWords) -> None:
    gallery.create(GENERATION, DIM)
    batch = [*points(unit_vectors(300)), GalleryPoint(point_id(300), query, "SKU", "product", words)]
    with pytest.raises(GalleryError, match=GENERATION):
        gallery.upsert(GENERATION, batch)
    with pytest.raises(GalleryError, match=GENERATION):
        gallery.shortlist(GENERATION, query, words, 5)
    assert gallery.count(GENERATION) == 0


@pytest.mark.parametrize("bad", [np.ones(DIM + 1, np.float32), np.full(DIM, np.nan, np.float32)])
def test_a_bad_vector_has_no_shortlist(gallery: Gallery, bad: Vector) -> None:
    gallery.create(GENERATION, DIM)
    with pytest.raises(GalleryError, match=GENERATION):
        gallery.shortlist(GENERATION, bad, words_of(RARE), 5)


def make_old_shard(root: Path, vectors: Vector, *, optimizers: qdrant_edge.EdgeOptimizersConfig | None = None) -> None:
    """A shard as it was made before there were words, by the calls of that time."""
    folder = root / GENERATION
    folder.mkdir(parents=True)
    dense = {VECTOR_NAME: qdrant_edge.EdgeVectorParams(size=DIM, distance=qdrant_edge.Distance.Cosine)}
    shard = qdrant_edge.EdgeShard.create(str(folder), qdrant_edge.EdgeConfig(vectors=dense, optimizers=optimizers))
    old = [
        qdrant_edge.Point(point_id(n), {VECTOR_NAME: vector.tolist()}, {"sku": f"SKU-{n}", "product": f"product-{n}"})
        for n, vector in enumerate(vectors)
    ]
    for start in range(0, len(old), 30):
        shard.update(qdrant_edge.UpdateOperation.upsert_points(old[start : start + 30]))
        if optimizers:
            shard.optimize()
    shard.flush()
    shard.close()


def make_old(gallery: Gallery, vectors: Vector) -> None:
    """A generation as it was made before there were words."""
    if isinstance(gallery, EdgeGallery):
        make_old_shard(gallery._shards.root, vectors)
    else:
        assert isinstance(gallery, ServerGallery)
        dense = {VECTOR_NAME: models.VectorParams(size=DIM, distance=models.Distance.COSINE)}
        gallery._connection._nodes[0].client.create_collection(GENERATION, vectors_config=dense)
        payloads = [{"sku": f"SKU-{n}", "product": f"product-{n}"} for n in range(len(vectors))]
        old = [
            models.PointStruct(id=point_id(n), vector={VECTOR_NAME: vector.tolist()}, payload=payload)
            for n, (vector, payload) in enumerate(zip(vectors, payloads, strict=True))
        ]
        gallery._connection._nodes[0].client.upsert(GENERATION, old, wait=True)


def test_a_generation_without_words_gets_them(gallery: Gallery, query: Vector) -> None:
    vectors = ordered(query)
    make_old(gallery, vectors)
    gallery.create(GENERATION, DIM)
    assert numbers(gallery.search(GENERATION, query, 10)) == list(range(10))
    assert numbers(gallery.shortlist(GENERATION, query, words_of(RARE), 10)) == list(range(10))
    gallery.upsert(GENERATION, points(vectors[50:51], 50, {50: words_of(RARE)}))
    gallery.release(GENERATION)
    assert brought(gallery, query) == [50]
    assert gallery.count(GENERATION) == COUNT
    # The common word is weighed here too.
    gallery.upsert(GENERATION, points(vectors[20:60], 20, {n: words_of(COMMON) for n in range(20, 60) if n != 50}))
    assert numbers(gallery.shortlist(GENERATION, query, words_of(COMMON, RARE), 10))[0] != 50
    gallery.upsert(GENERATION, points(vectors[50:51], 50, {50: words_of(COMMON, RARE)}))
    assert numbers(gallery.shortlist(GENERATION, query, words_of(COMMON, RARE), 10))[0] == 50


def test_points_with_words_come_first_into_a_generation_without(gallery: Gallery, query: Vector) -> None:
    make_old(gallery, ordered(query))
    gallery.upsert(GENERATION, points(ordered(query)[50:51], 50, {50: words_of(RARE)}))
    assert brought(gallery, query) == [50]


def test_edge_keeps_words_over_kill_9(tmp_path: Path, query: Vector) -> None:
    make_old_shard(tmp_path, ordered(query))
    write = """
from embedder.matching import VisualWords
words = VisualWords(np.asarray([7000], np.uint32), np.asarray([1], np.float32))
vector = -np.asarray(eval(sys.stdin.read()), np.float32)
gallery.upsert(name, [GalleryPoint(str(uuid.uuid5(uuid.NAMESPACE_OID, "50")), vector, "s", "p", words)])
die()
""".replace("sys.stdin.read()", repr(str(query.tolist())))
    with spawn(tmp_path, write) as child:
        assert child.wait(30) == -signal.SIGKILL
    survivor = EdgeGallery(tmp_path, lock_wait=2)
    assert brought(survivor, query) == [50]
    assert survivor.count(GENERATION) == COUNT
    survivor.close()


KILLED = {
    "copied in part": "shutil.copytree = lambda _, to, **how: (to.mkdir(), (to / 'segments').mkdir(), die())",
    "copied": "edge_shards.EdgeShard.load = die",
    "changed": "edge_shards.sync_folder = die",
    "about to be renamed": "Path.rename = die",
    "renamed once": "real = Path.rename; Path.rename = lambda a, b: die() if '.new-' in a.name else real(a, b)",
    "renamed": "shutil.rmtree = die",
}


@pytest.fixture(scope="module")
def old_shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old shard of more than one segment: one such, cut short when it is changed in place, can't be loaded."""
    root = tmp_path_factory.mktemp("old")
    small = qdrant_edge.EdgeOptimizersConfig(default_segment_number=3, max_segment_size=1, indexing_threshold=1)
    make_old_shard(root, ordered(unit_vectors(1, seed=1)[0]), optimizers=small)
    assert len(list((root / GENERATION / "segments").iterdir())) > 1
    return root / GENERATION


@pytest.mark.parametrize("script", KILLED.values(), ids=KILLED.keys())
def test_edge_adds_words_whole_or_not_at_all(tmp_path: Path, old_shard: Path, query: Vector, script: str) -> None:
    shutil.copytree(old_shard, tmp_path / GENERATION, copy_function=_copy)
    with spawn(tmp_path, script + "; gallery.count(name)") as child:
        assert child.wait(30) == -signal.SIGKILL
    gallery = EdgeGallery(tmp_path, lock_wait=0)
    # It was never lost: what is lost is embedded anew, every photo of it.
    assert gallery.generations() == [GENERATION]
    assert gallery.count(GENERATION) == COUNT
    gallery.upsert(GENERATION, points(ordered(query)[50:51], 50, {50: words_of(RARE)}))
    gallery.close()
    assert brought(gallery, query) == [50]
    assert sorted(path.name for path in tmp_path.iterdir()) == [GENERATION, GENERATION + ".lock"]
    gallery.drop(GENERATION)
    assert gallery.generations() == []
    gallery.close()


def test_edge_drops_a_generation_that_was_being_replaced(tmp_path: Path, query: Vector) -> None:
    make_old_shard(tmp_path, ordered(query))
    with spawn(tmp_path, KILLED["renamed once"] + "; gallery.count(name)") as child:
        assert child.wait(30) == -signal.SIGKILL
    gallery = EdgeGallery(tmp_path, lock_wait=0)
    gallery.drop(GENERATION)
    assert gallery.generations() == []
    with pytest.raises(GalleryMismatchError):
        gallery.count(GENERATION)
    gallery.close()


def test_edge_copies_a_generation_only_once(tmp_path: Path, query: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old_shard(tmp_path, ordered(query))
    gallery = EdgeGallery(tmp_path, lock_wait=0)
    assert gallery.count(GENERATION) == COUNT
    gallery.close()
    monkeypatch.setattr(shutil, "copytree", None)
    gallery.create(OTHER, DIM)
    gallery.close()
    assert gallery.count(GENERATION) == COUNT
    assert gallery.count(OTHER) == 0
    gallery.close()


def test_an_old_server_says_to_embed_anew(query: Vector) -> None:
    local = QdrantClient(":memory:")
    dense = {VECTOR_NAME: models.VectorParams(size=DIM, distance=models.Distance.COSINE)}
    local.create_collection(GENERATION, vectors_config=dense)
    info = local.get_collection(GENERATION).model_dump(mode="json")
    asked: list[str] = []

    class Old(BaseHTTPRequestHandler):
        """A server that knows the generation, but no request that adds a vector (before 1.18)."""

        def answer(self, status: int, result: object) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"" if result is None else json.dumps({"result": result, "time": 0}).encode())

        def do_GET(self) -> None:
            self.answer(200, {"exists": True} if self.path.endswith("/exists") else info)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, {"points": []})

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.path.partition("?")[0])
            unknown = self.path.partition("?")[0].endswith(f"/vectors/{WORDS_NAME}")
            self.answer(404 if unknown else 200, None if unknown else {"operation_id": 1, "status": "completed"})

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Old) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        gallery = open_gallery(f"http://127.0.0.1:{server.server_port}")
        try:
            # What it could do before there were words it still can.
            assert gallery.search(GENERATION, query, 5) == gallery.shortlist(GENERATION, query, None, 5) == []
            gallery.upsert(GENERATION, points(query[None]))
            with pytest.raises(GalleryMismatchError, match=r"1\.18.*re-embed"):
                gallery.upsert(GENERATION, points(query[None], words={0: words_of(RARE)}))
            with pytest.raises(GalleryMismatchError, match=r"1\.18.*re-embed"):
                gallery.shortlist(GENERATION, query, words_of(RARE), 5)
        finally:
            server.shutdown()
            gallery.close()
    assert asked.count(f"/collections/{GENERATION}/points") == 1, "nothing of the refused points was written"


def test_the_shortlist_is_the_one_that_weights_are_fitted_on(gallery: Gallery) -> None:
    """embedder.calibration.asking works out what a gallery would shortlist: it must be this."""
    rng = np.random.default_rng(9)

    def some() -> VisualWords:
        values = rng.uniform(0.2, 1, 12).astype(np.float32)  # no two alike, so that nothing ties
        return VisualWords(
            np.sort(rng.choice(40, 12, replace=False)).astype(np.uint32), values / np.linalg.norm(values)
        )

    vectors = unit_vectors(60, seed=5)
    words = [some() for _ in vectors]
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(vectors, words=dict(enumerate(words))))
    for seed in range(6):
        asked, vector = some(), unit_vectors(1, seed=100 + seed)[0]
        cosines = (vectors @ vector).astype(np.float64)
        expected = shortlist(cosines, shared_words(words, [asked], 40)[0], np.ones(60, bool), 10)
        found = [hit.id for hit in gallery.shortlist(GENERATION, vector, asked, 10)]
        assert found == [point_id(place) for place in expected]

"""A search among some products only: one contract for both galleries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import qdrant_edge

from catalog.config import ServerOptions
from catalog.errors import GalleryError, GalleryMismatchError
from catalog.gallery import Gallery, GalleryPoint, Vector, open_gallery
from catalog.gallery.collection_schema import PRODUCT, VECTOR_NAME
from catalog.gallery.edge import EdgeGallery
from catalog.gallery.server import ServerGallery
from embedder.calibration.asking import shared_words, shortlist
from embedder.matching import VisualWords
from tests.support.galleries import DIM, GENERATION, OTHER, point_id, points, unit_vectors, words_of
from tests.support.qdrants import grpc_qdrant, http_qdrant, names_of

COUNT, EACH = 120, 3
RARE = 7000


def product(number: int) -> str:
    """The product of the photo of this number: each has EACH of them."""
    return f"product-{number // EACH}"


@pytest.fixture
def query() -> Vector:
    return unit_vectors(1, seed=1)[0]


def fill(gallery: Gallery, words: dict[int, VisualWords] | None = None) -> Vector:
    """COUNT photos of COUNT / EACH products; their vectors."""
    gallery.create(GENERATION, DIM)
    vectors = unit_vectors(COUNT)
    gallery.upsert(
        GENERATION,
        [GalleryPoint(point_id(n), v, f"SKU-{n}", product(n), (words or {}).get(n)) for n, v in enumerate(vectors)],
    )
    return vectors


@pytest.mark.parametrize("some", [[7], [39, 0, 21], range(0, 40, 2), range(40), range(30, 5000)], ids=str)
def test_only_points_of_these_products_are_found(gallery: Gallery, query: Vector, some: range | list[int]) -> None:
    vectors = fill(gallery)
    only = {f"product-{n}" for n in some}
    nearest = [int(n) for n in np.argsort(-(vectors @ query)) if product(int(n)) in only]
    for limit in (1, 10, COUNT + 1):
        hits = gallery.search(GENERATION, query, limit, products=only)
        assert [hit.id for hit in hits] == [point_id(n) for n in nearest[:limit]]
        assert {hit.product for hit in hits} <= only
    # Any collection will do, and what is written after is filtered too.
    gallery.upsert(GENERATION, [GalleryPoint(point_id(COUNT), query, "SKU", product(COUNT - 1))])
    found = gallery.search(GENERATION, query, 1, products=[*only, product(COUNT - 1)])
    assert [hit.id for hit in found] == [point_id(COUNT)]


def test_no_product_finds_nothing_and_none_is_no_filter(gallery: Gallery, query: Vector) -> None:
    fill(gallery, {0: words_of(RARE)})
    for nobody in ([], set(), ["product-of-nobody"], [""]):
        assert gallery.search(GENERATION, query, 5, products=nobody) == []
        assert gallery.shortlist(GENERATION, query, words_of(RARE), 5, products=nobody) == []
        assert gallery.shortlist(GENERATION, query, None, 5, products=nobody) == []
    assert gallery.search(GENERATION, query, 5, products=None) == gallery.search(GENERATION, query, 5)
    assert len(gallery.search(GENERATION, query, COUNT + 1)) == COUNT


def test_both_lists_of_a_shortlist_are_filtered(gallery: Gallery) -> None:
    """It is what asking.py works out: words are weighed over all photos, filtered or not."""
    rng = np.random.default_rng(9)

    def some() -> VisualWords:
        values = rng.uniform(0.2, 1, 12).astype(np.float32)  # no two alike, so that nothing ties
        return VisualWords(
            np.sort(rng.choice(40, 12, replace=False)).astype(np.uint32), values / np.linalg.norm(values)
        )

    words = {n: some() for n in range(COUNT)}
    vectors = fill(gallery, words)
    for seed in range(6):
        asked, vector = some(), unit_vectors(1, seed=100 + seed)[0]
        only = {f"product-{n}" for n in rng.choice(COUNT // EACH, 12, replace=False)}
        allowed = np.asarray([product(n) in only for n in range(COUNT)])
        cosines = (vectors @ vector).astype(np.float64)
        shared = shared_words(list(words.values()), [asked], 40)[0]
        hits = gallery.shortlist(GENERATION, vector, asked, 8, products=only)
        assert [hit.id for hit in hits] == [point_id(n) for n in shortlist(cosines, shared, allowed, 8)]
        assert {hit.product for hit in hits} <= only
        np.testing.assert_allclose(
            [hit.score for hit in hits], [cosines[n] for n in shortlist(cosines, shared, allowed, 8)], atol=1e-5
        )


def test_a_shortlist_without_words_is_filtered_too(gallery: Gallery, query: Vector) -> None:
    fill(gallery)
    only = ["product-3", "product-17"]
    hits = gallery.search(GENERATION, query, 5, products=only)
    assert len(hits) == 5
    assert gallery.shortlist(GENERATION, query, None, 5, products=only) == hits
    unknown = gallery.shortlist(GENERATION, query, words_of(RARE), 5, products=only)
    assert [hit.id for hit in unknown] == [hit.id for hit in hits]


def test_a_filter_of_thousands(gallery: Gallery, query: Vector) -> None:
    fill(gallery, {n: words_of(RARE) for n in range(60, 120)})
    many = [f"product-{n}" for n in range(20, 3000)]
    assert {int(hit.sku[4:]) for hit in gallery.search(GENERATION, query, COUNT, products=many)} == set(range(60, 120))
    assert len(gallery.shortlist(GENERATION, query, words_of(RARE), COUNT, products=many)) == 60


def test_deleted_points_stay_away(gallery: Gallery, query: Vector) -> None:
    fill(gallery)
    gallery.delete(GENERATION, [point_id(9), point_id(10)])
    gallery.optimize(GENERATION)
    gallery.release(GENERATION)
    assert [hit.id for hit in gallery.search(GENERATION, query, 5, products=["product-3"])] == [point_id(11)]


def test_a_filter_hides_no_error(gallery: Gallery, query: Vector) -> None:
    fill(gallery)
    for nobody in ([], ["product-1"]):
        with pytest.raises(GalleryMismatchError, match=OTHER):
            gallery.search(OTHER, query, 5, products=nobody)
        with pytest.raises(GalleryMismatchError, match=str(DIM)):
            gallery.shortlist(GENERATION, unit_vectors(1)[0][:5], words_of(RARE), 5, products=nobody)
    with pytest.raises(GalleryError):
        gallery.search(GENERATION, query, 5, products=[object()])  # type: ignore[list-item]


def test_edge_indexes_products_and_finds_the_same_without(tmp_path: Path, query: Vector) -> None:
    indexed = EdgeGallery(tmp_path / "indexed", lock_wait=0)
    vectors = fill(indexed)
    expected = indexed.search(GENERATION, query, 10, products=["product-3", "product-17"])
    indexed.close()
    old = EdgeGallery(tmp_path / "old", lock_wait=0)
    old.create(GENERATION, DIM)
    old.close()
    for root, drop in (("indexed", False), ("old", True)):
        shard = qdrant_edge.EdgeShard.load(str(tmp_path / root / GENERATION))
        assert PRODUCT in shard.info().payload_schema
        if drop:  # as it was made before
            shard.update(qdrant_edge.UpdateOperation.delete_field_index(PRODUCT))
            shard.flush()
            assert PRODUCT not in shard.info().payload_schema
        shard.close()
    old.upsert(GENERATION, [GalleryPoint(point_id(n), v, f"SKU-{n}", product(n)) for n, v in enumerate(vectors)])
    assert old.search(GENERATION, query, 10, products=["product-3", "product-17"]) == expected
    assert len(expected) == 2 * EACH
    old.close()


def test_a_server_indexes_products_once(query: Vector) -> None:
    with http_qdrant() as server:
        for _ in range(2):  # two processes
            gallery = open_gallery(server.url)
            gallery.create(GENERATION, DIM)
            gallery.create(GENERATION, DIM)
            gallery.search(GENERATION, query, 5, products=["product-3"])
            gallery.close()
        asked = [body for call, body in server.calls if call == f"PUT /collections/{GENERATION}/index"]
        assert asked == [{"field_name": "product", "field_schema": "keyword"}]


def test_a_server_s_older_generation_gets_the_index(query: Vector) -> None:
    with grpc_qdrant() as server:
        gallery = open_gallery("http://127.0.0.1", options=ServerOptions(grpc_port=server.port))
        assert isinstance(gallery, ServerGallery)
        gallery.create(GENERATION, DIM)
        gallery.upsert(GENERATION, points(query[None]))
        server.behind.indexed.clear()
        again = open_gallery("http://127.0.0.1", options=ServerOptions(grpc_port=server.port))
        again.create(GENERATION, DIM)
        assert names_of(server.calls).count("CreateFieldIndex") == 2
        assert server.behind.indexed == {GENERATION}
        assert [hit.id for hit in again.search(GENERATION, query, 5, products=["product-0"])] == [point_id(0)]
        gallery.close()
        again.close()


def test_a_server_is_sent_the_filter_in_every_list(query: Vector) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        gallery.create(GENERATION, DIM)
        gallery.shortlist(GENERATION, query, words_of(RARE), 5, products=["product-3", "product-4"])
        gallery.close()
        name, body = server.calls[-1]
    assert name == f"POST /collections/{GENERATION}/points/query"
    assert [one["using"] for one in body["prefetch"]] == [VECTOR_NAME, "words"]
    for one in body["prefetch"]:
        assert one["filter"] == {"must": [{"key": "product", "match": {"any": ["product-3", "product-4"]}}]}

"""The embedded gallery: Qdrant's engine inside this process, one shard for each generation (see edge_shards.py)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdrant_edge import (
    CountRequest,
    FieldCondition,
    Filter,
    Fusion,
    MatchAny,
    Point,
    Prefetch,
    Query,
    QueryRequest,
    ScrollRequest,
    SearchParams,
    SparseVector,
    UpdateOperation,
)

from catalog.durable_files import disk_usage
from catalog.errors import GalleryMismatchError
from catalog.gallery.collection_schema import (
    CHUNK,
    PAGE,
    PRODUCT,
    VECTOR_NAME,
    WORDS_NAME,
    check_vectors,
    check_words,
    to_hit,
    to_listed,
    to_stored,
    to_vector,
)
from catalog.gallery.edge_disk import check_room
from catalog.gallery.edge_shards import Shards
from catalog.gallery.interface import GalleryPoint, Hit, Vector
from embedder.ranking import PREFETCH, RRF_K, RRF_WEIGHTS

if TYPE_CHECKING:
    from qdrant_edge import NamedVector, PointId  # Only the stub has them.

    from embedder.matching import VisualWords

# Exhaustive search. An HNSW graph saved 1.3 of 3.2 ms at 50,000 x 256 (measured) and lost 6 to 50 % of the true 20
# nearest; a gallery that has outgrown exhaustive search has outgrown the embedded engine.
_EXACT = SearchParams(exact=True)


class EdgeGallery:
    """A Gallery in the folder `root`. One process at a time has a generation open; another may have another one.

    Waits up to `lock_wait` seconds for a generation that another process holds; then GalleryLockedError names the
    holder. The lock ends with its process, however that ends. Fork before the first use: an open shard can't be shared.
    """

    def __init__(self, root: Path, lock_wait: float = 2.0) -> None:
        self._shards = Shards(root, lock_wait)

    def create(self, generation: str, dim: int) -> None:
        """See Gallery. The next call repairs what a process killed half-way left."""
        existing = self._shards.create(generation, dim)
        if existing != dim:
            raise GalleryMismatchError(f"{generation} exists for vectors of {existing} numbers, not {dim}.")

    def generations(self) -> list[str]:
        """See Gallery. Leftovers of a killed create or drop are not listed."""
        return self._shards.names()

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """See Gallery. On return the points survive a power cut, too."""
        with self._shards.opened(generation) as (_, dim):
            check_vectors(generation, dim, (point.vector for point in points))
            check_words(generation, (point.words for point in points))
        # Lock per chunk, so that searches get through while thousands of points are written.
        for start in range(0, len(points), CHUNK):
            with self._shards.opened(generation) as (shard, _):
                check_room(self._shards.root)
                chunk = [_to_point(point) for point in points[start : start + CHUNK]]
                shard.update(UpdateOperation.upsert_points(chunk))
                # An update alone survives kill -9, not a power cut: it syncs nothing to disk (traced). A flush takes 3
                # to 8 ms in the median (50 on a busy disk): cheap enough for every acknowledged write.
                if start + CHUNK >= len(points):
                    shard.flush()

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """See Gallery. On return the deletion survives a power cut."""
        point_ids: list[PointId] = list(ids)
        with self._shards.opened(generation) as (shard, _):
            check_room(self._shards.root)
            shard.update(UpdateOperation.delete_points(point_ids))
            shard.flush()

    def search(
        self, generation: str, vector: Vector, limit: int, *, products: Collection[str] | None = None
    ) -> list[Hit]:
        """See Gallery. Exact: 0.2 ms at 3,000, 1.3 at 20,000, 3.2 at 50,000 vectors of 256 (measured, one core)."""
        with self._shards.opened(generation) as (shard, dim):
            check_vectors(generation, dim, [vector])
            if products is not None and not products:
                return []
            query = Query.Nearest(vector.tolist(), using=VECTOR_NAME)
            request = QueryRequest(
                limit=limit, query=query, with_payload=True, params=_EXACT, filter=_only_of(products)
            )
            found = shard.query(request)
        return [to_hit(point.id, point.payload, point.score) for point in found]

    def shortlist(
        self,
        generation: str,
        vector: Vector,
        words: VisualWords | None,
        limit: int,
        *,
        products: Collection[str] | None = None,
    ) -> list[Hit]:
        """See Gallery. Both lists are exact."""
        check_words(generation, [words])
        if not words or limit < 1 or (products is not None and not products):
            return self.search(generation, vector, limit, products=products)
        with self._shards.opened(generation) as (shard, dim):
            check_vectors(generation, dim, [vector])
            near = Query.Nearest(vector.tolist(), using=VECTOR_NAME)
            alike = Query.Nearest(_to_sparse(words), using=WORDS_NAME)
            only = _only_of(products)
            lists = [
                Prefetch(limit=PREFETCH * limit, query=query, params=_EXACT, filter=only) for query in (near, alike)
            ]
            request = QueryRequest(
                limit=limit,
                query=Fusion.Rrf(k=RRF_K, weights=list(RRF_WEIGHTS)),  # type: ignore[arg-type]  # in the stub it is none
                prefetches=lists,
                with_payload=True,
                with_vector=[VECTOR_NAME],
            )
            found = shard.query(request)
        return [to_listed(point.id, point.payload, point.vector, vector) for point in found]

    def vectors(self, generation: str, ids: Sequence[str]) -> dict[str, Vector]:
        """See Gallery."""
        found: dict[str, Vector] = {}
        for start in range(0, len(ids), CHUNK):
            point_ids: list[PointId] = list(ids[start : start + CHUNK])
            with self._shards.opened(generation) as (shard, _):
                records = shard.retrieve(point_ids, with_payload=False, with_vector=[VECTOR_NAME])
            found |= {str(record.id): to_vector(record.id, record.vector) for record in records}
        return found

    def points(self, generation: str, ids: Sequence[str]) -> list[GalleryPoint]:
        """See Gallery. 256 points with 300 words each take 2 ms (measured)."""
        found: list[GalleryPoint] = []
        for start in range(0, len(ids), CHUNK):
            point_ids: list[PointId] = list(ids[start : start + CHUNK])
            with self._shards.opened(generation) as (shard, _):
                records = shard.retrieve(point_ids, with_payload=True, with_vector=[VECTOR_NAME, WORDS_NAME])
            found += [to_stored(record.id, record.payload, record.vector) for record in records]
        return found

    def ids(self, generation: str) -> set[str]:
        """See Gallery."""
        found: set[str] = set()
        offset: PointId | None = None
        while True:
            with self._shards.opened(generation) as (shard, _):
                records, offset = shard.scroll(ScrollRequest(offset=offset, limit=PAGE, with_payload=False))
            found.update(str(record.id) for record in records)
            if offset is None:
                return found

    def count(self, generation: str) -> int:
        """See Gallery."""
        with self._shards.opened(generation) as (shard, _):
            return shard.count(CountRequest(exact=True))

    def disk_bytes(self, generation: str) -> int:
        """See Gallery. 0 where there is none."""
        return disk_usage(self._shards.root / generation)

    def optimize(self, generation: str) -> None:
        """Merge segments and purge deleted points; blocks every thread of this process until it is done."""
        with self._shards.opened(generation) as (shard, _):
            shard.optimize()
            shard.flush()

    def release(self, generation: str) -> None:
        """Flush, close and unlock the generation, so that another process may open it."""
        self._shards.release(generation)

    def drop(self, generation: str) -> None:
        """See Gallery. Raises GalleryLockedError while another process has it open."""
        self._shards.drop(generation)

    def close(self) -> None:
        """Release every generation."""
        self._shards.release_all()


def _to_point(point: GalleryPoint) -> Point:
    # A list, not the array: the library would walk the array by Python's slow sequence protocol.
    vectors: dict[str, NamedVector] = {VECTOR_NAME: point.vector.tolist()}
    if point.words:
        vectors[WORDS_NAME] = _to_sparse(point.words)
    return Point(point.id, vectors, {"sku": point.sku, "product": point.product})


def _to_sparse(words: VisualWords) -> SparseVector:
    return SparseVector(words.indexes.tolist(), words.values.tolist())


def _only_of(products: Collection[str] | None) -> Filter | None:
    return None if products is None else Filter(must=[FieldCondition(PRODUCT, match=MatchAny(list(products)))])

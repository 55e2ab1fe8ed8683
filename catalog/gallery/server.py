"""The gallery on a Qdrant server or cluster (or, in tests, in qdrant-client's local mode)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from qdrant_client import QdrantClient, models

from catalog.config import ServerOptions
from catalog.errors import GalleryError, GalleryMismatchError
from catalog.gallery.collection_schema import (
    CHUNK,
    PAGE,
    PRODUCT,
    VECTOR_NAME,
    WORDS_NAME,
    check_vectors,
    check_words,
    checked_name,
    is_generation,
    to_hit,
    to_listed,
    to_stored,
    to_vector,
    unknown_generation,
)
from catalog.gallery.interface import GalleryPoint, Hit, Vector
from catalog.gallery.server_connection import Connection, connect, refusal_of
from embedder.ranking import PREFETCH, RRF_K, RRF_WEIGHTS

if TYPE_CHECKING:
    from embedder.matching import VisualWords

T = TypeVar("T")

# Seconds between two polls of a server that is indexing.
_POLL = 0.5

# HNSW's search parameter ef: at 50,000 x 256 (measured) the default of 100 found 88 % of the true 20 nearest of
# clustered vectors, this 94 % for 0.3 ms more; the nearest one was always found.
_EF = 256

_DEFAULT = ServerOptions()

# With quantized vectors: rescore twice as many candidates by their original vectors.
_RESCORED = models.QuantizationSearchParams(rescore=True, oversampling=2.0)


class ServerGallery:
    """A Gallery by QdrantClients, one for each node of a cluster, by the address that messages name it by."""

    def __init__(self, clients: Mapping[str, QdrantClient], options: ServerOptions = _DEFAULT) -> None:
        self._options = options
        self._connection = Connection(clients, options)
        # Through the shard's leader, in one order: nodes that are asked in turn could else turn two writes round.
        self._ordering = models.WriteOrdering.MEDIUM if len(clients) > 1 else None
        # A generation's dimension never changes: its bundle decides it.
        self._dims: dict[str, int] = {}
        # Generations known to have the sparse vector, and the index on products; neither is ever removed.
        self._worded: set[str] = set()
        self._indexed: set[str] = set()
        # Local mode always searches exhaustively, and warns about parameters that it does not use.
        quantization = _RESCORED if options.quantized else None
        self._params = None if self._connection.local else models.SearchParams(hnsw_ef=_EF, quantization=quantization)

    @classmethod
    def open(cls, urls: str, api_key: str | None, options: ServerOptions) -> ServerGallery:
        """A gallery at http(s)://HOST[:6333], or at several such nodes of one cluster, with commas; none is called yet.

        Raises ConfigError for a CA file that can't be read.
        """
        suffix = "" if options.grpc_port is None else f" (gRPC, port {options.grpc_port})"
        return cls({f"{url}{suffix}": connect(url, api_key, options) for url in urls.split(",")}, options)

    def create(self, generation: str, dim: int) -> None:
        """See Gallery."""
        checked_name(generation)
        if not self._ask(generation, lambda client: client.collection_exists(generation)):
            self._forget(generation)
            self._ask(generation, lambda client: self._make(client, generation, dim), writes=True)
        existing = self._dim(generation)
        if existing != dim:
            raise GalleryMismatchError(f"{generation} exists for vectors of {existing} numbers, not {dim}.")
        self._ensure_index(generation)

    def generations(self) -> list[str]:
        """See Gallery."""
        collections = self._ask("generations", lambda client: client.get_collections().collections)
        return sorted(collection.name for collection in collections if is_generation(collection.name))

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """See Gallery. Returns when the server has applied everything."""
        check_vectors(generation, self._dim(generation), (point.vector for point in points))
        check_words(generation, (point.words for point in points))
        if any(point.words for point in points):
            self._ensure_words(generation)
        for start in range(0, len(points), CHUNK):
            self._write(generation, points[start : start + CHUNK])

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """See Gallery. Returns when the server has applied everything."""
        self._dim(generation)
        for start in range(0, len(ids), PAGE):
            self._remove(generation, ids[start : start + PAGE])

    def search(
        self, generation: str, vector: Vector, limit: int, *, products: Collection[str] | None = None
    ) -> list[Hit]:
        """See Gallery. Exact below the server's indexing threshold, approximate (HNSW) above it."""
        check_vectors(generation, self._dim(generation), [vector])
        if limit < 1 or (products is not None and not products):
            return []
        found = self._ask(
            generation,
            lambda client: client.query_points(
                generation,
                query=vector.tolist(),
                using=VECTOR_NAME,
                limit=limit,
                query_filter=_only_of(products),
                with_payload=True,
                search_params=self._params,
            ),
        )
        return [to_hit(point.id, point.payload, point.score) for point in found.points]

    def shortlist(
        self,
        generation: str,
        vector: Vector,
        words: VisualWords | None,
        limit: int,
        *,
        products: Collection[str] | None = None,
    ) -> list[Hit]:
        """See Gallery. By vector as exact as `search`, by words exact. Needs Qdrant 1.17 or later."""
        check_words(generation, [words])
        if not words or limit < 1 or (products is not None and not products):
            return self.search(generation, vector, limit, products=products)
        check_vectors(generation, self._dim(generation), [vector])
        self._ensure_words(generation)
        most, only = PREFETCH * limit, _only_of(products)
        near = models.Prefetch(query=vector.tolist(), using=VECTOR_NAME, limit=most, filter=only, params=self._params)
        alike = models.Prefetch(query=_to_sparse(words), using=WORDS_NAME, limit=most, filter=only)
        found = self._ask(
            generation,
            lambda client: client.query_points(
                generation,
                query=models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=list(RRF_WEIGHTS))),
                prefetch=[near, alike],
                limit=limit,
                with_payload=True,
                with_vectors=[VECTOR_NAME],
            ),
        )
        return [to_listed(point.id, point.payload, point.vector, vector) for point in found.points]

    def vectors(self, generation: str, ids: Sequence[str]) -> dict[str, Vector]:
        """See Gallery."""
        self._dim(generation)
        found: dict[str, Vector] = {}
        for start in range(0, len(ids), CHUNK):
            records = self._records(generation, ids[start : start + CHUNK], [VECTOR_NAME])
            found |= {str(record.id): to_vector(record.id, record.vector) for record in records}
        return found

    def points(self, generation: str, ids: Sequence[str]) -> list[GalleryPoint]:
        """See Gallery."""
        self._dim(generation)
        names = [VECTOR_NAME, WORDS_NAME] if generation in self._worded else [VECTOR_NAME]
        found: list[GalleryPoint] = []
        for start in range(0, len(ids), CHUNK):
            records = self._records(generation, ids[start : start + CHUNK], names, payload=True)
            found += [to_stored(record.id, record.payload, record.vector) for record in records]
        return found

    def ids(self, generation: str) -> set[str]:
        """See Gallery."""
        self._dim(generation)
        found: set[str] = set()
        offset: models.ExtendedPointId | None = None
        while True:
            records, offset = self._page(generation, offset)
            found.update(str(record.id) for record in records)
            if offset is None:
                return found

    def count(self, generation: str) -> int:
        """See Gallery."""
        self._dim(generation)
        return self._ask(generation, lambda client: client.count(generation, exact=True).count)

    def disk_bytes(self, generation: str) -> None:
        """See Gallery. The server's disk is not this host's."""

    def optimize(self, generation: str) -> None:
        """See Gallery. A server indexes by itself while it serves searches: this waits until it is done."""
        self._dim(generation)
        while True:
            status = self._ask(generation, lambda client: client.get_collection(generation).status)
            if status == models.CollectionStatus.RED:
                place = self._connection.address
                raise GalleryError(f"The Qdrant server at {place} could not index {generation}: see its log.")
            if status != models.CollectionStatus.YELLOW:
                return
            time.sleep(_POLL)

    def release(self, generation: str) -> None:
        """Nothing to do: all processes share a server."""

    def drop(self, generation: str) -> None:
        """See Gallery."""
        checked_name(generation)
        self._ask(generation, lambda client: client.delete_collection(generation), writes=True)
        self._forget(generation)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def _ask(self, generation: str, ask: Callable[[QdrantClient], T], *, writes: bool = False) -> T:
        """See Connection.call. Every call of this class goes through it, and may be retried."""
        try:
            return self._connection.call(generation, ask, writes=writes)
        except GalleryMismatchError:  # dropped by another process after it was looked up
            self._forget(generation)
            raise

    def _make(self, client: QdrantClient, generation: str, dim: int) -> None:
        chosen = self._options
        # `on_disk` is the older name of `memory`, which servers before 1.20 don't know.
        on_disk = chosen.on_disk or None
        index = models.SparseIndexParams(on_disk=True) if on_disk else None
        # Quantized vectors are what is searched, so they stay in memory even where the original vectors don't.
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        try:
            client.create_collection(
                generation,
                vectors_config={
                    VECTOR_NAME: models.VectorParams(size=dim, distance=models.Distance.COSINE, on_disk=on_disk)
                },
                sparse_vectors_config={
                    WORDS_NAME: models.SparseVectorParams(modifier=models.Modifier.IDF, index=index)
                },
                shard_number=chosen.shards,
                replication_factor=chosen.replicas,
                quantization_config=models.ScalarQuantization(scalar=int8) if chosen.quantized else None,
            )
        except Exception as error:
            refusal = refusal_of(error)
            # Another process created it, or an earlier try whose response was lost: that is as good.
            if refusal is None or (refusal.status != 409 and "already exists" not in refusal.text):
                raise

    def _write(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        chunk = [_to_point(point) for point in points]
        self._ask(
            generation,
            lambda client: client.upsert(generation, chunk, wait=True, ordering=self._ordering),
            writes=True,
        )

    def _remove(self, generation: str, ids: Sequence[str]) -> None:
        selector = models.PointIdsList(points=list(ids))
        self._ask(
            generation,
            lambda client: client.delete(generation, points_selector=selector, wait=True, ordering=self._ordering),
            writes=True,
        )

    def _records(
        self, generation: str, ids: Sequence[str], names: list[str], *, payload: bool = False
    ) -> list[models.Record]:
        return self._ask(
            generation,
            lambda client: client.retrieve(generation, list(ids), with_payload=payload, with_vectors=names),
        )

    def _page(
        self, generation: str, offset: models.ExtendedPointId | None
    ) -> tuple[list[models.Record], models.ExtendedPointId | None]:
        return self._ask(
            generation,
            lambda client: client.scroll(generation, limit=PAGE, offset=offset, with_payload=False, with_vectors=False),
        )

    def _dim(self, generation: str) -> int:
        """The generation's dimension, cached; raises GalleryMismatchError when there is no such generation."""
        if (known := self._dims.get(generation)) is not None:
            return known
        checked_name(generation)
        address = self._connection.address
        if not self._ask(generation, lambda client: client.collection_exists(generation)):
            raise unknown_generation(generation, address)
        info = self._ask(generation, lambda client: client.get_collection(generation))
        vectors = info.config.params.vectors
        if not isinstance(vectors, dict) or VECTOR_NAME not in vectors:
            raise GalleryMismatchError(f"{generation} at {address} has no vector named {VECTOR_NAME!r}.")
        if WORDS_NAME in (info.config.params.sparse_vectors or {}):
            self._worded.add(generation)
        if PRODUCT in (info.payload_schema or {}):
            self._indexed.add(generation)
        return self._dims.setdefault(generation, vectors[VECTOR_NAME].size)

    def _ensure_index(self, generation: str) -> None:
        """Index the products. A filter finds the same without, but reads every point, and strict servers refuse it."""
        if generation in self._indexed or self._connection.local:
            return
        keyword = models.PayloadSchemaType.KEYWORD
        # An existing index is no error. Not waited for: in a large generation it takes longer than a call may.
        self._ask(
            generation,
            lambda client: client.create_payload_index(generation, PRODUCT, keyword, wait=False),
            writes=True,
        )
        self._indexed.add(generation)

    def _ensure_words(self, generation: str) -> None:
        """Add the sparse vector for words to a generation that was created before there were words.

        Only once there are words to write or to search for: until then no right to change a collection is needed, and
        a server that can't add it will do. Raises GalleryMismatchError for such a server.
        """
        if generation in self._worded:
            return
        self._ask(generation, lambda client: self._add_words(client, generation), writes=True)
        self._worded.add(generation)

    def _add_words(self, client: QdrantClient, generation: str) -> None:
        added = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))
        try:
            # Another process may have added it already: that is no error.
            client.create_vector_name(generation, WORDS_NAME, added)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None or refusal.status not in (404, 405) or generation in refusal.text:
                raise
            # The collection is there, the request is unknown.
            raise GalleryMismatchError(
                f"{generation} was made without visual words, and the Qdrant server at {self._connection.address} "
                "can't add them (1.18 and later can): update the server, or re-embed into a new generation."
            ) from error

    def _forget(self, generation: str) -> None:
        """Clear what is cached of a generation."""
        self._dims.pop(generation, None)
        self._worded.discard(generation)
        self._indexed.discard(generation)


def _to_point(point: GalleryPoint) -> models.PointStruct:
    payload = {"sku": point.sku, "product": point.product}
    vectors: dict[str, Any] = {VECTOR_NAME: point.vector.tolist()}
    if point.words:
        vectors[WORDS_NAME] = _to_sparse(point.words)
    return models.PointStruct(id=point.id, vector=vectors, payload=payload)


def _to_sparse(words: VisualWords) -> models.SparseVector:
    return models.SparseVector(indices=words.indexes.tolist(), values=words.values.tolist())


def _only_of(products: Collection[str] | None) -> models.Filter | None:
    if products is None:
        return None
    return models.Filter(must=[models.FieldCondition(key=PRODUCT, match=models.MatchAny(any=list(products)))])

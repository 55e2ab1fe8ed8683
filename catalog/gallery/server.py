"""The gallery on a Qdrant server or cluster (or, in tests, in qdrant-client's local mode)."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from catalog.errors import CatalogError, GalleryError, GalleryMismatchError, GalleryUnavailableError
from catalog.gallery import (
    CHUNK,
    PAGE,
    PREFETCH,
    PRODUCT,
    RRF_K,
    RRF_WEIGHTS,
    VECTOR_NAME,
    WORDS_NAME,
    GalleryPoint,
    Hit,
    Vector,
    check_vectors,
    check_words,
    checked_name,
    is_generation,
    to_hit,
    to_listed,
    unknown_generation,
)

if TYPE_CHECKING:
    from embedder.words import Words

# Seconds between two looks at a server that is indexing.
_POLL = 0.5

# How widely the graph is searched: at 50,000 x 256 (measured) the default of 100 found 88 % of the true 20 nearest of
# clustered vectors, this 94 % for 0.3 ms more; the nearest one was always found.
_PARAMS = models.SearchParams(hnsw_ef=256)


class ServerGallery:
    """A Gallery by a QdrantClient; `address` is how messages name the server."""

    def __init__(self, client: QdrantClient, address: str = "local mode") -> None:
        self._client = client
        self._address = address
        # A generation's dimension never changes: its bundle decides it.
        self._dims: dict[str, int] = {}
        # Those that are known to have the sparse vector; that doesn't change either.
        self._worded: set[str] = set()
        # Likewise, the index on products.
        self._indexed: set[str] = set()
        # The client is thread-safe over a network. In local mode it is not: searches fail while points are written.
        local = client.init_options.get("location") == ":memory:"
        self._turn: AbstractContextManager[object] = threading.RLock() if local else nullcontext()
        # Local mode always scans, and warns about parameters that it has no use for.
        self._params = None if local else _PARAMS

    @classmethod
    def open(cls, url: str, api_key: str | None, timeout: float) -> ServerGallery:
        """A gallery at http(s)://HOST[:6333], not yet called; `timeout` in seconds a call, rounded up to whole ones."""
        # The key goes in as a header: given as `api_key` it makes the client warn about plain http, which is what a
        # server on a private network speaks. The version check is a call, and would be made before anybody asked.
        headers = {"api-key": api_key} if api_key else None
        client = QdrantClient(url=url, headers=headers, timeout=math.ceil(timeout), check_compatibility=False)
        return cls(client, url)

    def create(self, generation: str, dim: int) -> None:
        """See Gallery."""
        checked_name(generation)
        with self._calling(generation):
            if not self._client.collection_exists(generation):
                vectors = {VECTOR_NAME: models.VectorParams(size=dim, distance=models.Distance.COSINE)}
                words = {WORDS_NAME: models.SparseVectorParams(modifier=models.Modifier.IDF)}
                try:
                    self._client.create_collection(generation, vectors_config=vectors, sparse_vectors_config=words)
                except UnexpectedResponse as error:
                    # 409: another process made it between the two calls, which is as good.
                    if error.status_code != 409:
                        raise
                self._forget(generation)
        existing = self._dim(generation)
        if existing != dim:
            raise GalleryMismatchError(f"{generation} exists for vectors of {existing} numbers, not {dim}.")
        self._ensure_index(generation)

    def generations(self) -> list[str]:
        """See Gallery."""
        with self._calling("generations"):
            collections = self._client.get_collections().collections
        return sorted(collection.name for collection in collections if is_generation(collection.name))

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """See Gallery. Returns when the server has applied all of it."""
        check_vectors(generation, self._dim(generation), (point.vector for point in points))
        check_words(generation, (point.words for point in points))
        if any(point.words for point in points):
            self._ensure_words(generation)
        for start in range(0, len(points), CHUNK):
            with self._calling(generation):
                chunk = [_to_point(point) for point in points[start : start + CHUNK]]
                self._client.upsert(generation, chunk, wait=True)

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """See Gallery. Returns when the server has applied all of it."""
        self._dim(generation)
        for start in range(0, len(ids), PAGE):
            selector = models.PointIdsList(points=list(ids[start : start + PAGE]))
            with self._calling(generation):
                self._client.delete(generation, points_selector=selector, wait=True)

    def search(
        self, generation: str, vector: Vector, limit: int, *, products: Collection[str] | None = None
    ) -> list[Hit]:
        """See Gallery. Exact below the server's indexing threshold, near exact above it."""
        check_vectors(generation, self._dim(generation), [vector])
        if limit < 1 or (products is not None and not products):
            return []
        with self._calling(generation):
            found = self._client.query_points(
                generation,
                query=vector.tolist(),
                using=VECTOR_NAME,
                limit=limit,
                query_filter=_only_of(products),
                with_payload=True,
                search_params=self._params,
            )
        return [to_hit(point.id, point.payload, point.score) for point in found.points]

    def shortlist(
        self,
        generation: str,
        vector: Vector,
        words: Words | None,
        limit: int,
        *,
        products: Collection[str] | None = None,
    ) -> list[Hit]:
        """See Gallery. By vector as near to exact as `search`, by words exact. Needs Qdrant 1.17 or later."""
        check_words(generation, [words])
        if not words or limit < 1 or (products is not None and not products):
            return self.search(generation, vector, limit, products=products)
        check_vectors(generation, self._dim(generation), [vector])
        self._ensure_words(generation)
        most, only = PREFETCH * limit, _only_of(products)
        near = models.Prefetch(query=vector.tolist(), using=VECTOR_NAME, limit=most, filter=only, params=self._params)
        alike = models.Prefetch(query=_to_sparse(words), using=WORDS_NAME, limit=most, filter=only)
        with self._calling(generation):
            found = self._client.query_points(
                generation,
                query=models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=list(RRF_WEIGHTS))),
                prefetch=[near, alike],
                limit=limit,
                with_payload=True,
                with_vectors=[VECTOR_NAME],
            )
        return [to_listed(point.id, point.payload, point.vector, vector) for point in found.points]

    def ids(self, generation: str) -> set[str]:
        """See Gallery."""
        self._dim(generation)
        found: set[str] = set()
        offset: models.ExtendedPointId | None = None
        while True:
            with self._calling(generation):
                records, offset = self._client.scroll(
                    generation, limit=PAGE, offset=offset, with_payload=False, with_vectors=False
                )
            found.update(str(record.id) for record in records)
            if offset is None:
                return found

    def count(self, generation: str) -> int:
        """See Gallery."""
        self._dim(generation)
        with self._calling(generation):
            return self._client.count(generation, exact=True).count

    def optimize(self, generation: str) -> None:
        """See Gallery. A server indexes by itself, beside its searches: this waits until it is done."""
        self._dim(generation)
        while True:
            with self._calling(generation):
                status = self._client.get_collection(generation).status
            if status == models.CollectionStatus.RED:
                raise GalleryError(f"The Qdrant server at {self._address} could not index {generation}: see its log.")
            if status != models.CollectionStatus.YELLOW:
                return
            time.sleep(_POLL)

    def release(self, generation: str) -> None:
        """Nothing to do: a server is open to all."""

    def drop(self, generation: str) -> None:
        """See Gallery."""
        checked_name(generation)
        with self._calling(generation):
            self._client.delete_collection(generation)
        self._forget(generation)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _dim(self, generation: str) -> int:
        """The generation's dimension, asked for once; raises GalleryMismatchError when there is no such generation."""
        if (known := self._dims.get(generation)) is not None:
            return known
        checked_name(generation)
        with self._calling(generation):
            if not self._client.collection_exists(generation):
                raise unknown_generation(generation, self._address)
            info = self._client.get_collection(generation)
        params = info.config.params
        vectors = params.vectors
        if not isinstance(vectors, dict) or VECTOR_NAME not in vectors:
            raise GalleryMismatchError(f"{generation} at {self._address} has no vector named {VECTOR_NAME!r}.")
        if WORDS_NAME in (params.sparse_vectors or {}):
            self._worded.add(generation)
        if PRODUCT in (info.payload_schema or {}):
            self._indexed.add(generation)
        return self._dims.setdefault(generation, vectors[VECTOR_NAME].size)

    def _ensure_index(self, generation: str) -> None:
        """Index the products: a filter finds the same without, but reads every point, and strict servers refuse it."""
        if generation in self._indexed or self._client.init_options.get("location") == ":memory:":
            return
        # One that is there already is no error. Not waited for: in a large generation it takes longer than a call may.
        with self._calling(generation):
            self._client.create_payload_index(generation, PRODUCT, models.PayloadSchemaType.KEYWORD, wait=False)
        self._indexed.add(generation)

    def _ensure_words(self, generation: str) -> None:
        """Give a generation that was made before there were words the sparse vector for them.

        Only once words are there to write or to look for: what does without needs no right to change a collection, and
        works on a server that can't. Raises GalleryMismatchError for such a server.
        """
        if generation in self._worded:
            return
        added = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))
        with self._calling(generation):
            try:
                # One that is there already, from another process, is no error.
                self._client.create_vector_name(generation, WORDS_NAME, added)
            except UnexpectedResponse as error:
                if error.status_code not in (404, 405) or generation.encode() in error.content:
                    raise
                # The collection is there, the request is unknown.
                raise GalleryMismatchError(
                    f"{generation} was made without visual words, and the Qdrant server at {self._address} can't add "
                    "them (1.18 and later can): update the server, or re-embed into a new generation."
                ) from error
        self._worded.add(generation)

    def _forget(self, generation: str) -> None:
        """Ask anew for what was known of a generation."""
        self._dims.pop(generation, None)
        self._worded.discard(generation)
        self._indexed.discard(generation)

    @contextmanager
    def _calling(self, generation: str) -> Iterator[None]:
        """Around every call: what the client raises becomes a GalleryError that names the address."""
        place = f"The Qdrant server at {self._address}"
        try:
            with self._turn:
                yield
        except CatalogError:
            raise
        except UnexpectedResponse as error:
            raise self._refusal(generation, error) from error
        except (ResponseHandlingException, ResourceExhaustedResponse) as error:
            raise GalleryUnavailableError(f"{place} does not answer: {error}") from error
        except Exception as error:
            raise GalleryError(f"{place}, {generation}: {error}") from error

    def _refusal(self, generation: str, error: UnexpectedResponse) -> GalleryError:
        """What an HTTP status other than success means."""
        place, status = f"The Qdrant server at {self._address}", error.status_code or 0
        if status == 404 and generation.encode() in error.content:
            # Dropped by another process after it was looked up.
            self._forget(generation)
            return unknown_generation(generation, self._address)
        if status in (401, 403):
            return GalleryError(f"{place} refuses the API key (status {status}).")
        if status in (404, 429) or status >= 500:
            # A 404 that doesn't speak of the collection comes from a proxy, or from something that is no Qdrant.
            return GalleryUnavailableError(f"{place} can't be used now (status {status}).")
        return GalleryError(f"{place} did not accept a request for {generation}: {error}")


def _to_point(point: GalleryPoint) -> models.PointStruct:
    payload = {"sku": point.sku, "product": point.product}
    vectors: dict[str, Any] = {VECTOR_NAME: point.vector.tolist()}
    if point.words:
        vectors[WORDS_NAME] = _to_sparse(point.words)
    return models.PointStruct(id=point.id, vector=vectors, payload=payload)


def _to_sparse(words: Words) -> models.SparseVector:
    return models.SparseVector(indices=words.indexes.tolist(), values=words.values.tolist())


def _only_of(products: Collection[str] | None) -> models.Filter | None:
    if products is None:
        return None
    return models.Filter(must=[models.FieldCondition(key=PRODUCT, match=models.MatchAny(any=list(products)))])

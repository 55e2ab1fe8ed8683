"""The embedded gallery: Qdrant's engine inside this process, one shard (a folder) for each generation."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qdrant_edge import (
    CountRequest,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    Fusion,
    Modifier,
    Point,
    Prefetch,
    Query,
    QueryRequest,
    ScrollRequest,
    SearchParams,
    SparseVector,
    UpdateOperation,
)

from catalog.errors import CatalogError, GalleryError, GalleryLockedError, GalleryMismatchError
from catalog.gallery import (
    CHUNK,
    PAGE,
    PREFETCH,
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
from catalog.gallery.room import check_room

if TYPE_CHECKING:
    from qdrant_edge import NamedVector, PointId  # Only the stub has them.

    from embedder.words import Words

# A scan of everything. An HNSW graph saved 1.3 of 3.2 ms at 50,000 x 256 (measured) and lost 6 to 50 % of the true 20
# nearest; a gallery that has outgrown a scan has outgrown the embedded engine.
_EXACT = SearchParams(exact=True)

# Begins the name of a generation's folder while a copy with words takes its place.
_REPLACED = ".replaced-"


@dataclass(slots=True)
class _Slot:
    """What this process holds of one generation: its file lock, and the shard while it is open."""

    # One call at a time on a shard. That costs nothing: qdrant-edge 0.9.0 holds Python's global lock during every call
    # (measured), so calls never overlap anyway; and a shard is never closed below a search.
    turn: threading.RLock = field(default_factory=threading.RLock)
    file_lock: int | None = None
    shard: EdgeShard | None = None
    dim: int = 0
    pid: int = 0


class EdgeGallery:
    """A Gallery in the folder `root`. Each generation is open in one process at a time, others may be open elsewhere.

    A generation that another process holds is waited for up to `lock_wait` seconds; then GalleryLockedError names the
    holder. The lock ends with its process, however that ends. Fork before the first use: an open shard can't be shared.
    """

    def __init__(self, root: Path, lock_wait: float = 2.0) -> None:
        self._root = root
        self._lock_wait = lock_wait
        self._slots: dict[str, _Slot] = {}
        self._slots_lock = threading.Lock()

    def create(self, generation: str, dim: int) -> None:
        """See Gallery. A process that is killed half-way leaves what the next call mends."""
        with self._turn(generation) as slot:
            if slot.shard is None:
                self._open(generation, slot, create=dim)
            if slot.dim != dim:
                raise GalleryMismatchError(f"{generation} exists for vectors of {slot.dim} numbers, not {dim}.")

    def generations(self) -> list[str]:
        """See Gallery. What a killed create or drop left is not among them."""
        # One that is being replaced by its copy with words has no folder of its name for a moment (see _add_words).
        names = {path.name.removeprefix(_REPLACED) for path in self._root.glob("*") if path.is_dir()}
        return sorted(filter(is_generation, names))

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        """See Gallery. On return the points are safe from a power cut too."""
        with self._opened(generation) as (_, dim):
            check_vectors(generation, dim, (point.vector for point in points))
            check_words(generation, (point.words for point in points))
        # The turn is taken anew for each chunk, so that searches get through while thousands of points are written.
        for start in range(0, len(points), CHUNK):
            with self._opened(generation) as (shard, _):
                check_room(self._root)
                chunk = [_to_point(point) for point in points[start : start + CHUNK]]
                shard.update(UpdateOperation.upsert_points(chunk))
                # An update alone survives kill -9, not a power cut: it syncs nothing to disk (traced). A flush costs 3
                # to 8 ms in the median (50 on a busy disk), so that every acknowledged write can have one.
                if start + CHUNK >= len(points):
                    shard.flush()

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        """See Gallery. On return they are gone for good, power cut or not."""
        point_ids: list[PointId] = list(ids)
        with self._opened(generation) as (shard, _):
            check_room(self._root)
            shard.update(UpdateOperation.delete_points(point_ids))
            shard.flush()

    def search(self, generation: str, vector: Vector, limit: int) -> list[Hit]:
        """See Gallery. Exact: 0.2 ms at 3,000, 1.3 at 20,000, 3.2 at 50,000 vectors of 256 (measured, one core)."""
        with self._opened(generation) as (shard, dim):
            check_vectors(generation, dim, [vector])
            query = Query.Nearest(vector.tolist(), using=VECTOR_NAME)
            found = shard.query(QueryRequest(limit=limit, query=query, with_payload=True, params=_EXACT))
        return [to_hit(point.id, point.payload, point.score) for point in found]

    def shortlist(self, generation: str, vector: Vector, words: Words | None, limit: int) -> list[Hit]:
        """See Gallery. Exact in both lists."""
        check_words(generation, [words])
        if not words or limit < 1:
            return self.search(generation, vector, limit)
        with self._opened(generation) as (shard, dim):
            check_vectors(generation, dim, [vector])
            near = Query.Nearest(vector.tolist(), using=VECTOR_NAME)
            alike = Query.Nearest(_to_sparse(words), using=WORDS_NAME)
            lists = [Prefetch(limit=PREFETCH * limit, query=query, params=_EXACT) for query in (near, alike)]
            request = QueryRequest(
                limit=limit,
                query=Fusion.Rrf(k=RRF_K, weights=list(RRF_WEIGHTS)),  # type: ignore[arg-type]  # in the stub it is none
                prefetches=lists,
                with_payload=True,
                with_vector=[VECTOR_NAME],
            )
            found = shard.query(request)
        return [to_listed(point.id, point.payload, point.vector, vector) for point in found]

    def ids(self, generation: str) -> set[str]:
        """See Gallery."""
        found: set[str] = set()
        offset: PointId | None = None
        while True:
            with self._opened(generation) as (shard, _):
                records, offset = shard.scroll(ScrollRequest(offset=offset, limit=PAGE, with_payload=False))
            found.update(str(record.id) for record in records)
            if offset is None:
                return found

    def count(self, generation: str) -> int:
        """See Gallery."""
        with self._opened(generation) as (shard, _):
            return shard.count(CountRequest(exact=True))

    def optimize(self, generation: str) -> None:
        """Merge segments and purge deleted points; every thread of this process stands still until it is done."""
        with self._opened(generation) as (shard, _):
            shard.optimize()
            shard.flush()

    def release(self, generation: str) -> None:
        """Flush, close and unlock the generation, so that another process may open it."""
        with self._turn(generation) as slot:
            _close(slot)

    def drop(self, generation: str) -> None:
        """See Gallery. Raises GalleryLockedError while another process has it open."""
        with self._turn(generation) as slot:
            folder = self._root / generation
            if not self._there(generation) and not any(path.exists() for path in self._leftovers(generation)):
                return
            if slot.shard is None:
                slot.file_lock = self._lock(generation)
            else:
                slot.shard.close()
                slot.shard = None
            try:
                self._sweep(generation)
                # Gone in one step: a process that is killed while it deletes leaves no half generation behind.
                if folder.is_dir():
                    folder.rename(self._leftovers(generation)[1])
                    _sync(self._root)
                self._sweep(generation)
            finally:
                _close(slot)

    def close(self) -> None:
        """Release every generation."""
        for generation in list(self._slots):
            self.release(generation)

    @contextmanager
    def _turn(self, generation: str) -> Iterator[_Slot]:
        """This thread's turn on a generation; what the library raises becomes a GalleryError."""
        checked_name(generation)
        with self._slots_lock:
            slot = self._slots.setdefault(generation, _Slot())
        with slot.turn:
            if slot.shard is not None and slot.pid != os.getpid():
                raise GalleryError(
                    f"{generation} was opened before this process was forked, and can't be used in both."
                )
            try:
                yield slot
            except CatalogError:
                raise
            except BaseException as error:
                # The library raises plain Exception; a panic in Rust arrives as PanicException, which is not one.
                if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                    raise GalleryError(f"{generation} in {self._root}: {error}") from error
                raise

    @contextmanager
    def _opened(self, generation: str) -> Iterator[tuple[EdgeShard, int]]:
        """The open shard and its dimension, for this thread's turn."""
        with self._turn(generation) as slot:
            shard = slot.shard or self._open(generation, slot)
            yield shard, slot.dim

    def _open(self, generation: str, slot: _Slot, create: int | None = None) -> EdgeShard:
        """Lock and load a generation; with `create` (a dimension) make it when there is none."""
        folder = self._root / generation
        if create is None and not self._there(generation):
            raise unknown_generation(generation, str(self._root))
        self._root.mkdir(parents=True, exist_ok=True)
        check_room(self._root)
        slot.file_lock = self._lock(generation)
        try:
            self._sweep(generation)
            if create is not None and not folder.is_dir():
                self._build(generation, create)
            if not folder.is_dir():  # Dropped while this process waited for the lock.
                raise unknown_generation(generation, str(self._root))
            # A shard can't be asked for its vectors; the library keeps them here.
            config = json.loads((folder / "edge_config.json").read_text())
            if WORDS_NAME not in config["sparse_vectors"]:
                self._add_words(generation)
            slot.shard = EdgeShard.load(str(folder))
            slot.dim = config["vectors"][VECTOR_NAME]["size"]
            slot.pid = os.getpid()
        except BaseException:
            _close(slot)
            raise
        return slot.shard

    def _build(self, generation: str, dim: int) -> None:
        # Made aside and renamed: a folder that has the generation's name is always whole.
        unfinished = self._leftovers(generation)[0]
        unfinished.mkdir()
        vectors = {VECTOR_NAME: EdgeVectorParams(size=dim, distance=Distance.Cosine)}
        words = {WORDS_NAME: EdgeSparseVectorParams(modifier=Modifier.Idf)}
        shard = EdgeShard.create(str(unfinished), EdgeConfig(vectors=vectors, sparse_vectors=words))
        shard.flush()
        shard.close()
        unfinished.rename(self._root / generation)
        _sync(self._root)

    def _add_words(self, generation: str) -> None:
        """Give a generation that was made before there were words the sparse vector for them.

        In a copy that takes its place when it is done: the library changes one segment after the other, and a shard of
        which a killed process has changed some can't be loaded any more (seen in qdrant-edge 0.9.0).
        """
        folder, replaced, unfinished = (
            self._root / generation,
            self._replaced(generation),
            self._leftovers(generation)[0],
        )
        shutil.copytree(folder, unfinished, copy_function=_copy)
        shard = EdgeShard.load(str(unfinished))
        shard.update(UpdateOperation.create_sparse_vector(WORDS_NAME, modifier=Modifier.Idf))
        shard.flush()
        shard.close()
        for path in (unfinished, *unfinished.rglob("*")):
            _sync(path)
        folder.rename(replaced)
        unfinished.rename(folder)
        _sync(self._root)
        shutil.rmtree(replaced)

    def _there(self, generation: str) -> bool:
        """Whether there is such a generation, be it that a killed process was about to replace it."""
        return (self._root / generation).is_dir() or self._replaced(generation).is_dir()

    def _replaced(self, generation: str) -> Path:
        """Where a generation is while its copy takes its place."""
        return self._root / f"{_REPLACED}{generation}"

    def _leftovers(self, generation: str) -> tuple[Path, Path]:
        """Folders that a killed create or drop leaves behind."""
        return self._root / f".new-{generation}", self._root / f".dropped-{generation}"

    def _sweep(self, generation: str) -> None:
        """Remove leftovers. Only under the lock: they may be another process's work in progress."""
        folder, replaced = self._root / generation, self._replaced(generation)
        if replaced.is_dir():
            if folder.is_dir():
                shutil.rmtree(replaced)
            else:
                replaced.rename(folder)
        for path in self._leftovers(generation):
            if path.exists():
                shutil.rmtree(path)

    def _lock(self, generation: str) -> int:
        """A descriptor that holds root/<generation>.lock; raises GalleryLockedError naming the holder.

        The file stays behind when the lock is released: removing it would let two processes lock two files.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._root / f"{generation}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + self._lock_wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
                    os.close(descriptor)
                    raise GalleryLockedError(
                        f"{generation} in {self._root} is open in another process ({holder or 'unknown'}): "
                        "stop it, or use its API."
                    ) from None
                time.sleep(0.05)
        about = f"pid {os.getpid()}: {' '.join(shlex.join(sys.orig_argv).split())[:300]}".encode()
        os.pwrite(descriptor, about, 0)
        os.ftruncate(descriptor, len(about))
        return descriptor


def _close(slot: _Slot) -> None:
    """Flush and close the shard, then let go of the file lock."""
    try:
        if slot.shard is not None:
            slot.shard.flush()
            slot.shard.close()
    finally:
        slot.shard = None
        if slot.file_lock is not None:
            # Closing alone would leave it locked while a forked child has a copy of the descriptor.
            fcntl.flock(slot.file_lock, fcntl.LOCK_UN)
            os.close(slot.file_lock)
            slot.file_lock = None


def _copy(source: str, target: str) -> None:
    """Copy a file without its empty blocks: the library reserves 32 MB a file, and uses little of it at first."""
    empty = bytes(1 << 16)
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while block := reader.read(len(empty)):
            if block == empty:
                writer.seek(len(block), os.SEEK_CUR)
            else:
                writer.write(block)
        writer.truncate()


def _sync(path: Path) -> None:
    """Make a file's content, or a rename inside a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _to_point(point: GalleryPoint) -> Point:
    # A list, not the array: the library would walk the array by Python's slow sequence protocol.
    vectors: dict[str, NamedVector] = {VECTOR_NAME: point.vector.tolist()}
    if point.words:
        vectors[WORDS_NAME] = _to_sparse(point.words)
    return Point(point.id, vectors, {"sku": point.sku, "product": point.product})


def _to_sparse(words: Words) -> SparseVector:
    return SparseVector(words.indexes.tolist(), words.values.tolist())

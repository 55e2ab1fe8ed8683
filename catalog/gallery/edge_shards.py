"""Files of the embedded gallery: one folder and one lock file per generation, created, repaired and removed."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qdrant_edge import (
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    Modifier,
    PayloadSchemaType,
    UpdateOperation,
)

from catalog.durable_files import sync_folder
from catalog.errors import CatalogError, GalleryError, GalleryLockedError
from catalog.gallery.collection_schema import (
    PRODUCT,
    VECTOR_NAME,
    WORDS_NAME,
    checked_name,
    is_generation,
    unknown_generation,
)
from catalog.gallery.edge_disk import check_room

# Prefix of a generation's folder while a copy with words takes its place.
_REPLACED = ".replaced-"


@dataclass(slots=True)
class Slot:
    """What this process has of one generation: its file lock, and the shard while it is open."""

    # One call at a time on a shard. That costs nothing: qdrant-edge 0.9.0 holds the GIL during every call (measured),
    # so calls never overlap anyway; and a shard is never closed during a search.
    turn: threading.RLock = field(default_factory=threading.RLock)
    file_lock: int | None = None
    shard: EdgeShard | None = None
    dim: int = 0
    pid: int = 0


class Shards:
    """The shards below the folder `root`, each open in one process at a time (see EdgeGallery)."""

    def __init__(self, root: Path, lock_wait: float) -> None:
        self.root = root
        self._lock_wait = lock_wait
        self._slots: dict[str, Slot] = {}
        self._slots_lock = threading.Lock()

    def names(self) -> list[str]:
        """Existing generations, sorted. Leftovers of a killed create or drop are not among them."""
        # A generation that its copy with words is replacing has no folder of its name for a moment (see _add_words).
        names = {path.name.removeprefix(_REPLACED) for path in self.root.glob("*") if path.is_dir()}
        return sorted(filter(is_generation, names))

    def create(self, generation: str, dim: int) -> int:
        """Create a generation for vectors [dim] unless it exists; returns the dimension that it has."""
        with self._turn(generation) as slot:
            if slot.shard is None:
                self._open(generation, slot, create=dim)
            return slot.dim

    @contextmanager
    def opened(self, generation: str) -> Iterator[tuple[EdgeShard, int]]:
        """The open shard and its dimension, for this thread alone until the block ends."""
        with self._turn(generation) as slot:
            shard = slot.shard or self._open(generation, slot)
            yield shard, slot.dim

    def release(self, generation: str) -> None:
        """Flush, close and unlock one generation."""
        with self._turn(generation) as slot:
            _close(slot)

    def release_all(self) -> None:
        """Flush, close and unlock all that this process has open."""
        for generation in list(self._slots):
            self.release(generation)

    def drop(self, generation: str) -> None:
        """Remove a generation, if it exists. Raises GalleryLockedError while another process has it open."""
        with self._turn(generation) as slot:
            folder = self.root / generation
            if not self._there(generation) and not any(path.exists() for path in self._leftovers(generation)):
                return
            if slot.shard is None:
                slot.file_lock = self._lock(generation)
            else:
                slot.shard.close()
                slot.shard = None
            try:
                self._sweep(generation)
                # Atomic: a process that is killed while it deletes leaves no half generation behind.
                if folder.is_dir():
                    folder.rename(self._leftovers(generation)[1])
                    sync_folder(self.root)
                self._sweep(generation)
            finally:
                _close(slot)

    @contextmanager
    def _turn(self, generation: str) -> Iterator[Slot]:
        """Lock a generation among this process's threads; what the library raises becomes a GalleryError."""
        checked_name(generation)
        with self._slots_lock:
            slot = self._slots.setdefault(generation, Slot())
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
                    raise GalleryError(f"{generation} in {self.root}: {error}") from error
                raise

    def _open(self, generation: str, slot: Slot, create: int | None = None) -> EdgeShard:
        """Lock and load a generation; with `create` (a dimension) create it if it is missing."""
        folder = self.root / generation
        if create is None and not self._there(generation):
            raise unknown_generation(generation, str(self.root))
        self.root.mkdir(parents=True, exist_ok=True)
        check_room(self.root)
        slot.file_lock = self._lock(generation)
        try:
            self._sweep(generation)
            if create is not None and not folder.is_dir():
                self._build(generation, create)
            if not folder.is_dir():  # Dropped while this process waited for the lock.
                raise unknown_generation(generation, str(self.root))
            # A shard has no API for its vectors' configuration; the library keeps it here.
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
        # Built under another name and renamed: a folder with the generation's name is always complete.
        unfinished = self._leftovers(generation)[0]
        unfinished.mkdir()
        vectors = {VECTOR_NAME: EdgeVectorParams(size=dim, distance=Distance.Cosine)}
        words = {WORDS_NAME: EdgeSparseVectorParams(modifier=Modifier.Idf)}
        shard = EdgeShard.create(str(unfinished), EdgeConfig(vectors=vectors, sparse_vectors=words))
        # Without this index a filter reads every point's payload: at 20,000 points 18 ms instead of 0.1 for ten
        # products. Older generations go without: they find the same.
        shard.update(UpdateOperation.create_field_index(PRODUCT, PayloadSchemaType.Keyword))
        shard.flush()
        shard.close()
        unfinished.rename(self.root / generation)
        sync_folder(self.root)

    def _add_words(self, generation: str) -> None:
        """Add the sparse vector for words to a generation that was created before there were words.

        In a copy that replaces it when it is done: the library changes one segment after the other, and a shard of
        which a killed process has changed some can't be loaded any more (seen in qdrant-edge 0.9.0).
        """
        folder, replaced, unfinished = (
            self.root / generation,
            self._replaced(generation),
            self._leftovers(generation)[0],
        )
        shutil.copytree(folder, unfinished, copy_function=_copy)
        shard = EdgeShard.load(str(unfinished))
        shard.update(UpdateOperation.create_sparse_vector(WORDS_NAME, modifier=Modifier.Idf))
        shard.flush()
        shard.close()
        for path in (unfinished, *unfinished.rglob("*")):
            sync_folder(path)
        folder.rename(replaced)
        unfinished.rename(folder)
        sync_folder(self.root)
        shutil.rmtree(replaced)

    def _there(self, generation: str) -> bool:
        """Whether the generation exists, even if a killed process was about to replace it."""
        return (self.root / generation).is_dir() or self._replaced(generation).is_dir()

    def _replaced(self, generation: str) -> Path:
        """Folder of a generation while its copy takes its place."""
        return self.root / f"{_REPLACED}{generation}"

    def _leftovers(self, generation: str) -> tuple[Path, Path]:
        """Folders that a killed create or drop leaves behind."""
        return self.root / f".new-{generation}", self.root / f".dropped-{generation}"

    def _sweep(self, generation: str) -> None:
        """Remove leftovers. Only under the lock: they may be another process's work in progress."""
        folder, replaced = self.root / generation, self._replaced(generation)
        if replaced.is_dir():
            if folder.is_dir():
                shutil.rmtree(replaced)
            else:
                replaced.rename(folder)
        for path in self._leftovers(generation):
            if path.exists():
                shutil.rmtree(path)

    def _lock(self, generation: str) -> int:
        """Lock root/<generation>.lock -> its descriptor; raises GalleryLockedError naming the holder.

        The file stays behind when the lock is released: removing it would let two processes lock two files.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / f"{generation}.lock", os.O_RDWR | os.O_CREAT, 0o644)
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
                        f"{generation} in {self.root} is open in another process ({holder or 'unknown'}): "
                        "stop it, or use its API."
                    ) from None
                time.sleep(0.05)
        about = f"pid {os.getpid()}: {' '.join(shlex.join(sys.orig_argv).split())[:300]}".encode(
            errors="backslashreplace"
        )
        os.pwrite(descriptor, about, 0)
        os.ftruncate(descriptor, len(about))
        return descriptor


def _close(slot: Slot) -> None:
    """Flush and close the shard, then release the file lock."""
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
    """Copy a file as a sparse one: the library reserves 32 MB per file, and uses little of it at first."""
    empty = bytes(1 << 16)
    with open(source, "rb") as reader, open(target, "wb") as writer:
        while block := reader.read(len(empty)):
            if block == empty:
                writer.seek(len(block), os.SEEK_CUR)
            else:
                writer.write(block)
        writer.truncate()

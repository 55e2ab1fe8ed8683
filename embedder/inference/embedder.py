"""Embedder: photos -> unit vectors, by a pool of LiteRT interpreters."""

from __future__ import annotations

import logging
import os
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images, matching
from embedder.bundle import Bundle, load_bundle
from embedder.errors import BundleError, ImageError
from embedder.inference import print_probe
from embedder.inference.litert import check_vectors, invoke, is_usable, open_interpreter
from embedder.inference.self_test import check_self_test
from embedder.matching import LocalFeatures, VisualWords, Vocabulary, reranker

log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")
#: Makes a context for one step of a longer work.
Step = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, eq=False)
class PhotoFeatures:
    """What a bundle extracts from a photo.

    `vector` float32 [dim] of unit length; `local` features and visual `words` where the bundle has a vocabulary.
    """

    vector: Vectors
    local: LocalFeatures | None = None
    words: VisualWords | None = None


class Embedder:
    """Serves one bundle. Safe to use from many threads at once.

    An interpreter is not thread-safe but releases Python's lock (GIL), so there is a pool of single-threaded ones, one
    for each core: a higher throughput than one interpreter of many threads. Raises BundleError.
    """

    def __init__(self, bundle: Bundle, workers: int | None = None) -> None:
        # Photos are handled side by side, each on a thread: OpenCV's own threads would only wait for cores, and spin.
        cv2.setNumThreads(1)
        self.bundle = bundle
        self.workers = workers or os.cpu_count() or 1
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(self.workers):
            self._free.put(open_interpreter(bundle))
        check_vectors(bundle, self._free.queue[0])
        check_self_test(bundle, self._free.queue[0])
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="embedder")
        # A separate pool: photos on `_pool` wait for their views, which would deadlock on the same pool.
        self._view_pool = ThreadPoolExecutor(self.workers, thread_name_prefix="embedder-view")
        if bundle.second_look is not None and not reranker.can_weigh(bundle.second_look):
            # A catalog that was made with an older version goes on, by the vector alone, until it moves to another.
            log.warning(
                "the second look of the bundle %s is of an older version: `embedder calibrate --details` fits it anew, "
                "`catalog reembed` moves to another bundle",
                bundle.id,
            )
            self.bundle = replace(bundle, second_look=None)
        self.vocabulary = Vocabulary.load(bundle.words_path) if bundle.words_path else None
        self._print_probe = print_probe.load(bundle)

    @classmethod
    def open(cls, path: Path, workers: int | None = None) -> Embedder:
        """Load and verify the bundle in a folder. Raises BundleError."""
        return cls(load_bundle(path), workers)

    def embed_one(self, pixels: images.Pixels) -> Vectors:
        """uint8 [size, size, 3] -> float32 [dim], unit length. Raises BundleError when the model gives no numbers."""
        interpreter = self._free.get()
        try:
            vector: Vectors = invoke(interpreter, pixels)
        finally:
            self._free.put(interpreter)
        if not is_usable(vector):
            raise BundleError(f"The bundle {self.bundle.id} gives a vector that is not finite.")
        return vector / np.linalg.norm(vector)

    def embed(self, photos: Sequence[images.Pixels]) -> Vectors:
        """n photos, uint8 [size, size, 3] each -> float32 [n, dim], unit length."""
        if not photos:
            return np.empty((0, self.bundle.dim), np.float32)
        if len(photos) == 1:
            return self.embed_one(photos[0])[np.newaxis]
        return np.stack(list(self._pool.map(self.embed_one, photos)))

    def map(self, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Like the built-in `map`, on this embedder's threads: to decode and embed in parallel."""
        return self._pool.map(call, items)

    def embed_bytes(self, data: bytes) -> Vectors:
        """The bytes of an image file -> float32 [dim], unit length: the mean of its views. Raises ImageError."""
        return self._embed(images.decode(data, want=self.bundle.size))

    def embed_picture(self, picture: Image.Image, *, step: Step | None = None) -> Vectors:
        """Upright RGB picture that was decoded for more than the vector -> float32 [dim], unit length.

        It is first halved as often as `decode` would have done for the vector alone. `step`: see `extract_reference`.
        """
        factor = min(min(picture.size) // (2 * self.bundle.size), images.MAX_REDUCTION)
        return self._embed(picture.reduce(1 << (factor.bit_length() - 1)) if factor > 1 else picture, step)

    def _embed(self, picture: Image.Image, step: Step | None = None) -> Vectors:

        def embed_view(name: str) -> Vectors:
            return self.embed_one(images.view(picture, self.bundle.size, name))

        first, *others = self.bundle.views
        if step is None:
            waiting = [self._view_pool.submit(embed_view, name) for name in others]
            vectors = [embed_view(first), *(view.result() for view in waiting)]
        else:
            with step():
                vectors = [embed_view(name) for name in self.bundle.views]
        mean: Vectors = np.mean(vectors, axis=0)
        return mean / np.linalg.norm(mean)

    def lacks_print(self, vector: Vectors) -> bool:
        """Whether what a photo shows has surely no print, by its vector (print_probe.py)."""
        return self._print_probe is not None and self._print_probe.lacks_print(vector)

    @property
    def reference_sides(self) -> tuple[int, ...]:
        """`wants` of `images.decode_each`, in pixels, for the pictures of `extract_reference`."""
        return (self.bundle.size, matching.REFERENCE.side) if self.bundle.has_words else (self.bundle.size,)

    def extract_reference(
        self,
        data: bytes,
        known: LocalFeatures | None = None,
        pictures: Sequence[Image.Image] = (),
        step: Step | None = None,
    ) -> PhotoFeatures:
        """Bytes of a reference photo -> all its features; `known` are its local features, if already extracted.

        `pictures` are those of `reference_sides`, where the caller has decoded it. `step`: all is done on this thread,
        one view after the other, and each step within one of these. Raises ImageError.
        """
        sides = self.reference_sides[:1] if known is not None else self.reference_sides
        if not pictures:
            with step() if step else nullcontext():
                pictures = images.decode_each(data, sides)
        vector = self._embed(pictures[0], step)
        if not self.bundle.has_words:
            return PhotoFeatures(vector)
        with step() if step else nullcontext():
            found = matching.detect(pictures[1], matching.REFERENCE) if known is None else known
            return PhotoFeatures(vector, *self._with_words(found))

    def extract_reference_local(self, data: bytes) -> tuple[LocalFeatures, VisualWords]:
        """Local features and words of a reference photo.

        Raises ImageError, and BundleError for a bundle without words.
        """
        return self._with_words(matching.extract(data, matching.REFERENCE))

    def extract_query(self, data: bytes) -> tuple[LocalFeatures, VisualWords]:
        """Local features and words of a query photo. Raises ImageError, and BundleError for a bundle without words."""
        return self.extract_query_picture(images.decode(data, want=matching.QUERY.side))

    def extract_query_picture(self, picture: Image.Image) -> tuple[LocalFeatures, VisualWords]:
        """Local features and words of an upright RGB picture, which may be `shrink`-ed to QUERY.side already.

        Raises BundleError for a bundle without words.
        """
        return self._with_words(matching.detect(picture, matching.QUERY))

    def _with_words(self, found: LocalFeatures) -> tuple[LocalFeatures, VisualWords]:
        if self.vocabulary is None:
            raise BundleError(f"The bundle {self.bundle.id} has no visual words: `embedder words` makes them.")
        return found, self.vocabulary.encode(found)

    def embed_files(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Vectors | ImageError]]:
        """Photo files -> (path, float32 [dim] or the error), in order; processed in parallel on all cores."""

        def embed_file(path: Path) -> Vectors | ImageError:
            try:
                return self.embed_bytes(path.read_bytes())
            except ImageError as error:
                return error

        waiting: list[tuple[Path, Future[Vectors | ImageError]]] = []
        for path in paths:
            waiting.append((path, self._pool.submit(embed_file, path)))
            if len(waiting) > 4 * self.workers:
                first, future = waiting.pop(0)
                yield first, future.result()
        for path, future in waiting:
            yield path, future.result()

    def close(self) -> None:
        """Stop the worker threads."""
        self._pool.shutdown()
        self._view_pool.shutdown()

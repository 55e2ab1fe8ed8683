"""Visual words: the descriptors of a photo, quantized by a vocabulary, as a sparse vector.

Sivic and Zisserman 2003 ("Video Google"). Two photos that show the same print share words, wherever the print lies and
however it is turned, so that an inverted index finds the few references that are worth a closer look (verify.py).
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder.details import DIM, Details, from_photo
from embedder.errors import BundleError, DataError, ImageError

#: Descriptors compared with the whole vocabulary at a time: 64 x 8,192 distances stay in a core's cache.
_CHUNK = 64
#: Of k-means.
ROUNDS = 20


@dataclass(frozen=True)
class Words:
    """A photo's sparse vector of unit length: `indexes` uint32 [m], ascending; `values` float32 [m], above zero."""

    indexes: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indexes)


class Vocabulary:
    """Visual words: `centres` uint8 [words, 128], in the space of Details.descriptors. Safe to use from many threads.

    `soft`: how many nearest words each descriptor counts for (Philbin et al. 2008), all alike.
    """

    def __init__(self, centres: npt.NDArray[np.uint8], soft: int = 1) -> None:
        if centres.ndim != 2 or centres.shape[1] != DIM or centres.dtype != np.uint8 or not len(centres):
            raise BundleError(f"A vocabulary is uint8 [words, {DIM}], not {centres.dtype} {centres.shape}.")
        if not 1 <= soft <= len(centres):
            raise BundleError(f"A descriptor can't count for {soft} of {len(centres)} words.")
        self.centres, self.soft = centres, soft
        self._columns = np.ascontiguousarray(centres.T, np.float32)
        # |x - c|^2 without |x|^2, which is the same for all words.
        self._half_lengths = 0.5 * (self._columns**2).sum(axis=0)

    def __len__(self) -> int:
        return len(self.centres)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote. Raises BundleError when it is something else."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                return cls(stored["centres"], int(stored["soft"]))
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path} holds no visual words: {error}.") from error

    def to_bytes(self) -> bytes:
        """The file that `load` reads; the same vocabulary gives the same bytes."""
        file = io.BytesIO()
        np.savez_compressed(file, centres=self.centres, soft=np.int64(self.soft))
        return file.getvalue()

    def assign(self, descriptors: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """uint8 [n, 128] -> the `soft` nearest words of each, int64 [n, soft], in no order."""
        nearest = np.empty((len(descriptors), self.soft), np.int64)
        for start in range(0, len(descriptors), _CHUNK):
            some = descriptors[start : start + _CHUNK].astype(np.float32)
            distances = self._half_lengths - some @ self._columns
            if self.soft == 1:
                nearest[start : start + _CHUNK, 0] = distances.argmin(axis=1)
            else:
                nearest[start : start + _CHUNK] = np.argpartition(distances, self.soft - 1, axis=1)[:, : self.soft]
        return nearest

    def words(self, details: Details) -> Words:
        """The sparse vector of a photo; of no words for one without details.

        A word that a photo holds n times counts sqrt(n) (Jegou et al. 2009, burstiness: a repeated texture says the
        same thing again). How rare a word is in the gallery is the gallery's to know: it weighs by IDF.
        """
        indexes, counts = np.unique(self.assign(details.descriptors), return_counts=True)
        values = np.sqrt(counts.astype(np.float32))
        return Words(indexes.astype(np.uint32), values / max(float(np.linalg.norm(values)), 1e-12))


def learn(descriptors: npt.NDArray[np.uint8], words: int, *, soft: int = 1, seed: int = 1) -> Vocabulary:
    """k-means of descriptors uint8 [n, 128] -> a vocabulary of so many words. Needs faiss (extra `train`).

    Raises DataError for fewer descriptors than words.
    """
    import faiss

    if len(descriptors) < words:
        raise DataError(f"{len(descriptors):,} descriptors do not make {words:,} words: give more photos.")
    means = faiss.Kmeans(DIM, words, niter=ROUNDS, seed=seed, max_points_per_centroid=100, min_points_per_centroid=1)
    means.train(descriptors.astype(np.float32))
    return Vocabulary(np.clip(np.rint(np.asarray(means.centroids)), 0, 255).astype(np.uint8), soft)


def learn_from(
    paths: Sequence[Path], words: int, *, soft: int = 1, photos: int = 4000, seed: int = 1
) -> tuple[Vocabulary, int, list[str]]:
    """A vocabulary of the details of photo files: (vocabulary, photos read, a line for each that can't be).

    Of more than `photos` files as many are drawn by the seed. Raises DataError when they have too few details.
    """
    order = np.random.default_rng(seed).permutation(len(paths))[:photos]

    def read(path: Path) -> npt.NDArray[np.uint8] | str:
        try:
            return from_photo(path.read_bytes()).descriptors
        except ImageError as error:
            return f"{path}: {error}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(read, [paths[place] for place in sorted(order)]))
    broken = [one for one in found if isinstance(one, str)]
    read_in = [one for one in found if not isinstance(one, str)]
    descriptors = np.concatenate(read_in) if read_in else np.empty((0, DIM), np.uint8)
    return learn(descriptors, words, soft=soft, seed=seed), len(read_in), broken

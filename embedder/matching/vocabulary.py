"""Visual words (bag of words): a photo's descriptors, quantized by a vocabulary, as a sparse vector.

Sivic and Zisserman 2003 ("Video Google"). Two photos of the same print share words, whatever its position and rotation,
so an inverted index finds the few references that are worth a spatial verification (verification.py).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedder.errors import BundleError
from embedder.matching.local_features import DIM, REFERENCE, LocalFeatures

#: Groups searched for a descriptor's nearest word, those with the nearest centres: a sixteenth of 16,384 words, which
#: holds the nearest word of 91 in 100 descriptors. Recall does not suffer.
NEAR = 8
#: Words in a group, about.
GROUP = 128
#: Descriptors compared with a group at a time, so that their distances stay in a core's cache.
_CHUNK = 64


@dataclass(frozen=True)
class VisualWords:
    """A photo's sparse vector of unit length: `indexes` uint32 [m], ascending; `values` float32 [m], above zero."""

    indexes: npt.NDArray[np.uint32]
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indexes)


class Vocabulary:
    """Visual words: `centres` uint8 [words, 128], in the space of LocalFeatures.descriptors. Thread-safe.

    A two-level tree (Nister and Stewenius 2006, "Scalable recognition with a vocabulary tree") of which the NEAR best
    branches are followed: the words of group g are `starts[g]` to `starts[g + 1]` (int64 [groups + 1]), their centre is
    `groups[g]` (uint8 [groups, 128]). Without groups all words are one group. Raises BundleError for other shapes.
    """

    def __init__(
        self,
        centres: npt.NDArray[np.uint8],
        groups: npt.NDArray[np.uint8] | None = None,
        starts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if groups is None or starts is None:
            groups, starts = centres[:1], np.array([0, len(centres)])
        for name, array in (("words", centres), ("groups", groups)):
            if array.ndim != 2 or array.shape[1] != DIM or array.dtype != np.uint8 or not len(array):
                raise BundleError(f"Visual {name} are uint8 [n, {DIM}], not {array.dtype} {array.shape}.")
        if (
            starts.shape != (len(groups) + 1,)
            or (starts[0], starts[-1]) != (0, len(centres))
            or (np.diff(starts) < 1).any()
        ):
            raise BundleError(f"{len(centres):,} words do not lie in {len(groups)} groups so: {starts}.")
        self.centres, self.groups, self.starts = centres, groups, starts
        self._near = min(NEAR, len(groups))
        self._top = Centres(groups)
        self._of_group = [Centres(centres[start:end]) for start, end in pairwise(starts.tolist())]

    def __len__(self) -> int:
        return len(self.centres)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read a file of `to_bytes`. Raises BundleError when it is something else.

        Files without groups, of older bundles, are read, too, unless they assign a descriptor to several words.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                if "soft" in stored and int(stored["soft"]) != 1:
                    raise BundleError(f"The words of {path} are of an older kind: `embedder words` makes them anew.")
                return cls(stored["centres"], stored.get("groups"), stored.get("starts"))
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise BundleError(f"{path} holds no visual words: {error}.") from error

    def to_bytes(self) -> bytes:
        """The file that `load` reads; the same vocabulary gives the same bytes."""
        file = io.BytesIO()
        np.savez_compressed(file, centres=self.centres, groups=self.groups, starts=self.starts)
        return file.getvalue()

    def assign(self, descriptors: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """uint8 [n, 128] -> the nearest word of each, int64 [n], searched in its NEAR nearest groups."""
        rows = descriptors.astype(np.float32)
        least, nearest = np.full(len(rows), np.inf, np.float32), np.zeros(len(rows), np.int64)
        asked = np.argpartition(self._top.distances(rows), self._near - 1, axis=1)[:, : self._near].ravel()
        by_group = np.argsort(asked, kind="stable")
        ends = np.searchsorted(asked[by_group], np.arange(len(self.groups) + 1))
        for group, (low, high) in enumerate(pairwise(ends.tolist())):
            for start in range(low, high, _CHUNK):
                some = by_group[start : min(start + _CHUNK, high)] // self._near
                distances = self._of_group[group].distances(rows[some])
                word = distances.argmin(axis=1)
                distance = distances[np.arange(len(some)), word]
                closer = distance < least[some]
                least[some[closer]] = distance[closer]
                nearest[some[closer]] = word[closer] + self.starts[group]
        return nearest

    def encode(self, features: LocalFeatures) -> VisualWords:
        """Local features -> the photo's sparse vector, without words if it has no features.

        Uses the strongest descriptors, at most as many as a reference photo has. Word counts are binary: a repeated
        texture is no further evidence (Jegou et al. 2009, burstiness). The IDF is the gallery's to apply.
        """
        indexes = np.unique(self.assign(features.descriptors[: REFERENCE.count]))
        return VisualWords(indexes.astype(np.uint32), np.full(len(indexes), max(len(indexes), 1) ** -0.5, np.float32))


class Centres:
    """Cluster centres uint8 [n, 128], prepared for distance computation."""

    def __init__(self, centres: npt.NDArray[np.uint8]) -> None:
        self._columns = np.ascontiguousarray(centres.T, np.float32)
        self._half_lengths = 0.5 * (self._columns**2).sum(axis=0)

    def distances(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 [m, 128] of byte values -> [m, n]: half the squared distance, less the row's constant |x|^2 / 2.

        Exact in any order of summation: below 2^24.
        """
        found: npt.NDArray[np.float32] = self._half_lengths - rows @ self._columns
        return found

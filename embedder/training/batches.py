"""Photo folders -> P x K batches (P SKUs, K photos each), augmented.

Every batch is a function of (seed, step) alone, so a resumed training sees exactly the batches of an uninterrupted one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from embedder import images
from embedder.errors import DataError, ImageError
from embedder.training.augmentation import augment

Labels = npt.NDArray[np.int32]
#: Step -> (label, photo) of each position in its batch.
Draw = Callable[[int], list[tuple[int, Path]]]


@dataclass(frozen=True)
class Batch:
    """pixels: uint8 [p * k, size, size, 3]; labels: int32 [p * k], indexes into the sorted SKUs."""

    pixels: images.Pixels
    labels: Labels


def read(path: Path, size: int) -> images.Pixels:
    """One photo file -> uint8 [size, size, 3], preprocessed as for serving. Raises ImageError naming the file."""
    try:
        return images.load(path.read_bytes(), size)
    except ImageError as error:
        raise ImageError(error.code, f"{path}: {error}") from None


class PKBatches:
    """P x K batches of augmented photos, drawn by (seed, step), prefetched on threads.

    With `balance` 0 the SKUs come in rounds: a shuffled order, p at a time, so that rare and frequent SKUs weigh the
    same; where p does not divide their number, the last few of the order are skipped in that round. Otherwise a SKU of
    n photos is drawn with probability proportional to n ** balance: several sets in one training, some with hundreds
    of SKUs of one photo, then share the batches by what there is to learn from them.
    Raises DataError when there are fewer than `p` SKUs.
    """

    def __init__(self, photos: dict[str, list[Path]], p: int, k: int, seed: int, balance: float = 0.0) -> None:
        if len(photos) < p:
            raise DataError(f"A batch takes {p} SKUs, the data has {len(photos)}: lower --p or add SKUs.")
        self.skus = sorted(photos)
        self.photos = photos
        self.p, self.k, self.seed = p, k, seed
        self._chances: npt.NDArray[np.float64] | None = None
        if balance > 0:
            weights = np.array([len(photos[sku]) for sku in self.skus], np.float64) ** balance
            self._chances = weights / weights.sum()

    @property
    def steps_per_epoch(self) -> int:
        """Steps whose batches together have about as many photos as the data."""
        return max(1, round(sum(map(len, self.photos.values())) / (self.p * self.k)))

    def draw(self, step: int) -> list[tuple[int, Path]]:
        """(label, photo) of each position in the batch of this step."""
        if self._chances is None:
            rounds = len(self.skus) // self.p  # batches in one shuffled order of all SKUs
            order = np.random.default_rng([self.seed, 1, step // rounds]).permutation(len(self.skus))
            chosen = order[(step % rounds) * self.p :][: self.p]
        else:
            draw = np.random.default_rng([self.seed, 1, step])
            chosen = draw.choice(len(self.skus), self.p, replace=False, p=self._chances)
        rng = np.random.default_rng([self.seed, 2, step])
        drawn: list[tuple[int, Path]] = []
        for label in chosen:
            paths = self.photos[self.skus[label]]
            picks = rng.choice(len(paths), self.k, replace=len(paths) < self.k)
            drawn.extend((int(label), paths[i]) for i in picks)
        return drawn

    def batch(self, step: int, size: int, draw: Draw | None = None) -> Batch:
        """The batch of this step, `size` pixels a side, its photos chosen by `draw` (PKBatches.draw when None).

        Raises ImageError naming a photo that can't be read.
        """
        drawn = (draw or self.draw)(step)
        pixels = np.empty((len(drawn), size, size, 3), np.uint8)
        for place, (_, path) in enumerate(drawn):
            try:
                picture = images.decode(path.read_bytes(), want=size)
            except ImageError as error:
                raise ImageError(error.code, f"{path}: {error}") from None
            pixels[place] = augment(picture, size, np.random.default_rng([self.seed, 3, step, place]))
        return Batch(pixels, np.array([label for label, _ in drawn], np.int32))

    def stream(self, sizes: list[tuple[int, int]], draw: Draw | None = None) -> Iterator[Batch]:
        """The batches of [(step, size), ...] in this order, four prefetched; `draw` as in `batch`."""
        with ThreadPoolExecutor(2) as pool:
            pending: list[Future[Batch]] = []
            for step, size in sizes:
                pending.append(pool.submit(self.batch, step, size, draw))
                if len(pending) > 4:
                    yield pending.pop(0).result()
            for future in pending:
                yield future.result()


def drop_broken(photos: dict[str, list[Path]], *, quiet: bool = True) -> tuple[dict[str, list[Path]], list[str]]:
    """(photos that decode, a line for each that does not). A SKU left without photos is dropped.

    Decodes on all cores, with a progress bar on a terminal unless `quiet`.
    """
    named = [(sku, path) for sku, paths in photos.items() for path in paths]
    kept: dict[str, list[Path]] = {}
    broken: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = pool.map(_fault, (path for _, path in named))
        hidden = quiet or None  # None: on a terminal only, so that an error in a log stays one line
        bar = tqdm(faults, total=len(named), desc="checking photos", unit="photo", disable=hidden, mininterval=1)
        for (sku, path), fault in zip(named, bar, strict=True):
            if fault is None:
                kept.setdefault(sku, []).append(path)
            else:
                broken.append(f"{path}: {fault}")
    return kept, broken


def _fault(path: Path) -> ImageError | None:
    """The error of a photo that does not decode, or None."""
    try:
        images.decode(path.read_bytes(), want=64)
    except ImageError as error:
        return error
    return None

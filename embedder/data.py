"""Photo folders -> P x K batches (P SKUs, K photos each), augmented.

Every batch is a function of (seed, step) alone, so a resumed training sees exactly what an unbroken one would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images
from embedder.errors import DataError, ImageError

Labels = npt.NDArray[np.int32]
#: Step -> (label, photo) of each place in its batch.
Draw = Callable[[int], list[tuple[int, Path]]]


@dataclass(frozen=True)
class Batch:
    """pixels: uint8 [p * k, size, size, 3]; labels: int32 [p * k], indexes into the sorted SKUs."""

    pixels: images.Pixels
    labels: Labels


def read(path: Path, size: int) -> images.Pixels:
    """One photo file -> uint8 [size, size, 3], the same way as when serving. Raises ImageError naming the file."""
    try:
        return images.load(path.read_bytes(), size)
    except ImageError as error:
        raise ImageError(error.code, f"{path}: {error}") from None


def augment(picture: Image.Image, size: int, rng: np.random.Generator) -> images.Pixels:
    """RGB picture -> a random view, uint8 [size, size, 3].

    A crop of 35 to 100 % of the area, mirrored half of the time, turned by up to 20 degrees, brighter or darker,
    more or less contrast, a little color cast, at times blurred or with a patch covered. Hue is left alone: color is
    what tells a green apple from a red one.
    """
    width, height = picture.size
    area = rng.uniform(0.35, 1.0) * width * height
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    box_w, box_h = min(width, np.sqrt(area * ratio)), min(height, np.sqrt(area / ratio))
    left, top = rng.uniform(0, width - box_w), rng.uniform(0, height - box_h)
    view = picture.crop((round(left), round(top), round(left + box_w), round(top + box_h)))
    pixels = images.fit(view, size)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-20, 20), 1.0)
        turned = cv2.warpAffine(np.ascontiguousarray(pixels), turn, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        pixels = np.asarray(turned, np.uint8)
    light = pixels.astype(np.float32)
    light = (light - 127) * rng.uniform(0.7, 1.3) + 127
    light = light * rng.uniform(0.65, 1.35) * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    if rng.random() < 0.15:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, max(1.0, size / 90))), np.float32)
    if rng.random() < 0.3:
        patch = rng.integers(size // 8, size // 3, 2)
        y, x = rng.integers(0, size - patch[0]), rng.integers(0, size - patch[1])
        light[y : y + patch[0], x : x + patch[1]] = rng.uniform(0, 255, 3)
    return np.clip(light, 0, 255).astype(np.uint8)


def mix(pixels: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Mix each photo with another of the batch: half of the time blended (Zhang et al. 2018, mixup), half of the time
    a rectangle of it pasted in (Yun et al. 2019, CutMix); targets in the same share.

    pixels float32 [n, size, size, 3], targets float32 [n, skus] -> the same shapes.
    """
    other = rng.permutation(len(pixels))
    share = float(rng.beta(1.0, 1.0))
    if rng.random() < 0.5:
        mixed = share * pixels + (1 - share) * pixels[other]
    else:
        size = pixels.shape[1]
        side = int(size * math.sqrt(1 - share))
        y, x = rng.integers(0, size - side + 1, 2)
        mixed = pixels.copy()
        mixed[:, y : y + side, x : x + side] = pixels[other, y : y + side, x : x + side]
        share = 1 - (side / size) ** 2
    return mixed.astype(np.float32), (share * targets + (1 - share) * targets[other]).astype(np.float32)


class PKBatches:
    """P x K batches of augmented photos, drawn by (seed, step), prepared ahead on threads.

    With `balance` 0 the SKUs come in rounds: a shuffled order, p at a time, so that rare and frequent SKUs weigh the
    same. Where p does not divide their number, the last few of a round's order sit that round out. Otherwise a SKU of
    n photos is drawn with a chance as n ** balance: several sets in one training, some with hundreds of SKUs of one
    photo, then share the batches by what there is to learn from them.
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
        """As many steps as show about as many photos as there are."""
        return max(1, round(sum(map(len, self.photos.values())) / (self.p * self.k)))

    def draw(self, step: int) -> list[tuple[int, Path]]:
        """(label, photo) of each place in the batch of this step."""
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
        """The batches of [(step, size), ...] in this order, four prepared ahead; `draw` as in `batch`."""
        with ThreadPoolExecutor(2) as pool:
            pending: list[Future[Batch]] = []
            for step, size in sizes:
                pending.append(pool.submit(self.batch, step, size, draw))
                if len(pending) > 4:
                    yield pending.pop(0).result()
            for future in pending:
                yield future.result()


def drop_broken(photos: dict[str, list[Path]]) -> tuple[dict[str, list[Path]], list[str]]:
    """Photos that decode, and one line for each that does not. A SKU left without photos is dropped."""
    kept: dict[str, list[Path]] = {}
    broken: list[str] = []
    for sku, paths in photos.items():
        for path in paths:
            try:
                images.decode(path.read_bytes(), want=64)
            except ImageError as error:
                broken.append(f"{path}: {error}")
            else:
                kept.setdefault(sku, []).append(path)
    return kept, broken

"""Photo folders -> P x K batches (P SKUs, K photos each), augmented.

Every batch is a function of (seed, step) alone, so a resumed training sees exactly what an unbroken one would.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images
from embedder.errors import DataError, ImageError

Labels = npt.NDArray[np.int32]


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


class PKBatches:
    """P x K batches of augmented photos, drawn by (seed, step), prepared ahead on threads.

    The SKUs come in rounds: a shuffled order, p at a time, so that rare and frequent SKUs weigh the same. Where p does
    not divide their number, the last few of a round's order sit that round out.
    Raises DataError when there are fewer than `p` SKUs.
    """

    def __init__(self, photos: dict[str, list[Path]], p: int, k: int, seed: int) -> None:
        if len(photos) < p:
            raise DataError(f"A batch takes {p} SKUs, the data has {len(photos)}: lower --p or add SKUs.")
        self.skus = sorted(photos)
        self.photos = photos
        self.p, self.k, self.seed = p, k, seed

    @property
    def steps_per_epoch(self) -> int:
        """As many steps as show about as many photos as there are."""
        return max(1, round(sum(map(len, self.photos.values())) / (self.p * self.k)))

    def draw(self, step: int) -> list[tuple[int, Path]]:
        """(label, photo) of each place in the batch of this step."""
        rounds = len(self.skus) // self.p  # batches in one shuffled order of all SKUs
        order = np.random.default_rng([self.seed, 1, step // rounds]).permutation(len(self.skus))
        chosen = order[(step % rounds) * self.p :][: self.p]
        rng = np.random.default_rng([self.seed, 2, step])
        drawn: list[tuple[int, Path]] = []
        for label in chosen:
            paths = self.photos[self.skus[label]]
            picks = rng.choice(len(paths), self.k, replace=len(paths) < self.k)
            drawn.extend((int(label), paths[i]) for i in picks)
        return drawn

    def batch(self, step: int, size: int) -> Batch:
        """The batch of this step, `size` pixels a side. Raises ImageError naming a photo that can't be read."""
        drawn = self.draw(step)
        pixels = np.empty((len(drawn), size, size, 3), np.uint8)
        for place, (_, path) in enumerate(drawn):
            try:
                picture = images.decode(path.read_bytes(), want=size)
            except ImageError as error:
                raise ImageError(error.code, f"{path}: {error}") from None
            pixels[place] = augment(picture, size, np.random.default_rng([self.seed, 3, step, place]))
        return Batch(pixels, np.array([label for label, _ in drawn], np.int32))

    def stream(self, sizes: list[tuple[int, int]]) -> Iterator[Batch]:
        """The batches of [(step, size), ...] in this order, four prepared ahead."""
        with ThreadPoolExecutor(2) as pool:
            pending: list[Future[Batch]] = []
            for step, size in sizes:
                pending.append(pool.submit(self.batch, step, size))
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

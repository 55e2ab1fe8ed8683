"""Views of every photo, drawn once and kept as the frozen blocks' activations: what a training above them reads.

The lower blocks of a network cost most of its arithmetic and hold what all photos share. Frozen, they give the same
activations for the same view, so each view passes them once and not in every epoch. Imports TensorFlow (extra
`train`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from embedder import images
from embedder.adaptation.synthetic_views import synthesize

Keras = Any  # TensorFlow 2.15 ships no types

#: Photos whose views pass the network together.
BATCH = 16
#: Longer side, in pixels, of a photo that views are drawn from: a view shows it no larger than 1.25 of its own side.
SOURCE = 1.25
DONE_FILE = "done.json"


@dataclass(frozen=True)
class Activations:
    """`maps` float16 [photos, views, h, w, channels], what the frozen blocks give; `pooled` float16 [photos, views,
    features], what the whole network gave at the start. The first view is the photo itself, the others are synthetic.
    """

    maps: Any
    pooled: Any

    def of(self, rows: npt.NDArray[np.intp]) -> Activations:
        """Those of some photos, still on disk."""
        return Activations(_Rows(self.maps, rows), _Rows(self.pooled, rows))


class _Rows:
    """Some rows of an array on disk, copied only when they are taken."""

    def __init__(self, array: Any, rows: npt.NDArray[np.intp]) -> None:
        self._array, self._rows = array, rows
        self.shape = (len(rows), *array.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, wanted: Any) -> Any:
        if isinstance(wanted, tuple):
            return self._array[(self._rows[wanted[0]], *wanted[1:])]
        return self._array[self._rows[wanted]]


def cached_activations(
    network: Keras,
    photos: Sequence[Path],
    folder: Path,
    *,
    origin: dict[str, Any],
    views: int,
    size: int,
    seed: int,
    quiet: bool = True,
) -> Activations:
    """The activations of `views` views of each photo, computed on all cores and kept in `folder`.

    `network`: float32 pixels [n, size, size, 3] -> (maps [n, h, w, channels], pooled [n, features]). Stopped, the next
    call goes on behind the last batch that was done. `origin`, of plain values, says what the network is: for another
    one, other photos or settings they are computed anew. The photos decode (batches.drop_broken).
    """
    folder.mkdir(parents=True, exist_ok=True)
    shapes = [shape[1:] for shape in network.compute_output_shape((None, size, size, 3))]
    arrays = [
        _opened(folder / f"{name}.npy", (len(photos), views, *shape))
        for name, shape in zip(("maps", "pooled"), shapes, strict=True)
    ]
    mark = {**origin, "photos": [path.name for path in photos], "views": views, "size": size, "seed": seed}
    done = _done(folder / DONE_FILE, mark)
    run = tf.function(lambda pixels: network(pixels, training=False), reduce_retracing=True)
    draw = partial(_views, photos, views=views, size=size, seed=seed)
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(photos), initial=done, desc="frozen blocks", unit="photo", disable=quiet, mininterval=1) as bar,
    ):
        waiting = [[pool.submit(draw, place) for place in range(done, min(done + BATCH, len(photos)))]]
        while done < len(photos):
            after = min(done + BATCH, len(photos))
            # The next batch is drawn while the network has this one.
            waiting.append([pool.submit(draw, place) for place in range(after, min(after + BATCH, len(photos)))])
            pixels = np.concatenate([drawn.result() for drawn in waiting.pop(0)])
            for array, found in zip(arrays, run(tf.constant(pixels, tf.float32)), strict=True):
                array[done:after] = found.numpy().reshape(after - done, views, *found.shape[1:])
                array.flush()
            (folder / DONE_FILE).write_text(json.dumps({**mark, "done": after}))
            bar.update(after - done)
            done = after
    return Activations(*arrays)


def _opened(path: Path, shape: tuple[int, ...]) -> Any:
    if path.exists():
        kept: Any = np.load(path, mmap_mode="r+")
        if kept.shape == shape and kept.dtype == np.float16:
            return kept
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)  # type: ignore[no-untyped-call]


def _done(file: Path, mark: dict[str, Any]) -> int:
    """Photos that an earlier call has done of the very same cache."""
    try:
        held = json.loads(file.read_text())
    except (OSError, ValueError):
        return 0
    done = held.pop("done", 0)
    return int(done) if held == mark else 0


def _views(photos: Sequence[Path], place: int, *, views: int, size: int, seed: int) -> images.Pixels:
    """The views of one photo, uint8 [views, size, size, 3]: itself, then synthetic ones before parts of another."""
    picture = images.decode(photos[place].read_bytes(), want=size)
    rng = np.random.default_rng([seed, 9, place])
    other = images.decode(photos[int(rng.integers(len(photos)))].read_bytes(), want=size)
    drawn = [images.view(picture, size, "whole")]
    drawn += [synthesize(_small(picture, size), size, rng, other) for _ in range(views - 1)]
    return np.stack(drawn)


def _small(picture: Image.Image, size: int) -> Image.Image:
    small = picture.copy()
    small.thumbnail((round(2 * SOURCE * size), round(2 * SOURCE * size)))
    return small

"""Are two files the same picture, saved again, resized or recompressed? By colors, and by details if there are some.

A second photograph of the same thing is not: the camera moved. The limits were chosen on real photos
(benchmarks/admission.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images
from embedder.matching.local_features import LocalFeatures
from embedder.matching.verification import verify

ColorGrid = npt.NDArray[np.float32]

#: Cells a side that a picture is reduced to.
GRID = 16
#: The same picture: its cells differ by less than this in the mean, and but for the last fiftieth by less than that.
MEAN, MOST = 4.5, 20.0
#: So many details on both sides, and what agrees has to lie where it lay: of a picture with fewer, colors alone tell.
DETAILS, AGREEING = 50, 8


def color_grid(picture: Image.Image) -> ColorGrid:
    """RGB picture -> the mean color of each of its cells, float32 [GRID, GRID, 3], 0 to 255."""
    # Without a reducing_gap: whole pixels of whatever size it comes in would be left out at the edges.
    return np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX), np.float32)


def color_grid_of_photo(data: bytes) -> ColorGrid:
    """The bytes of an image file -> its cells. Raises ImageError."""
    return color_grid(images.decode(data, want=4 * GRID))


def is_same_picture(
    one: ColorGrid, other: ColorGrid, details: LocalFeatures | None = None, others: LocalFeatures | None = None
) -> bool:
    """Whether two pictures are one: by their cells [GRID, GRID, 3], and their details where both have many."""
    apart = np.abs(one - other).mean(axis=2)
    if float(apart.mean()) >= MEAN or float(np.quantile(apart, 0.98)) >= MOST:
        return False
    if details is None or others is None or min(len(details), len(others)) < DETAILS:
        return True
    match = verify(details, others)
    return match.still and match.inliers >= AGREEING

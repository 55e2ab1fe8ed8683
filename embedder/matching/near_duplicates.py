"""Near-duplicate detection: is one file the other saved again, resized or recompressed? By colors and local features.

A second photograph of the same thing is no near-duplicate: the camera moved. The limits were chosen on real photos
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

#: A picture is reduced to GRID x GRID cells.
GRID = 16
#: Near-duplicates: the mean difference of their cells is below this, in levels (0 to 255).
MAX_MEAN_DIFFERENCE = 4.5
#: And the 98th percentile of the differences is below this, in levels.
MAX_HIGH_DIFFERENCE = 20.0
#: From this many local features on both sides on, they must agree too; with fewer, colors alone decide.
MIN_FEATURES = 50
#: Inliers, by a map that neither turns nor resizes, that near-duplicates must have.
MIN_INLIERS = 8


def color_grid(picture: Image.Image) -> ColorGrid:
    """RGB picture -> the mean color of each of its cells, float32 [GRID, GRID, 3], 0 to 255."""
    # Without a reducing_gap, which would drop whole pixels at the edges, depending on the picture's size.
    return np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX), np.float32)


def color_grid_of_photo(data: bytes) -> ColorGrid:
    """The bytes of an image file -> its color grid, float32 [GRID, GRID, 3]. Raises ImageError."""
    return color_grid(images.decode(data, want=4 * GRID))


def is_same_picture(
    one: ColorGrid, other: ColorGrid, details: LocalFeatures | None = None, others: LocalFeatures | None = None
) -> bool:
    """Whether they are near-duplicates, by color grids [GRID, GRID, 3], and by local features if both have many."""
    differences = np.abs(one - other).mean(axis=2)
    if float(differences.mean()) >= MAX_MEAN_DIFFERENCE or float(np.quantile(differences, 0.98)) >= MAX_HIGH_DIFFERENCE:
        return False
    if details is None or others is None or min(len(details), len(others)) < MIN_FEATURES:
        return True
    agreement = verify(details, others)
    return agreement.still and agreement.inliers >= MIN_INLIERS

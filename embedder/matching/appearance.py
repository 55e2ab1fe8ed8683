"""Appearance: is what is printed on a reference seen at its place in the photo?

Points that agree show that some print is the same; a new flavour, or an unknown product with the same artwork, has as
many. Print of the reference that is not seen where it should be is evidence against it. The photo is brought into the
reference's frame by the place where verification found it, and compared cell by cell: normalized cross-correlation
(Lewis 1995, "Fast normalized cross-correlation"), searched for a few pixels around, since a pack bends. A cell without
texture in the photo is covered by glare or a hand, and is no evidence.

What is correlated is the fine print alone (a high pass): two designs of one family have the same large shapes, light
and dark in the same places, and those alone correlate well.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from embedder import images
from embedder.images import Pixels

Floats = npt.NDArray[np.float32]

#: Longer side of the reference, in pixels, when it is compared, at most: as large as it is seen, but SMALLEST at least.
SIDE, SMALLEST = 200, 50
#: Side of a cell, and how far from its place it is searched for, in those pixels.
CELL, SEARCH = 20, 6
#: Sigma of the blur of both: a photo of a till is no sharper.
BLUR = 0.8
#: Standard deviation, in grey levels, from which a cell of the reference has print, and what share of the usual texture
#: (the median over the cells) it must have in the photo to be seen there.
TEXTURE, SEEN = 8.0, 0.5
#: With fewer cells nothing is said.
FEWEST = 3
#: Sigma of the high pass: print is fine to about three times as many pixels.
FINE = 4.0
#: Of the cells, from the one that agrees least: what agrees least, as all but this share do.
LEAST = 0.2
#: Colours: how far a camera's white balance may move them all, in log-chromaticity, and by how much it may make them
#: paler or deeper (fog, an old display, gamma).
CAST, DEPTHS = 0.2, (0.3, 0.525, 0.75, 0.975, 1.2)
#: The same of bundles of before fine print was compared (`compare_coarse`): how the whole agrees, and the least.
COARSE, COARSE_LEAST = 0.4, 0.2
#: Of a cell, at most this share may be ground.
OUTSIDE = 0.04


def picture(raw: bytes, side: int) -> Pixels:
    """The bytes of an image file -> its pixels, uint8 [h, w, 3], upright, the longer side at most `side`.

    Raises ImageError.
    """
    return np.asarray(images.shrink(images.decode(raw, want=side), side), dtype=np.uint8)


@dataclass(frozen=True)
class Appearance:
    """What is seen of a reference's print in a photo.

    `cells` have print and are seen; `agreement` is their mean correlation, -1 to 1, and `least` that which all but
    LEAST of them exceed: where a copy has another brand or flavour, that is lower than it is. `colour` is how far the
    colours of the cells are from the reference's after what a camera may do to all of them (0: the same).
    """

    cells: int
    agreement: float
    least: float
    colour: float


def compare(reference: Pixels, query: Pixels, outline: Floats) -> Appearance | None:
    """Pictures uint8 [h, w, 3] and the reference's corners in the photo, [4, 2] in shares of it -> what is seen.

    None where too few cells have print or are seen.
    """
    seen = _seen(cells(reference, query, outline))
    if seen is None:
        return None
    colour = _hue_difference(seen[:, 2:5], seen[:, 5:8])
    return Appearance(len(seen), float(seen[:, 0].mean()), float(np.quantile(seen[:, 0], LEAST)), colour)


def compare_coarse(reference: Pixels, query: Pixels, outline: Floats) -> Appearance | None:
    """As `compare`, as bundles of before fine print was compared were calibrated: a catalog decides as it did.

    `agreement` is the correlation of light and dark that all but COARSE of the cells exceed, `colour` the difference
    after one gain for each channel.
    """
    seen = _seen(cells(reference, query, outline, fine=False))
    if seen is None:
        return None
    agreement, least = np.quantile(seen[:, 0], (COARSE, COARSE_LEAST)).tolist()
    return Appearance(len(seen), agreement, least, _colour_after_gain(seen[:, 2:5], seen[:, 5:8]))


def _seen(rows: Floats) -> Floats | None:
    """Rows of `cells` -> those that nothing covers; None where they are too few."""
    if len(rows) < FEWEST:
        return None
    seen: Floats = rows[rows[:, 1] >= SEEN * np.median(rows[:, 1])]
    return seen if len(seen) >= FEWEST else None


def cells(reference: Pixels, query: Pixels, outline: Floats, *, fine: bool = True) -> Floats:
    """-> of each cell that has print and lies in the photo: correlation (of the fine print), texture in the photo as a
    share of the reference's, and mean RGB in reference and photo; float32 [cells, 8].
    """
    height, width = reference.shape[:2]
    corners = outline * np.array([query.shape[1], query.shape[0]], np.float32)
    longer = max(height, width)
    seen = np.sqrt(max(cv2.contourArea(corners), 1.0) / (height * width))
    scale = float(np.clip(min(SIDE / longer, seen, 1.0), SMALLEST / longer, None))
    size = max(CELL, round(width * scale)), max(CELL, round(height * scale))
    small = cv2.resize(reference, size, interpolation=cv2.INTER_AREA)
    ground = cv2.resize(_ground(reference), size, interpolation=cv2.INTER_AREA)
    frame = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float32) + SEARCH
    into = cv2.getPerspectiveTransform(corners.astype(np.float32), frame)
    around = size[0] + 2 * SEARCH, size[1] + 2 * SEARCH
    photo = cv2.warpPerspective(query, into, around, flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.full(query.shape[:2], 255, np.uint8), into, around)
    there, here = (
        cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), BLUR).astype(np.float32)
        for pixels in (small, photo)
    )
    texture, in_photo = _deviations(there), _deviations(here)
    if fine:
        # Beyond the product the two are alike in nothing: its surroundings must not be in the mean near its edge.
        product = (ground < 128).astype(np.float32)
        around_it = np.pad(product, SEARCH)
        there, here = _fine(there, product), _fine(here, around_it)
    wide = CELL + 2 * SEARCH
    rows = []
    for y in _starts(size[1]):
        for x in _starts(size[0]):
            if texture[y, x] < TEXTURE or ground[y : y + CELL, x : x + CELL].mean() > 255 * OUTSIDE:
                continue
            if inside[y : y + wide, x : x + wide].min() < 200:
                continue
            print_there = there[y : y + CELL, x : x + CELL]
            agreement = cv2.matchTemplate(here[y : y + wide, x : x + wide], print_there, cv2.TM_CCOEFF_NORMED)
            down, right = divmod(int(agreement.argmax()), agreement.shape[1])
            top, left = y + down, x + right
            found = np.s_[top : top + CELL, left : left + CELL]
            rows.append(
                (
                    float(np.clip(np.nan_to_num(agreement[down, right]), -1, 1)),
                    float(in_photo[y + SEARCH, x + SEARCH]) / float(texture[y, x]),
                    *cv2.mean(small[y : y + CELL, x : x + CELL])[:3],
                    *cv2.mean(photo[found])[:3],
                )
            )
    return np.array(rows, np.float32).reshape(-1, 8)


def _starts(length: int) -> list[int]:
    """Where cells begin, so that they cover a side of so many pixels evenly."""
    count = max(1, length // CELL)
    return [round(start) for start in np.linspace(0, length - CELL, count)] if count > 1 else [(length - CELL) // 2]


def _deviations(grey: Floats) -> Floats:
    """[h, w] -> the standard deviation of the cell that begins at each pixel, [h, w] (beyond the last cell: of what is
    mirrored).
    """
    mean, squares = (cv2.boxFilter(values, cv2.CV_32F, (CELL, CELL), anchor=(0, 0)) for values in (grey, grey * grey))
    found: Floats = np.sqrt(np.maximum(squares - mean * mean, 0))
    return found


def _fine(grey: Floats, product: Floats) -> Floats:
    """Grey levels and where the product is (1, else 0), [h, w] each -> the levels less their local mean over it."""
    mean = cv2.GaussianBlur(grey * product, (0, 0), FINE) / np.maximum(cv2.GaussianBlur(product, (0, 0), FINE), 1e-3)
    found: Floats = np.where(product > 0, grey - mean, 0).astype(np.float32)
    return found


def _ground(picture: Pixels) -> Pixels:
    """uint8 [h, w, 3] -> its plain ground and a pixel around it, uint8 [h, w]: 255, else 0."""
    ground = images.plain_ground(picture)
    if np.mean(ground == 0) < 0.1:  # next to nothing would be left
        return np.zeros_like(ground)
    return cv2.dilate(ground, np.ones((3, 3), np.uint8)).astype(np.uint8)


def _hue_difference(reference: Floats, photo: Floats) -> float:
    """Mean RGB of cells, [cells, 3] each -> the median distance of their log-chromaticities, [0, ...).

    The reference's are first made paler or deeper by one of DEPTHS and moved by a cast of at most CAST, whichever
    leaves the least: what a camera may do. Another hue is farther away than that.
    """
    there, here = _log_chromaticity(reference), _log_chromaticity(photo)
    least = np.inf
    for depth in DEPTHS:
        apart = here - depth * there
        cast = np.median(apart, axis=0)
        cast *= min(1.0, CAST / max(float(np.linalg.norm(cast)), 1e-6))
        least = min(least, float(np.median(np.linalg.norm(apart - cast, axis=1))))
    return least


def _log_chromaticity(rgb: Floats) -> Floats:
    """[cells, 3] -> red to blue, and both to green, of the logarithms, [cells, 2]; black has none."""
    red, green, blue = np.log(np.maximum(rgb, 6)).T
    return np.stack([red - blue, (red + blue - 2 * green) / np.sqrt(3)], axis=1)


def _colour_after_gain(reference: Floats, photo: Floats) -> float:
    """Mean RGB of cells, [cells, 3] each -> the difference of their chromaticities that a fifth of the cells exceed."""
    gain = np.median(photo, axis=0) / np.maximum(np.median(reference, axis=0), 1)
    one, other = (rgb / np.maximum(rgb.sum(axis=1, keepdims=True), 30) for rgb in (reference * gain, photo))
    return float(np.quantile(np.abs(one - other).max(axis=1), 0.8))

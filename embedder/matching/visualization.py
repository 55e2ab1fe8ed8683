"""Visualization of a match ("proof"): a picture that shows people why two photos were matched.

Query and reference photo together, lines between the inliers, and the product's outline in the query photo. The
measurements are those of verification.py.
"""

from __future__ import annotations

import colorsys
import io

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder.matching.local_features import LocalFeatures
from embedder.matching.verification import Agreement

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]
Color = tuple[int, int, int]

#: Width of the picture in pixels: sharp on a phone, which shows it at half of that.
WIDTH = 960
#: Height of the picture in pixels, at most.
HEIGHT = 1280
#: Between the two photos, in pixels.
GAP = 12
#: Two photos that are together wider than this many times their common height are stacked.
WIDEST = 2.0
#: More lines than this hide what they join.
LINES = 32
#: Width of a line, in pixels.
LINE_WIDTH = 2
#: Width of the outline, in pixels.
OUTLINE_WIDTH = 5
#: How much wider the dark edge of a line or outline is, in pixels.
EDGE = 2
#: Radius of a dot, in pixels.
DOT = 4
#: Background of the picture.
GROUND: Color = (255, 255, 255)
DARK: Color = (12, 16, 24)
OUTLINE: Color = (48, 220, 90)
#: Lines are translucent: many side by side must not hide the photo.
OPACITY = 0.75
#: Fractional bits of coordinates in OpenCV's drawing: 1/16 of a pixel.
SHIFT = 4
#: A plain background, as of a catalog picture, differs from the picture's corner by at most so many levels of 255.
PLAIN = 24
#: Margin around the matched points of a product on any other background, as a share of the picture's sides.
MARGIN = 0.03


def draw_agreement(
    query: Image.Image, reference: Image.Image, here: LocalFeatures, there: LocalFeatures, match: Agreement
) -> Image.Image:
    """Query and reference, upright RGB pictures of images.decode, and their local features -> an RGB picture.

    `match` is verify(here, there), `here` the query's features and `there` the reference's. The result is WIDTH pixels
    wide, or narrower where it would be higher than HEIGHT; the query is on the left, or above. It shows at most LINES
    inliers, spread evenly over the reference, and the outline, clipped to the query photo; without a match neither.
    """
    first, second = _places(query.size, reference.size)
    canvas = Image.new("RGB", second[2:], GROUND)
    for picture, box in ((query, first), (reference, second)):
        canvas.paste(picture.resize(_size(box), Image.Resampling.LANCZOS, reducing_gap=2.0), box[:2])
    if match.outline is None:
        return canvas
    pixels = np.array(canvas)
    seen, known = (pixels[top:bottom, left:right] for left, top, right, bottom in (first, second))
    corners = _outline(match, known, there) * _size(first)
    _stroke(seen, [np.vstack([corners, corners[:1]])], [OUTLINE], OUTLINE_WIDTH, 1.0)
    shown = match.pairs[_spread(there.points[match.pairs[:, 1], :2])]
    starts = _onto(here.points[shown[:, 0], :2], here, first)
    ends = _onto(there.points[shown[:, 1], :2], there, second)
    colors = _colors(ends)
    _stroke(pixels, list(np.stack([starts, ends], axis=1)), colors, LINE_WIDTH, OPACITY)
    _stroke(pixels, [np.stack([place, place]) for place in (*starts, *ends)], colors * 2, 2 * DOT, 1.0)
    return Image.fromarray(pixels)


def to_jpeg(proof: Image.Image) -> bytes:
    """RGB picture -> the bytes of a JPEG file, without chroma subsampling, which would fade thin lines."""
    file = io.BytesIO()
    proof.save(file, "JPEG", quality=85, subsampling=0)
    return file.getvalue()


def _places(query: tuple[int, int], reference: tuple[int, int]) -> tuple[Box, Box]:
    """Sizes of both photos -> where they are drawn: side by side at one height, or stacked at one width."""
    first, second = (width / height for width, height in (query, reference))  # aspect ratios
    if first + second <= WIDEST:
        high = int(min(HEIGHT, (WIDTH - GAP) / (first + second)))
        wide, rest = (max(1, int(aspect * high)) for aspect in (first, second))
        return (0, 0, wide, high), (wide + GAP, 0, wide + GAP + rest, high)
    wide = int(min(WIDTH, (HEIGHT - GAP) / (1 / first + 1 / second)))
    high, rest = (max(1, int(wide / aspect)) for aspect in (first, second))
    return (0, 0, wide, high), (0, high + GAP, wide, high + GAP + rest)


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _onto(points: npt.NDArray[np.float32], features: LocalFeatures, box: Box) -> Floats:
    """Points [n, 2] of local features -> their positions on the canvas, in pixels."""
    shares = points.astype(np.float64) / (features.width, features.height)
    return shares * _size(box) + box[:2]


def _outline(match: Agreement, reference: Pixels, there: LocalFeatures) -> Floats:
    """The product's corners in the query photo, [4, 2] in shares of its sides: its box in the reference, mapped.

    `match.outline` is that of the whole reference picture, including the background.
    """
    left, top, right, bottom = _product(reference, there.points[match.pairs[:, 1], :2] / (there.width, there.height))
    box = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float64)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    seen = cv2.getPerspectiveTransform(square, np.asarray(match.outline, np.float32))
    return np.asarray(cv2.perspectiveTransform(box, seen)[0], np.float64)


def _product(reference: Pixels, places: Floats) -> list[float]:
    """The product's left, top, right and bottom in the reference, in shares of its sides: all but a plain background.

    A hand-held photo has no plain background: there it is the box of the matched points [n, 2], plus MARGIN.
    """
    levels = reference.astype(np.int16)
    corner, *others = levels[[0, 0, -1, -1], [0, -1, 0, -1]]
    if np.abs(others - corner).max() > PLAIN:
        box = np.concatenate([places.min(axis=0) - MARGIN, places.max(axis=0) + MARGIN])
        return [float(side) for side in box.clip(0, 1)]
    y, x = np.nonzero((np.abs(levels - corner) > PLAIN).any(axis=2))
    if not len(x):
        return [0, 0, 1, 1]
    height, width = levels.shape[:2]
    return [x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height]


def _spread(places: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """Points [n, 2] -> indices of at most LINES of them, by farthest point sampling."""
    chosen = [0]
    distances = np.full(len(places), np.inf)
    while len(chosen) < min(LINES, len(places)):
        distances = np.minimum(distances, np.hypot(*(places - places[chosen[-1]]).T))
        chosen.append(int(distances.argmax()))
    return np.array(chosen, np.intp)


def _colors(places: Floats) -> list[Color]:
    """Points [n, 2] -> a bright colour for each; the hue is the direction from their mean."""
    angles = np.arctan2(*(places - places.mean(axis=0)).T)
    bright = [colorsys.hsv_to_rgb(angle / (2 * np.pi) % 1, 0.7, 1.0) for angle in angles.tolist()]
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in bright]


def _stroke(pixels: Pixels, paths: list[Floats], colors: list[Color], width: int, opacity: float) -> None:
    """Draw paths, [n, 2] each, onto the pixels in place: antialiased, with a dark edge, visible on any background."""
    layer = np.full_like(pixels, DARK)
    masks = np.zeros((2, *pixels.shape[:2]), np.uint8)
    for path, color in zip(paths, colors, strict=True):
        whole = [np.round(path * 2**SHIFT).astype(np.int32)]
        cv2.polylines(layer, whole, False, color, width + 2, cv2.LINE_8, SHIFT)
        for mask, wide in zip(masks, (width + EDGE, width), strict=True):
            cv2.polylines(mask, whole, False, (255,), wide, cv2.LINE_AA, SHIFT)
    touched = masks[0] > 0
    for mask, shade, strong in zip(masks, (DARK, layer[touched]), (opacity / 2, opacity), strict=True):
        share = mask[touched][:, None] * np.float32(strong / 255)
        pixels[touched] = np.round(pixels[touched] * (1 - share) + shade * share)

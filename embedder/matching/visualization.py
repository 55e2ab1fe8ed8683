"""Proof: a picture for people that shows why two photos were taken for the same pack.

The query photo and the reference photo together, the points that were found in both joined by lines, and the product's
outline where it lies in the query photo. The measurements behind it are verify.py's.
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

#: The proof is so wide, and at most so high, in pixels: sharp on a phone, which shows it at half of that.
WIDTH, HEIGHT = 960, 1280
GAP = 12
#: Two pictures that are together wider than this many times their height are put one above the other.
WIDEST = 2.0
#: More lines than this hide what they join.
LINES = 32
#: Widths of lines and of the outline, how much wider their dark edge is, and the radius of a dot, in pixels.
THIN, THICK, EDGE, DOT = 2, 5, 2, 4
GROUND: Color = (255, 255, 255)
DARK: Color = (12, 16, 24)
OUTLINE: Color = (48, 220, 90)
#: Lines let what is below shine through: a bundle of them is no curtain.
OPACITY = 0.75
#: OpenCV takes places as counts of 1/16 of a pixel.
SHIFT = 4
#: The ground of a catalog picture: its levels differ by so little from those of the picture's corner.
PLAIN = 24
#: What is taken around the matched points of a product on any other ground, as a share of the picture's sides.
MARGIN = 0.03


def draw_agreement(
    query: Image.Image, reference: Image.Image, here: LocalFeatures, there: LocalFeatures, match: Agreement
) -> Image.Image:
    """Query and reference, upright RGB pictures as images.decode gives them, and their details -> the proof, RGB.

    `match` is verify(here, there). WIDTH pixels wide, or narrower where it would be higher than HEIGHT; the query is on
    the left, or above. At most LINES matched points are joined, those that are spread most evenly over the reference;
    what of the product's outline lies outside of the query photo is cut off. Without a match both pictures are bare.
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
    _stroke(seen, [np.vstack([corners, corners[:1]])], [OUTLINE], THICK, 1.0)
    shown = match.pairs[_spread(there.points[match.pairs[:, 1], :2])]
    starts = _onto(here.points[shown[:, 0], :2], here, first)
    ends = _onto(there.points[shown[:, 1], :2], there, second)
    colors = _colors(ends)
    _stroke(pixels, list(np.stack([starts, ends], axis=1)), colors, THIN, OPACITY)
    _stroke(pixels, [np.stack([place, place]) for place in (*starts, *ends)], colors * 2, 2 * DOT, 1.0)
    return Image.fromarray(pixels)


def to_jpeg(proof: Image.Image) -> bytes:
    """A proof -> the bytes of a JPEG file. Its colours are kept at full size, or thin lines would fade."""
    file = io.BytesIO()
    proof.save(file, "JPEG", quality=85, subsampling=0)
    return file.getvalue()


def _places(query: tuple[int, int], reference: tuple[int, int]) -> tuple[Box, Box]:
    """Sizes of both pictures -> where they are drawn: of one height beside, or of one width above each other."""
    one, other = (width / height for width, height in (query, reference))
    if one + other <= WIDEST:
        high = int(min(HEIGHT, (WIDTH - GAP) / (one + other)))
        wide, rest = (max(1, int(shape * high)) for shape in (one, other))
        return (0, 0, wide, high), (wide + GAP, 0, wide + GAP + rest, high)
    wide = int(min(WIDTH, (HEIGHT - GAP) / (1 / one + 1 / other)))
    high, rest = (max(1, int(wide / shape)) for shape in (one, other))
    return (0, 0, wide, high), (0, high + GAP, wide, high + GAP + rest)


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


def _onto(points: npt.NDArray[np.float32], details: LocalFeatures, box: Box) -> Floats:
    """Points [n, 2] of details -> their places on the canvas."""
    shares = points.astype(np.float64) / (details.width, details.height)
    return shares * _size(box) + box[:2]


def _outline(match: Agreement, reference: Pixels, there: LocalFeatures) -> Floats:
    """Where the product lies in the query photo, [4, 2] in shares of it: its box in the reference as the match sees it.

    `match.outline` is that of the whole reference picture, with all that is around the product.
    """
    left, top, right, bottom = _product(reference, there.points[match.pairs[:, 1], :2] / (there.width, there.height))
    box = np.array([[(left, top), (right, top), (right, bottom), (left, bottom)]], np.float64)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    seen = cv2.getPerspectiveTransform(square, np.asarray(match.outline, np.float32))
    return np.asarray(cv2.perspectiveTransform(box, seen)[0], np.float64)


def _product(reference: Pixels, places: Floats) -> list[float]:
    """The product's left, top, right and bottom in the reference picture, in shares of it: all but a plain ground.

    A photo by hand has no plain ground: there it is the box of the matched places [n, 2], with MARGIN around it.
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
    """Places [n, 2] -> indices of at most LINES of them: each next is the one that is farthest from those before."""
    chosen = [0]
    distances = np.full(len(places), np.inf)
    while len(chosen) < min(LINES, len(places)):
        distances = np.minimum(distances, np.hypot(*(places - places[chosen[-1]]).T))
        chosen.append(int(distances.argmax()))
    return np.array(chosen, np.intp)


def _colors(places: Floats) -> list[Color]:
    """Places [n, 2] -> a bright colour for each: those around their middle go once around the colour circle."""
    angles = np.arctan2(*(places - places.mean(axis=0)).T)
    bright = [colorsys.hsv_to_rgb(angle / (2 * np.pi) % 1, 0.7, 1.0) for angle in angles.tolist()]
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in bright]


def _stroke(pixels: Pixels, paths: list[Floats], colors: list[Color], width: int, opacity: float) -> None:
    """Paths, each [n, 2] places, onto the pixels in place: smooth lines with a dark edge, seen on any ground."""
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

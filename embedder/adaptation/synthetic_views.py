"""Synthetic views: one picture of a product -> photos of it as a till's camera would take them.

Most products have one picture, which alone gives a metric loss no positive pair. A synthetic view is drawn in the order
in which things happen to a photo: the pack is turned (homography; labels also bent round a bottle), stands before
something, is lit, partly covered, shines; then the lens and the sensor: blur, few pixels, noise, JPEG. Every view is a
function of the picture, the background and the generator alone.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder.images import Pixels

Array = npt.NDArray[Any]

#: Grey level of the bars beside a photo that is not square (images.fit): a plain ground like any.
GREY = 127
#: Longer side of the product, as a share of the view's side.
EXTENT = (0.4, 1.15)
#: Deviation of the turn in the picture's plane, degrees; and share of the views that are turned by any angle.
TURN, ANY_TURN = 10.0, 0.08
#: Farthest that a corner moves, as a share of the product's side: a perspective.
SKEW = 0.14
#: Share of the views of a picture on white whose white is taken as background, not as part of the product.
CUT_OUT = 0.7
#: Grey level, of 255, from which a corner is white; and how far the white that joins it may be from it.
WHITE, NEAR_WHITE = 238, 8
#: Share of a view's pixels that a cut-out must keep; less, and the white was the product.
LEAST_KEPT = 0.08


def synthesize(picture: Image.Image, size: int, rng: np.random.Generator, background: Image.Image | None) -> Pixels:
    """RGB picture of one product -> a synthetic view, uint8 [size, size, 3].

    `background` is a photo of something else, which may stand behind the product and cover a part of it; None: plain
    grounds alone.
    """
    product, opaque = _product(picture, size, rng)
    if rng.random() < 0.15:
        half = rng.uniform(0.6, 1.4)
        product, opaque = _bend(product, half), _bend(opaque, half)
    to_view = _homography(product.shape[1], product.shape[0], size, rng)
    photo = cv2.warpPerspective(product, to_view, (size, size), flags=cv2.INTER_AREA)
    share = cv2.warpPerspective(opaque, to_view, (size, size), flags=cv2.INTER_LINEAR)[..., None]
    ground = _ground(size, rng, background)
    view = np.asarray(photo, np.float32) * share + ground * (1 - share)
    if rng.random() < 0.3:
        _cover(view, rng, background)
    return _sensor(_lens(_light(view, rng), rng), rng)


def _product(picture: Image.Image, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The picture or a part of it, about the view's size, and how opaque each pixel is, float32 [h, w] of 0..1."""
    width, height = picture.size
    if rng.random() < 0.4:
        share = rng.uniform(0.65, 1.0, 2)
        box = rng.uniform(0, 1, 2) * (1 - share)
        left, top = box[0] * width, box[1] * height
        picture = picture.crop(
            (round(left), round(top), round(left + share[0] * width), round(top + share[1] * height))
        )
    scale = min(1.0, 1.25 * size / max(picture.size))
    width, height = (max(8, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(small, np.uint8)
    opaque: Array = np.ones(pixels.shape[:2], np.float32)
    if rng.random() < CUT_OUT:
        white = _white(pixels)
        if white is not None:
            opaque = cv2.GaussianBlur(1.0 - white, (3, 3), 0)
    return pixels, opaque


def _white(pixels: Array) -> Array | None:
    """Where a picture's white surround is, float32 [h, w] of 0 and 1; None when it has none."""
    height, width = pixels.shape[:2]
    corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
    white = [corner for corner in corners if pixels[corner[1], corner[0]].min() >= WHITE]
    if len(white) < 2:
        return None
    mask = np.zeros((height + 2, width + 2), np.uint8)
    for corner in white:
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
        cv2.floodFill(pixels, mask, corner, (0,), (NEAR_WHITE,) * 3, (NEAR_WHITE,) * 3, flags)
    found = mask[1:-1, 1:-1].astype(np.float32)
    return found if 1 - found.mean() >= LEAST_KEPT else None


def _bend(pixels: Array, half: float) -> Array:
    """A picture laid round an upright cylinder, of which `half` radians are seen to each side of the axis."""
    height, width = pixels.shape[:2]
    across = np.linspace(-math.sin(half), math.sin(half), width)
    columns = (np.arcsin(across) / half + 1) / 2 * (width - 1)
    x = np.repeat(columns.astype(np.float32)[None], height, axis=0)
    y = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return np.asarray(cv2.remap(pixels, x, y, cv2.INTER_LINEAR))


def _homography(width: int, height: int, size: int, rng: np.random.Generator) -> Array:
    """From the picture's pixels to the view's: turned, in perspective, nearer or farther, not always in the middle."""
    angle = math.radians(rng.uniform(-180, 180) if rng.random() < ANY_TURN else rng.normal(0, TURN))
    extent = rng.uniform(*EXTENT) * size
    half = np.array([width, height]) / max(width, height) * extent / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    corners += rng.uniform(-SKEW, SKEW, (4, 2)) * half.min() * 2 * rng.random()
    turn = np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    room = max(0.0, size - extent) / 2 + 0.04 * size
    corners = corners @ turn.T + size / 2 + rng.uniform(-room, room, 2)
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, corners.astype(np.float32)), np.float64)


def _ground(size: int, rng: np.random.Generator, background: Image.Image | None) -> Array:
    """What stands behind the product, float32 [size, size, 3]: a part of the background photo, or one plain color."""
    if background is None or rng.random() < 0.35:
        color = rng.choice([np.full(3, 255.0), np.full(3, float(GREY)), rng.uniform(0, 255, 3)])
        return np.broadcast_to(color.astype(np.float32), (size, size, 3)).copy()
    return _part(background, size, size, rng.uniform(0.4, 1.0), rng)


def _part(picture: Image.Image, width: int, height: int, share: float, rng: np.random.Generator) -> Array:
    """A random part of a picture, `share` of its sides, as float32 [height, width, 3]."""
    wide, high = (share * side for side in picture.size)
    left, top = (float(rng.uniform(0, side * (1 - share))) for side in picture.size)
    box = (left, top, left + wide, top + high)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box), np.float32)


def _cover(view: Array, rng: np.random.Generator, background: Image.Image | None) -> None:
    """Lay something over a part of the view, in place: another product's corner, or a plain patch (a hand, a tag)."""
    size = len(view)
    height, width = (int(side) for side in rng.integers(size // 8, round(size / 2.5), 2))
    # At the rim more often than in the middle: things stand beside a product, hands hold its edges.
    y, x = (round(float(rng.beta(0.6, 0.6)) * (size - side)) for side in (height, width))
    patch: Array = rng.uniform(0, 255, 3)
    if background is not None and rng.random() < 0.6:
        patch = _part(background, width, height, 0.4, rng)
    view[y : y + height, x : x + width] = patch


def _light(view: Array, rng: np.random.Generator) -> Array:
    """Exposure, contrast, white balance, light from one side, and the shine of lamps."""
    size = len(view)
    view = (view - 127) * rng.uniform(0.65, 1.2) + 127
    view = view * rng.uniform(0.6, 1.35) * rng.uniform(0.9, 1.1, 3)
    across = np.linspace(-1, 1, size, dtype=np.float32)
    if rng.random() < 0.4:
        direction = rng.normal(0, 0.25, 2)
        view = view * (1 + direction[0] * across[:, None] + direction[1] * across[None, :])[..., None]
    if rng.random() < 0.25:
        (y, x), (high, wide) = rng.uniform(-0.8, 0.8, 2), rng.uniform(0.08, 0.5, 2)
        spot = np.exp(-(((across[:, None] - y) / high) ** 2) - ((across[None, :] - x) / wide) ** 2)
        view = view + rng.uniform(60, 220) * spot[..., None]
    return np.clip(view, 0, 255).astype(np.float32)


def _lens(view: Array, rng: np.random.Generator) -> Array:
    """Out of focus, moved while the shutter was open, or seen by few pixels: from afar."""
    size = len(view)
    chance = rng.random()
    if chance < 0.15:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.5, max(1.0, size / 80)))
    elif chance < 0.35:
        length = int(rng.integers(3, max(4, size // 14)))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, math.pi)
        middle, reach = (length - 1) / 2, length / 2
        step = np.array((math.cos(angle), math.sin(angle))) * reach
        one, other = (np.round(middle + sign * step).astype(int).tolist() for sign in (-1, 1))
        cv2.line(kernel, one, other, (1.0,))
        view = cv2.filter2D(view, -1, kernel / max(kernel.sum(), 1.0), borderType=cv2.BORDER_REFLECT_101)
    if rng.random() < 0.35:
        few = int(rng.integers(size // 6, round(size / 1.5)))
        small = cv2.resize(view, (few, few), interpolation=cv2.INTER_AREA)
        view = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(view, np.float32)


def _sensor(view: Array, rng: np.random.Generator) -> Pixels:
    """Noise and a JPEG."""
    if rng.random() < 0.35:
        # One draw a pixel for all channels, and at a quarter of the cost: what a network sees of noise is its grain.
        noise = rng.standard_normal(view.shape[:2], dtype=np.float32)[..., None]
        view = view + rng.uniform(2, 12) * noise
    pixels = np.clip(view, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(20, 85))
        done, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))
        if done:
            pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return pixels

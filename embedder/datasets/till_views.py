"""Simulated till views: what a till's camera may see of a product of which there is one picture.

The picture's plain ground is cut away; what is left is wrapped about a cylinder or stays flat, is turned and tilted
(perspective), lies small or large on another photo, is lit, shone on, partly covered, blurred by movement and out of
focus, and comes as the JPEG of a camera. The same picture, ground and generator give the same photo.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images
from embedder.datasets.splits import Photos
from embedder.errors import DataError, ImageError
from embedder.images import Pixels

Floats = npt.NDArray[np.float64]

#: Width and height of a simulated photo, in pixels, upright or not.
FRAME = (480, 360)
#: Longer side of the product, in shares of the frame's shorter one.
SHARE = (0.55, 1.2)
#: A cylinder shows at most this angle of a label to either side, in radians, and is turned by at most TURNED.
WRAPPED, TURNED = (0.7, 1.4), 0.6
#: Degrees: turned in the picture's plane (one in six photos: any angle), and tilted about either axis.
ROLL, TILT = 15.0, 35.0
#: Distance of the camera, in longer sides of the product.
DISTANCE = 1.8
#: Chances of what happens to a photo now and then.
CHANCES = {"wrapped": 0.25, "any roll": 0.15, "covered": 0.5, "glare": 0.5, "moved": 0.5, "noisy": 0.7}


#: Lists the references of a folder of till views, for `--gallery`.
GALLERY_FILE = "gallery.txt"


@dataclass(frozen=True)
class Seen:
    """A product's pixels uint8 [h, w, 3] and what of them is the product, uint8 [h, w]: 0 or 255."""

    pixels: Pixels
    mask: Pixels


def write_till_views(
    photos: Photos, grounds: Photos, out: Path, *, products: int, queries: int, copies: int = 0, seed: int = 1
) -> tuple[int, list[str]]:
    """Till views of so many `queries` out of so many `products`, both drawn by the seed, laid on photos of `grounds`.

    -> how many there are, and a line for each photo that can't be read. A product's first photo is its reference,
    listed in GALLERY_FILE; its view is OUT/SKU/view.jpg. `copies`: so many views more, of strangers that share the
    artwork of a product (OUT/copy of SKU). Raises DataError when `out` holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out} is not empty: till views go into a folder of their own.")
    rng = np.random.default_rng([seed, 13])
    drawn = sorted(rng.permutation(sorted(photos))[:products].tolist())
    below = sorted(path for paths in grounds.values() for path in paths)
    out.mkdir(parents=True, exist_ok=True)
    lines, broken, views = [], [], 0
    asked = set(rng.permutation(drawn)[:queries].tolist())
    copied = set(rng.permutation(drawn)[:copies].tolist())
    for sku in drawn:
        reference = photos[sku][0]
        try:
            picture = images.decode(reference.read_bytes())
            shown = [(sku, picture)] if sku in asked else []
            if sku in copied:
                other = images.decode(photos[drawn[int(rng.integers(len(drawn)))]][0].read_bytes())
                shown.append((f"copy of {sku}", copy_of(picture, other, rng)))
            for name, seen in shown:
                ground = images.decode(below[int(rng.integers(len(below)))].read_bytes(), want=max(FRAME))
                (out / name).mkdir()
                (out / name / "view.jpg").write_bytes(till_view(seen, ground, rng))
                views += 1
        except ImageError as error:
            broken.append(f"{reference}: {error}")
            continue
        lines.append(os.path.relpath(reference, out))
    (out / GALLERY_FILE).write_text("".join(f"{line}\n" for line in lines))
    return views, broken


def till_view(picture: Image.Image, ground: Image.Image, rng: np.random.Generator) -> bytes:
    """RGB picture of a product, and of anything else to lie on -> the bytes of a JPEG, FRAME in size."""
    size = FRAME if rng.random() < 0.5 else FRAME[::-1]
    seen = cut_out(np.asarray(picture.convert("RGB")))
    if rng.random() < CHANCES["wrapped"]:
        seen = wrap(seen, rng)
    scene = np.asarray(ground.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    if rng.random() < 0.5:  # what lies behind is seldom in focus
        scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(1.0, 4.0)).astype(np.uint8)
    placed, where = place(seen, size, rng)
    alpha = cv2.GaussianBlur(placed.mask, (0, 0), 0.7)[..., None] / 255.0
    lit = placed.pixels * rng.uniform(0.65, 1.25) * rng.uniform(0.92, 1.08, 3)
    photo = alpha * lit + (1 - alpha) * scene * rng.uniform(0.6, 1.1)
    if rng.random() < CHANCES["glare"]:
        photo = shine(photo, where, rng)
    if rng.random() < CHANCES["covered"]:
        photo = cover(photo, where, rng)
    return compress(spoil(photo, rng), int(rng.integers(25, 90)))


def copy_of(picture: Image.Image, other: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A product that shares artwork with another: a band of print is from a third, and half have another hue."""
    seen = cut_out(np.asarray(picture.convert("RGB")))
    source = cut_out(np.asarray(other.convert("RGB"))).pixels
    pixels = seen.pixels.copy()
    band = _some(pixels.shape[:2], rng, (0.15, 0.38), (0.55, 1.0))
    patch = np.ascontiguousarray(source[_some(source.shape[:2], rng, (0.15, 0.4), (0.5, 1.0))])
    high, wide = pixels[band].shape[:2]
    pixels[band] = cv2.resize(patch, (wide, high))
    if rng.random() < 0.5:
        hue = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        turn = int(rng.integers(6, 40)) * (1 if rng.random() < 0.5 else -1)
        hue[..., 0] = (hue[..., 0].astype(int) + turn) % 180  # OpenCV's hue: half degrees
        pixels = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB).astype(np.uint8)
    pixels[seen.mask == 0] = 255
    return Image.fromarray(pixels)


def _some(
    shape: tuple[int, ...], rng: np.random.Generator, high: tuple[float, float], wide: tuple[float, float]
) -> tuple[slice, slice]:
    """A part of a picture of this height and width: shares of both drawn from these spans, at a drawn place."""
    parts = []
    for length, span in zip(shape, (high, wide), strict=True):
        part = max(1, round(length * rng.uniform(*span)))
        start = int(rng.integers(length - part + 1))
        parts.append(slice(start, start + part))
    return parts[0], parts[1]


def cut_out(pixels: Pixels) -> Seen:
    """A picture -> itself without the white ground that touches its edge; the whole picture when too little is left."""
    mask = 255 - images.plain_ground(pixels)
    if np.mean(mask > 0) < 0.15:
        mask = np.full_like(mask, 255)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Seen(pixels[box], np.ascontiguousarray(mask[box]))


def wrap(seen: Seen, rng: np.random.Generator) -> Seen:
    """A flat label -> as it looks around an upright cylinder that is turned a little; what is turned away is hidden."""
    height, width = seen.mask.shape
    half = rng.uniform(*WRAPPED)
    turned = rng.uniform(-TURNED, TURNED)
    left, right = (float(np.sin(np.clip(side * half + turned, -np.pi / 2, np.pi / 2))) for side in (-1, 1))
    out = max(8, round(width * (right - left) / (2 * half)))
    across = np.linspace(left, right, out)
    source = ((np.arcsin(np.clip(across, -1, 1)) - turned) / half + 1) / 2 * (width - 1)
    xs = np.repeat(source[None].astype(np.float32), height, axis=0)
    ys = np.repeat(np.arange(height, dtype=np.float32)[:, None], out, axis=1)
    shade = (0.55 + 0.45 * np.sqrt(np.maximum(1 - across**2, 0)))[None, :, None]
    pixels = cv2.remap(seen.pixels, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) * shade
    mask = cv2.remap(seen.mask, xs, ys, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return Seen(np.clip(pixels, 0, 255).astype(np.uint8), mask.astype(np.uint8))


def place(seen: Seen, size: tuple[int, int], rng: np.random.Generator) -> tuple[Seen, Floats]:
    """A product -> in a frame of this width and height, in perspective, and its corners there, [4, 2], in pixels."""
    height, width = seen.mask.shape
    roll = rng.uniform(-180, 180) if rng.random() < CHANCES["any roll"] else rng.normal(0, ROLL)
    tilts = np.radians(np.clip(rng.normal(0, TILT / 2, 2), -TILT * 1.3, TILT * 1.3))
    corners = np.array([(-width, -height, 0), (width, -height, 0), (width, height, 0), (-width, height, 0)], float)
    corners /= max(width, height)
    about = np.eye(3)
    for axis, angle in ((0, tilts[0]), (1, tilts[1]), (2, np.radians(roll))):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.eye(3)
        one, other = [(1, 2), (2, 0), (0, 1)][axis]
        turn[one, one], turn[one, other], turn[other, one], turn[other, other] = c, -s, s, c
        about = turn @ about
    turned = corners @ about.T
    flat = turned[:, :2] / (1 + turned[:, 2:] / (2 * DISTANCE))
    share = rng.uniform(*SHARE) if rng.random() < 0.75 else rng.uniform(0.35, SHARE[0])
    flat *= share * min(size) / 2
    room = np.maximum((np.array(size) - np.ptp(flat, axis=0)) / 2, 0.08 * min(size))
    flat += np.array(size) / 2 - (flat.min(axis=0) + flat.max(axis=0)) / 2 + rng.uniform(-0.8, 0.8, 2) * room
    before = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    by = cv2.getPerspectiveTransform(before, flat.astype(np.float32))
    scale = np.sqrt(abs(np.linalg.det(by[:2, :2])))
    source = seen.pixels
    if scale < 0.5:  # no moire: what is seen small is averaged
        source = cv2.GaussianBlur(source, (0, 0), 0.35 / scale).astype(np.uint8)
    pixels = cv2.warpPerspective(source, by, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpPerspective(seen.mask, by, size, flags=cv2.INTER_LINEAR)
    return Seen(pixels.astype(np.uint8), mask.astype(np.uint8)), flat


def shine(photo: Floats, where: Floats, rng: np.random.Generator) -> Floats:
    """A lamp's glare somewhere on the product (its corners, [4, 2]): an ellipse whose rim is soft."""
    spot = np.zeros(photo.shape[:2], np.float32)
    middle = rng.dirichlet(np.ones(4)) @ where
    long = float(np.ptp(where, axis=0).max())
    axes = (max(2, int(long * rng.uniform(0.05, 0.3))), max(2, int(long * rng.uniform(0.03, 0.15))))
    cv2.ellipse(spot, [round(float(v)) for v in middle], axes, rng.uniform(0, 180), 0, 360, (1.0,), -1)
    soft = cv2.GaussianBlur(spot, (0, 0), max(1.0, 0.04 * long))[..., None] * rng.uniform(0.5, 1.0)
    bright: Floats = photo * (1 - soft) + 255 * soft
    return bright


def cover(photo: Floats, where: Floats, rng: np.random.Generator) -> Floats:
    """Fingers, or something else of one colour, over a side of the product (its corners, [4, 2])."""
    covered = np.clip(photo, 0, 255).astype(np.uint8)
    colour = np.array([203, 152, 121]) * rng.uniform(0.4, 1.15) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
    long = float(np.ptp(where, axis=0).max())
    side = int(rng.integers(4))
    edge = where[side] + rng.random() * (where[(side + 1) % 4] - where[side])
    tip = edge + rng.uniform(0.1, 0.6) * (where.mean(axis=0) - edge)
    out = edge + (edge - tip) * 3
    for _ in range(int(rng.integers(1, 4))):
        shift = rng.normal(0, 0.12 * long, 2)
        ends = [[round(float(v)) for v in end + shift] for end in (tip, out)]
        tint = [float(v) for v in np.clip(colour * rng.uniform(0.9, 1.1), 0, 255)]
        cv2.line(covered, ends[0], ends[1], tint, max(2, int(long * rng.uniform(0.08, 0.25))), cv2.LINE_AA)
    return covered.astype(np.float64)


def spoil(photo: Floats, rng: np.random.Generator) -> Pixels:
    """Moved, out of focus, of few pixels, dark, noisy: what a cheap camera makes of it."""
    poor: npt.NDArray[Any] = photo
    if rng.random() < CHANCES["moved"]:
        length = int(rng.integers(2, 9))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        middle = ((length - 1) / 2, (length - 1) / 2)
        turned = cv2.warpAffine(kernel, cv2.getRotationMatrix2D(middle, rng.uniform(0, 180), 1), (length, length))
        poor = cv2.filter2D(poor, -1, turned / max(float(turned.sum()), 1e-6))
    poor = cv2.GaussianBlur(poor, (0, 0), rng.uniform(0.3, 1.6))
    poor = 255 * np.clip(poor / 255, 0, 1) ** rng.uniform(0.75, 1.4)
    if rng.random() < CHANCES["noisy"]:
        poor = poor + rng.normal(0, rng.uniform(1, 9), poor.shape)
    spoiled: Pixels = np.clip(np.round(poor), 0, 255).astype(np.uint8)
    return spoiled


def compress(pixels: Pixels, quality: int) -> bytes:
    """Pixels uint8 [h, w, 3] -> the bytes of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()

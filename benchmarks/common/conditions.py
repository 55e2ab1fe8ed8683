"""Transformations of a query photo: rotated, far away, small, compressed, covered, seen obliquely, beside another.

Each condition takes a photo and returns the transformed photo with a map, float64 [3, 3], of its pixels' positions.
Places are in pixels, x and y; outlines are [4, 2], clockwise from the top left.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Map = npt.NDArray[np.float64]
Places = npt.NDArray[np.float64]
Seen = tuple[Image.Image, Map]

#: The background of a photo that no longer fills its frame.
GROUND = (127, 127, 127)
SKIN = (203, 152, 121)
#: Distance of the camera from a photo that it looks at obliquely, in longer sides of it: a field of view of 45 degrees.
DISTANCE = 1.2


def mapped(places: Places, by: Map) -> Places:
    """Places [n, 2] -> their positions after the map."""
    ends = np.column_stack([places, np.ones(len(places))]) @ by.T
    return ends[:, :2] / ends[:, 2:]


def _warped(picture: Image.Image, by: Map, size: tuple[int, int]) -> Image.Image:
    pixels = cv2.warpPerspective(
        np.asarray(picture), by, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=GROUND
    )
    return Image.fromarray(pixels)


def _corners(picture: Image.Image) -> Places:
    width, height = picture.size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float)


def turn(picture: Image.Image, degrees: float) -> Seen:
    """The whole photo, rotated clockwise in a frame that grows as needed."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    by = np.array([(c, -s, 0), (s, c, 0), (0, 0, 1)])
    ends = mapped(_corners(picture), by)
    by[:2, 2] = -ends.min(axis=0)
    width, height = np.ceil(np.ptp(ends, axis=0)).astype(int).tolist()
    return _warped(picture, by, (width, height)), by


def tilt(picture: Image.Image, degrees: float, axis: float = 90) -> Seen:
    """The photo as a plane tilted away from the camera about an axis in it (90: upright), in its own frame."""
    width, height = picture.size
    c, s = np.cos(np.radians(axis)), np.sin(np.radians(axis))
    along = np.array([(c, s, 0), (-s, c, 0), (0, 0, 1)])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = along.T @ np.array([(1, 0, 0), (0, c, -s), (0, s, c)]) @ along
    far = DISTANCE * max(width, height)
    # A point of the plane is a sum of the turned axes; what is farther away is divided by more.
    by = np.array([turned[0, [0, 1]], turned[1, [0, 1]], turned[2, [0, 1]] / far])
    by = np.column_stack([by, (0, 0, 1)]) @ np.array([(1, 0, -width / 2), (0, 1, -height / 2), (0, 0, 1)])
    ends = mapped(_corners(picture), by)
    scale = min(picture.size / np.ptp(ends, axis=0))
    shift = np.array(picture.size) / 2 - scale * (ends.min(axis=0) + ends.max(axis=0)) / 2
    by = np.array([(scale, 0, shift[0]), (0, scale, shift[1]), (0, 0, 1)]) @ by
    return _warped(picture, by, picture.size), by


def far_away(picture: Image.Image, ground: Image.Image, outline: Places, share: float = 1 / 3) -> Seen:
    """The photo on top of another, so small that the pack's outline is that fraction of the frame's width."""
    frame = ground.resize(picture.size, Image.Resampling.BILINEAR)
    scale = share * frame.width / np.ptp(outline[:, 0])
    small = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BOX)
    # Off the middle, but the pack all in the frame.
    left, top = (round(0.7 * (whole - part)) for whole, part in zip(frame.size, small.size, strict=True))
    frame.paste(small, (left, top))
    return frame, np.array([(scale, 0, left), (0, scale, top), (0, 0, 1)])


def narrow(picture: Image.Image, width: int = 480) -> Seen:
    """The photo, scaled to a width in pixels."""
    scale = width / picture.width
    small = picture.resize((width, round(picture.height * scale)), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small, np.diag([scale, scale, 1])


def compress(picture: Image.Image, quality: int = 20) -> Seen:
    """The photo after JPEG compression at a low quality."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB"), np.eye(3)


def cover(picture: Image.Image, outline: Places) -> Seen:
    """A third of the pack is hidden: by the glare of a lamp, and by a finger over its side."""
    side = 600
    sheet = np.zeros((side, side, 4), np.uint8)
    cv2.line(sheet, (-40, 455), (330, 400), (*SKIN, 255), 150, cv2.LINE_AA)
    cv2.ellipse(sheet, (390, 170), (185, 112), -25, 0, 360, (255, 255, 250, 255), -1, cv2.LINE_AA)
    square = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32)
    placed = cv2.getPerspectiveTransform(square, outline.astype(np.float32))
    over = Image.fromarray(cv2.warpPerspective(sheet, placed, picture.size, flags=cv2.INTER_AREA))
    covered = picture.copy()
    covered.paste(over, (0, 0), over)
    return covered, np.eye(3)


def beside(picture: Image.Image, other: Image.Image) -> tuple[Image.Image, Map, Map]:
    """Two photos side by side at the same height; and the map of each."""
    scale = picture.height / other.height
    second = other.resize((round(other.width * scale), picture.height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    both = Image.new("RGB", (picture.width + second.width, picture.height))
    both.paste(picture, (0, 0))
    both.paste(second, (picture.width, 0))
    return both, np.eye(3), np.array([(scale, 0, picture.width), (0, scale, 0), (0, 0, 1)])


def _small_and_poor(photo: Image.Image) -> Seen:
    small, by = narrow(photo)
    return compress(small)[0], by


#: Name -> the condition, a function of a photo, the pack's outline in it, and another photo for the background.
CONDITIONS: dict[str, Callable[[Image.Image, Places, Image.Image], Seen]] = {
    "as it is": lambda photo, pack, ground: (photo, np.eye(3)),
    "turned by 45 degrees": lambda photo, pack, ground: turn(photo, 45),
    "turned by 130 degrees": lambda photo, pack, ground: turn(photo, 130),
    "turned by 260 degrees": lambda photo, pack, ground: turn(photo, 260),
    "a third of the frame": lambda photo, pack, ground: far_away(photo, ground, pack),
    "480 px wide": lambda photo, pack, ground: narrow(photo),
    "JPEG quality 20": lambda photo, pack, ground: compress(photo),
    "480 px wide, JPEG quality 20": lambda photo, pack, ground: _small_and_poor(photo),
    "glare and finger over a third": lambda photo, pack, ground: cover(photo, pack),
    "seen at 40 degrees": lambda photo, pack, ground: tilt(photo, 40),
    "seen at 40 degrees, aslant": lambda photo, pack, ground: tilt(photo, -40, 20),
}

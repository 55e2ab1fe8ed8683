"""The retail barcodes (EAN-13, EAN-8, UPC-A, UPC-E) that a photo shows: which numbers, and where.

zxing-cpp reads along rows and columns, so it misses a pack that lies askew; and where the narrowest bar has two pixels
or less, it now and then reads a number that is not there, or half of a barcode as a short one: a check digit lets one
in ten of these pass. Therefore each place that may hold a barcode is cut out, turned level, sharpened and looked at in
several sizes, and a number counts when it was read three times, and no other number on the same bars. The places are
those where zxing-cpp read something in the whole photo, and those where OpenCV's detector sees parallel bars, at
whatever angle.

What it takes: one and a half pixels for the narrowest bar, and a barcode of a tenth of the photo's width.
`benchmarks/barcodes.py` measures both readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp
from PIL import Image

from embedder import images
from embedder.barcodes import gtin

Grey = npt.NDArray[np.uint8]
#: Four corners, or an affine map ([2, 3]), in pixels; OpenCV takes corners in single precision.
Points = npt.NDArray[np.float64]
Corners = npt.NDArray[np.float32]
#: Corners in shares of a photo's width and height.
Place = tuple[tuple[float, float], ...]

#: For `images.decode`: a phone's photo keeps at least twice as many pixels on each side.
WANT = 512
#: Longest side that is looked at. A till's frame and a phone's photo that was made smaller for sending have no more.
LONGEST = 2048
#: Places of bars that are looked at; a shelf or a fence has many, and no barcode.
MAX_PLACES = 8
#: A place is cut out with so much more along it: what was read ends with the bars, and the white beside them belongs to
#: a barcode; the detector's places have most of the white already. Across, a fifth more; and one that was read by few
#: rows is taken to be an eighth as high as it is wide.
BESIDE_READ, BESIDE_BARS, ACROSS, LOWEST = 1.4, 1.15, 1.2, 0.125
#: Widths of a cutting in pixels, and how often a number must be read: a misread at one is seldom repeated at another.
WIDTHS, TIMES = (430, 500, 600, 700), 3
#: Two numbers are of the same bars when one's middle lies in the other's place, which is at least so large beside its
#: own: what is read of an EAN-13 as a UPC-E is half of it.
SAME_BARS = 0.7
#: Sharpening: twice what is lost by a blur of so many widths of a cutting, two thirds of a narrow bar of an EAN-13.
SHARPEN, BLUR = 2.0, 1 / 300
#: Widths of a whole barcode in widths of its narrowest bar (GS1 General Specifications, "EAN/UPC symbology").
MODULES = {zxingcpp.EAN13: 95, zxingcpp.UPCA: 95, zxingcpp.EAN8: 67, zxingcpp.UPCE: 51}
FORMATS = zxingcpp.BarcodeFormats(list(MODULES))
#: Pixels of a photo for the narrowest bar: with less, all looks may agree on a wrong number.
NARROWEST = 1.3


@dataclass(frozen=True)
class Barcode:
    """A barcode that was read; its check digit is right.

    `gtin` has 14 digits (see gtin.py). `place` holds the four corners of its bars, one after the other around
    them, x and y in shares of the photo's width and height.
    """

    gtin: str
    place: Place


def read_barcodes(data: bytes) -> list[Barcode]:
    """The bytes of an image file -> its barcodes, see `read`. Raises ImageError for what is no usable photo."""
    return read(images.decode(data, want=WANT))


def read(picture: Image.Image) -> list[Barcode]:
    """An upright picture -> the barcodes on it, the largest first; none where nothing can be read.

    A number that is there several times is given once.
    """
    grey = picture.convert("L")
    grey.thumbnail((LONGEST, LONGEST))
    pixels: Grey = np.asarray(grey)
    looks = [list(_scan(pixels))]
    places = [(corners.astype(np.float32), BESIDE_READ) for _, corners in looks[0]]
    places += [(corners, BESIDE_BARS) for corners in _bars(pixels)]
    for width in WIDTHS:
        looks.append([found for place, beside in places for found in _look(pixels, place, beside, width)])
    # Two places may be of one barcode, and share its misreads: a number counts once for each size.
    times = Counter(number for look in looks for number in {number for number, _ in look})
    largest: dict[str, Points] = {}
    for number, corners in sorted((found for look in looks for found in look), key=lambda found: -_area(found[1])):
        largest.setdefault(number, corners)
    return [
        Barcode(number, _shares(corners, grey.size))
        for number, corners in largest.items()
        if times[number] >= TIMES and not _disputed(number, largest)
    ]


def _scan(pixels: Grey, scale: float = 1.0) -> Iterator[tuple[str, Points]]:
    """uint8 [height, width] -> what zxing-cpp reads in it: 14 digits, and the corners as float64 [4, 2].

    `scale` is how much the pixels were enlarged: what has too few of the photo's own is left out.
    """
    for found in zxingcpp.read_barcodes(pixels, formats=FORMATS, try_invert=False):
        at = found.position
        points = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        corners = np.array([(point.x, point.y) for point in points], np.float64)
        if np.linalg.norm(corners[1] - corners[0]) >= NARROWEST * MODULES[found.format] * scale:
            yield gtin.parse_gtin(found.text), corners


def _bars(pixels: Grey) -> list[Corners]:
    """Where there are parallel bars: float32 [4, 2] each, the largest first."""
    _, places = cv2.barcode.BarcodeDetector().detect(pixels)
    return [] if places is None else sorted(np.asarray(places, np.float32), key=_area, reverse=True)[:MAX_PLACES]


def _look(pixels: Grey, place: Corners, beside: float, width: int) -> Iterator[tuple[str, Points]]:
    """What is read at a place that is cut out `width` pixels wide, turned so that its long side is level, sharpened.

    `beside` is how much wider than the place the cutting is.
    """
    (x, y), (along, across), angle = cv2.minAreaRect(place)
    if along < across:
        along, across, angle = across, along, angle + 90
    scale = width / (beside * max(along, 1.0))
    high = round(ACROSS * max(across, LOWEST * along) * scale) + 1
    turn: Points = np.asarray(cv2.getRotationMatrix2D((x, y), angle, scale), np.float64)
    turn[:, 2] += width / 2 - x, high / 2 - y
    cutting = cv2.warpAffine(pixels, turn, (width, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(cutting, (0, 0), BLUR * width)
    sharp = cv2.addWeighted(cutting, 1 + SHARPEN, blurred, -SHARPEN, 0)
    back: Points = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    for number, corners in _scan(np.asarray(sharp, np.uint8), scale):
        yield number, corners @ back[:, :2].T + back[:, 2]


def _area(corners: Points | Corners) -> float:
    return cv2.contourArea(corners.astype(np.float32))


def _disputed(number: str, places: dict[str, Points]) -> bool:
    """Whether another number was read on the same bars: the larger of a whole barcode and its half, or a misread."""
    corners = places[number]
    x, y = corners.mean(axis=0)
    return any(
        cv2.pointPolygonTest(place.astype(np.float32), (float(x), float(y)), False) > 0
        and _area(place) > SAME_BARS * _area(corners)
        for other, place in places.items()
        if other != number
    )


def _shares(corners: Points, size: tuple[int, int]) -> Place:
    return tuple((float(x) / size[0], float(y) / size[1]) for x, y in corners)

"""Barcode detection and decoding: retail barcodes (EAN-13, EAN-8, UPC-A, UPC-E) in a photo, numbers and positions.

zxing-cpp scans along rows and columns, so it misses a rotated pack; and where the narrowest bar has two pixels or less,
it now and then misreads a number, or half of a barcode as a short one: one in ten misreads passes the check digit.
Therefore each candidate region is cropped, rotated level, sharpened and decoded at several sizes, and a number is
accepted when it was read three times and no other number was read on the same bars. The candidates are the regions
where zxing-cpp read something in the whole photo, and where OpenCV's detector finds parallel bars, at any angle.

Requires one and a half pixels for the narrowest bar, and a barcode of a tenth of the photo's width.
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

#: `want` of `images.decode`, in pixels: a phone's photo keeps at least twice as many on each side.
WANT = 512
#: Longest side that is scanned, in pixels. A till's frame and a phone's photo reduced for sending have no more.
LONGEST = 2048
#: Regions of parallel bars that are decoded, at most; a shelf or a fence has many, and no barcode.
MAX_PLACES = 8
#: Width of a crop in widths of a region where a number was read: that ends with the bars, a barcode needs a quiet zone.
BESIDE_READ = 1.4
#: Width of a crop in widths of a region of the detector, which has most of the quiet zone already.
BESIDE_BARS = 1.15
#: Height of a crop in heights of its region.
ACROSS = 1.2
#: Least height of a region in its widths, since a number may have been read from few rows.
LOWEST = 0.125
#: Widths of a crop that are decoded, in pixels.
WIDTHS = (430, 500, 600, 700)
#: Scans (the whole photo, and each width) in which a number must be read: misreads are seldom repeated at another size.
TIMES = 3
#: Two numbers are of the same bars when the centre of one lies in the region of the other, whose area is more than this
#: share of its own: what is read of an EAN-13 as a UPC-E is half of it.
SAME_BARS = 0.7
#: Unsharp masking: how much of the difference to the blurred crop is added.
SHARPEN = 2.0
#: Sigma of its Gaussian blur in widths of a crop: two thirds of a narrow bar of an EAN-13.
BLUR = 1 / 300
#: Width of a barcode in modules, the width of its narrowest bar (GS1 General Specifications, "EAN/UPC symbology").
MODULES = {zxingcpp.EAN13: 95, zxingcpp.UPCA: 95, zxingcpp.EAN8: 67, zxingcpp.UPCE: 51}
FORMATS = zxingcpp.BarcodeFormats(list(MODULES))
#: Pixels of the photo for a module, at least: with less, all sizes may agree on a wrong number.
NARROWEST = 1.3


@dataclass(frozen=True)
class Barcode:
    """A decoded barcode with a valid check digit.

    `gtin` has 14 digits (see gtin.py). `place` holds the four corners of its bars, in order around them, x and y in
    shares of the photo's width and height.
    """

    gtin: str
    place: Place


def read_barcodes(data: bytes) -> list[Barcode]:
    """Bytes of an image file -> its barcodes, see `read`. Raises ImageError for a photo that can't be used."""
    return read(images.decode(data, want=WANT))


def read(picture: Image.Image) -> list[Barcode]:
    """Upright picture -> its barcodes, the largest first, each number once; empty where nothing can be read."""
    grey = picture.convert("L")
    grey.thumbnail((LONGEST, LONGEST))
    pixels: Grey = np.asarray(grey)
    scans = [list(_scan(pixels))]
    places = [(corners.astype(np.float32), BESIDE_READ) for _, corners in scans[0]]
    places += [(corners, BESIDE_BARS) for corners in _bars(pixels)]
    for width in WIDTHS:
        scans.append([found for place, beside in places for found in _look(pixels, place, beside, width)])
    # Regions may overlap and share a misread: a number counts once for each size.
    times = Counter(number for scan in scans for number in {number for number, _ in scan})
    largest: dict[str, Points] = {}
    for number, corners in sorted((found for scan in scans for found in scan), key=lambda found: -_area(found[1])):
        largest.setdefault(number, corners)
    return [
        Barcode(number, _shares(corners, grey.size))
        for number, corners in largest.items()
        if times[number] >= TIMES and not _disputed(number, largest)
    ]


def _scan(pixels: Grey, scale: float = 1.0) -> Iterator[tuple[str, Points]]:
    """uint8 [height, width] -> barcodes that zxing-cpp reads: 14 digits, and the corners as float64 [4, 2].

    `scale` is how much the photo's pixels were enlarged: barcodes of too few original pixels are left out.
    """
    for found in zxingcpp.read_barcodes(pixels, formats=FORMATS, try_invert=False):
        at = found.position
        points = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
        corners = np.array([(point.x, point.y) for point in points], np.float64)
        if np.linalg.norm(corners[1] - corners[0]) >= NARROWEST * MODULES[found.format] * scale:
            yield gtin.parse_gtin(found.text), corners


def _bars(pixels: Grey) -> list[Corners]:
    """Regions of parallel bars: corners as float32 [4, 2] each, the largest first."""
    _, places = cv2.barcode.BarcodeDetector().detect(pixels)
    return [] if places is None else sorted(np.asarray(places, np.float32), key=_area, reverse=True)[:MAX_PLACES]


def _look(pixels: Grey, place: Corners, beside: float, width: int) -> Iterator[tuple[str, Points]]:
    """Barcodes read in a region: cropped to `width` pixels, rotated so that its long side is level, sharpened.

    `beside` is the crop's width in widths of the region.
    """
    (x, y), (along, across), angle = cv2.minAreaRect(place)
    if along < across:
        along, across, angle = across, along, angle + 90
    scale = width / (beside * max(along, 1.0))
    high = round(ACROSS * max(across, LOWEST * along) * scale) + 1
    turn: Points = np.asarray(cv2.getRotationMatrix2D((x, y), angle, scale), np.float64)
    turn[:, 2] += width / 2 - x, high / 2 - y
    crop = cv2.warpAffine(pixels, turn, (width, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    blurred = cv2.GaussianBlur(crop, (0, 0), BLUR * width)
    sharp = cv2.addWeighted(crop, 1 + SHARPEN, blurred, -SHARPEN, 0)
    back: Points = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    for number, corners in _scan(np.asarray(sharp, np.uint8), scale):
        yield number, corners @ back[:, :2].T + back[:, 2]


def _area(corners: Points | Corners) -> float:
    return cv2.contourArea(corners.astype(np.float32))


def _disputed(number: str, places: dict[str, Points]) -> bool:
    """Whether another number was read on the same bars: a whole barcode read as its half, too, or a misread."""
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

"""Barcode detection and decoding: the barcodes with a GTIN in a photo, numbers and positions.

Of packs EAN-13, EAN-8, UPC-A, UPC-E and DataBar, of cases ITF-14 and GS1-128; and GS1 DataMatrix and QR codes, GS1 or
with a Digital Link. Those of other content, a link to a page or a serial number, are no barcodes of a product.

zxing-cpp scans along rows and columns, so it misses a rotated pack; and where the narrowest bar has two pixels or less,
it now and then misreads a number, or half of a barcode as a short one: one in ten misreads passes the check digit.
Therefore each candidate region is cropped, rotated level, sharpened and decoded at several sizes, and a number is
accepted when it was read three times and no other number was read on the same bars. The candidates are the regions
where zxing-cpp read something in the whole photo, and where OpenCV's detector finds parallel bars, at any angle.
DataMatrix and QR codes correct their errors and are found at any angle, and GS1-128 and DataBar Expanded have a check
character: one reading of these is enough.

Requires one and a half pixels for the narrowest bar, and a barcode of a tenth of the photo's width.
`benchmarks/barcodes.py` measures both readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp
from PIL import Image

from embedder import images
from embedder.barcodes import gs1, gtin
from embedder.errors import GtinError

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
#: And for DataMatrix and QR codes, of which a smaller scan finds what a barcode has to measure (a tenth of the photo).
LONGEST_MATRIX = 1024
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
WIDTHS = (700, 600, 500, 430)
#: Scans (the whole photo, and each width) in which a number must be read: misreads are seldom repeated at another size.
TIMES = 3
#: Two numbers are of the same bars when the centre of one lies in the region of the other, whose area is more than this
#: share of its own: what is read of an EAN-13 as a UPC-E is half of it.
SAME_BARS = 0.7
#: Unsharp masking: how much of the difference to the blurred crop is added.
SHARPEN = 2.0
#: Sigma of its Gaussian blur in widths of a crop: two thirds of a narrow bar of an EAN-13.
BLUR = 1 / 300
#: Width of a barcode in modules, the width of its narrowest bar (GS1 General Specifications, "EAN/UPC symbology",
#: "GS1 DataBar"); of those that vary in width the least with a GTIN.
MODULES = {
    zxingcpp.EAN13: 95,
    zxingcpp.UPCA: 95,
    zxingcpp.EAN8: 67,
    zxingcpp.UPCE: 51,
    zxingcpp.DataBarOmni: 96,
    zxingcpp.DataBarStk: 50,
    zxingcpp.DataBarStkOmni: 50,
    zxingcpp.DataBarLtd: 79,
    zxingcpp.DataBarExp: 102,
    zxingcpp.DataBarExpStk: 53,
    zxingcpp.ITF: 106,
    zxingcpp.ITF14: 106,
    zxingcpp.Code128: 134,
}
EAN_UPC = (zxingcpp.EAN13, zxingcpp.UPCA, zxingcpp.EAN8, zxingcpp.UPCE)
#: Whose number is a GTIN whatever they hold.
BARE = (*EAN_UPC, zxingcpp.ITF, zxingcpp.ITF14)
MATRIX = (zxingcpp.DataMatrix, zxingcpp.QRCode)
#: Those with a check of their own beside the GTIN's digit, of which one reading is enough: the long ones are too wide
#: for most crops.
SURE = (*MATRIX, zxingcpp.DataBarExp, zxingcpp.DataBarExpStk, zxingcpp.Code128)
#: What is scanned for: symbols of bars (ITF of 14 digits only), EAN and UPC alone, symbols of squares.
BARS = zxingcpp.BarcodeFormats([kind for kind in MODULES if kind != zxingcpp.ITF])
RETAIL_BARS = zxingcpp.BarcodeFormats(list(EAN_UPC))
MATRICES = zxingcpp.BarcodeFormats(list(MATRIX))
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
    scans = [[found for read in _decode(pixels, BARS) for found in _taken(read)]]
    places = [(found.corners.astype(np.float32), BESIDE_READ) for found in scans[0]]
    places += [(corners, BESIDE_BARS) for corners in _bars(pixels)]
    for width in WIDTHS:
        # The other symbols cost half as much again, so once nothing but retail barcodes was read, those alone are.
        kinds = [found.retail for scan in scans for found in scan]
        formats = BARS if (not kinds and width == WIDTHS[0]) or not all(kinds) else RETAIL_BARS
        scans.append([found for place, beside in places for found in _look(pixels, place, beside, width, formats)])
    scans.append(_matrices(pixels))
    # Regions may overlap and share a misread: a number counts once for each size.
    times = Counter(number for scan in scans for number in {found.number for found in scan})
    largest: dict[str, _Read] = {}
    for found in sorted((found for scan in scans for found in scan), key=lambda found: -_area(found.corners)):
        largest.setdefault(found.number, found)
    sure = {found.number for scan in scans for found in scan if found.sure}
    return [
        Barcode(number, _shares(found.corners, grey.size))
        for number, found in largest.items()
        if number in sure or (times[number] >= TIMES and not _disputed(number, largest))
    ]


class _Read(NamedTuple):
    """What was read once: 14 digits; the corners as float64 [4, 2]; whether that is sure; whether of an EAN or UPC."""

    number: str
    corners: Points
    sure: bool
    retail: bool


def _matrices(pixels: Grey) -> list[_Read]:
    """DataMatrix and QR codes in uint8 [height, width]."""
    scale = min(1.0, LONGEST_MATRIX / max(pixels.shape))
    small = pixels if scale == 1.0 else cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    reads = [found for read in _decode(np.asarray(small, np.uint8), MATRICES) for found in _taken(read)]
    return [found._replace(corners=found.corners / scale) for found in reads]


def _decode(pixels: Grey, formats: zxingcpp.BarcodeFormats) -> list[zxingcpp.Barcode]:
    """uint8 [height, width] -> what zxing-cpp reads."""
    found: list[zxingcpp.Barcode] = zxingcpp.read_barcodes(pixels, formats=formats, try_invert=False)
    return found


def _taken(found: zxingcpp.Barcode, scale: float = 1.0) -> Iterator[_Read]:
    """What zxing-cpp read; nothing for what has no GTIN.

    `scale` is how much the photo's pixels were enlarged: bars of too few original pixels are left out.
    """
    at = found.position
    points = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
    corners = np.array([(point.x, point.y) for point in points], np.float64)
    if np.linalg.norm(corners[1] - corners[0]) < NARROWEST * MODULES.get(found.format, 0) * scale:
        return
    is_link = found.format in MATRIX and gs1.is_link(found.text)
    if found.format in BARE or found.content_type == zxingcpp.ContentType.GS1 or is_link:
        try:
            number = gtin.parse_gtin(found.symbology_identifier + found.text)
        except GtinError:  # a page's address, a pallet's number
            return
        yield _Read(number, corners, found.format in SURE, found.format in EAN_UPC)


def _bars(pixels: Grey) -> list[Corners]:
    """Regions of parallel bars: corners as float32 [4, 2] each, the largest first."""
    _, places = cv2.barcode.BarcodeDetector().detect(pixels)
    return [] if places is None else sorted(np.asarray(places, np.float32), key=_area, reverse=True)[:MAX_PLACES]


def _look(pixels: Grey, place: Corners, beside: float, width: int, formats: zxingcpp.BarcodeFormats) -> Iterator[_Read]:
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
    for found in _decode(np.asarray(sharp, np.uint8), formats):
        for read_once in _taken(found, scale):
            yield read_once._replace(corners=read_once.corners @ back[:, :2].T + back[:, 2])


def _area(corners: Points | Corners) -> float:
    return cv2.contourArea(corners.astype(np.float32))


def _disputed(number: str, places: dict[str, _Read]) -> bool:
    """Whether another number was read on the same bars: a whole barcode read as its half, too, or a misread."""
    corners = places[number].corners
    x, y = corners.mean(axis=0)
    return any(
        cv2.pointPolygonTest(found.corners.astype(np.float32), (float(x), float(y)), False) > 0
        and _area(found.corners) > SAME_BARS * _area(corners)
        for other, found in places.items()
        if other != number
    )


def _shares(corners: Points, size: tuple[int, int]) -> Place:
    return tuple((float(x) / size[0], float(y) / size[1]) for x, y in corners)

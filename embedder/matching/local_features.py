"""Details: the keypoints and descriptors of a photo, which the second look matches point by point (verify.py).

SIFT keypoints (Lowe 2004, "Distinctive image features from scale-invariant keypoints") with RootSIFT descriptors
(Arandjelovic and Zisserman 2012, "Three things everyone should know to improve object retrieval"). What is printed on a
pack gives hundreds of them, a fruit or a blurred crop few or none: that is a fact about the photo, not an error.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from embedder import images

Points = npt.NDArray[np.float32]
Descriptors = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DetectorSettings:
    """How closely a photo is looked at.

    `side`: the longer side, in pixels, of the picture that is searched; a smaller one is not enlarged, SIFT doubles it
    anyway. `count`: keypoints kept, those of the strongest response. They are not spread over the picture: a till's
    photo has much around the pack, and what is spread is taken from the print.
    """

    side: int
    count: int


#: A pack fills its reference photo and is seen from further away by a till. What is kept of the reference has to be
#: large enough to be seen again there, and of the query enough has to be kept: some of it is not the pack's.
REFERENCE, QUERY = DetectorSettings(240, 400), DetectorSettings(320, 600)
LAYERS = 3
#: SIFT's threshold on contrast, a quarter of OpenCV's: a dark or a pale pack has print too. Where there is plenty, the
#: count keeps the number down.
CONTRAST = 0.01
DIM = 128
#: RootSIFT's elements lie in 0..1, and nearly all of them below a half: so scaled, they fill a byte.
UNIT = 512

#: A point's four numbers are kept as 16-bit counts of this step: 1/64 of a pixel, 1/64 of a degree.
STEP = 1 / 64


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """The keypoints of one photo, strongest first.

    `points` is float32 [n, 4]: x and y in pixels of the scaled picture, diameter in pixels, angle in degrees clockwise
    from the x-axis, each a multiple of STEP. `descriptors` is uint8 [n, 128]: RootSIFT times UNIT, so of about that
    length each. `width` and `height` are those of the scaled picture, in pixels, upright.
    """

    points: Points
    descriptors: Descriptors
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def empty(cls, width: int = 1, height: int = 1) -> LocalFeatures:
        """Of a picture in which there is nothing to hold on to."""
        return cls(np.empty((0, 4), np.float32), np.empty((0, DIM), np.uint8), width, height)


def extract(raw: bytes, sight: DetectorSettings) -> LocalFeatures:
    """The bytes of an image file -> its details; decoded and turned upright as for the embedding. Raises ImageError."""
    return detect(images.decode(raw, want=sight.side), sight)


def detect(picture: Image.Image, sight: DetectorSettings) -> LocalFeatures:
    """RGB picture, upright -> its details: none where there is nothing to hold on to.

    The same picture gives the same details. Safe in many threads: a SIFT object is not, but is made in microseconds.
    """
    grey = _shrink(picture, sight.side)
    height, width = grey.shape
    sift = cv2.SIFT.create(
        nfeatures=sight.count, nOctaveLayers=LAYERS, contrastThreshold=CONTRAST, enable_precise_upscale=True
    )
    keypoints, descriptors = sift.detectAndCompute(grey, None)  # type: ignore[call-overload]  # a mask may be missing
    if not keypoints:
        return LocalFeatures.empty(width, height)
    # OpenCV keeps all that are as strong as the last, and in the order of their places.
    order = np.argsort([-point.response for point in keypoints], kind="stable")[: sight.count]
    points = np.array([(*point.pt, point.size, point.angle) for point in keypoints])[order]
    # Rounded here and not in the file, so that a photo just taken and one read back give the same answer.
    steps = np.clip(np.round(points / STEP), 0, np.iinfo(np.uint16).max)
    return LocalFeatures((steps * STEP).astype(np.float32), root(np.asarray(descriptors)[order]), width, height)


def _shrink(picture: Image.Image, most: int) -> npt.NDArray[np.uint8]:
    """RGB picture -> grey uint8 [height, width], the longer side at most `most`."""
    scale = min(1.0, most / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(small.convert("L"), dtype=np.uint8)


def root(sift: npt.NDArray[np.float32]) -> Descriptors:
    """SIFT descriptors, float32 [n, 128] -> RootSIFT, uint8 [n, 128].

    Each is divided by its sum and its square root taken; the Euclidean distance of two such vectors is the Hellinger
    distance of the histograms, in which a few large bins do not outweigh the rest.
    """
    shares = sift / np.maximum(sift.sum(axis=1, keepdims=True), 1e-6)
    scaled: Descriptors = np.minimum(np.round(np.sqrt(shares) * UNIT), 255).astype(np.uint8)
    return scaled

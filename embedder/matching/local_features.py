"""Local features: the keypoints and descriptors of a photo, which re-ranking matches point by point (verification.py).

SIFT keypoints (Lowe 2004, "Distinctive image features from scale-invariant keypoints") with RootSIFT descriptors
(Arandjelovic and Zisserman 2012, "Three things everyone should know to improve object retrieval"). The print on a
pack gives hundreds of them, a fruit or a blurred crop few or none: a fact about the photo, not an error.
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
    """Resolution and number of keypoints.

    `side`: the longer side, in pixels, that a picture is reduced to; a smaller one is not enlarged, SIFT doubles it
    anyway. `count`: keypoints kept, those of the strongest response. They are not spread evenly over the picture: a
    till's photo shows much around the pack, and keypoints spread there would be missing on the print.
    """

    side: int
    count: int


#: A pack fills its reference photo, and a till sees it from further away: a reference's keypoints must be large enough
#: to be seen again there.
REFERENCE = DetectorSettings(240, 400)
#: A query needs more keypoints, since some of them are not the pack's.
QUERY = DetectorSettings(320, 600)
#: SIFT's layers in each octave.
LAYERS = 3
#: SIFT's contrast threshold, a quarter of OpenCV's: dark and pale packs have print too. Where there is plenty, `count`
#: limits the number.
CONTRAST = 0.01
#: Length of a SIFT descriptor.
DIM = 128
#: RootSIFT's elements lie in 0..1, nearly all of them below a half: times UNIT they fill a byte.
UNIT = 512

#: A point's four numbers are stored as 16-bit multiples of this step: 1/64 of a pixel, 1/64 of a degree.
STEP = 1 / 64


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """The local features of one photo: keypoints and descriptors, strongest response first.

    `points` is float32 [n, 4]: x and y in pixels of the scaled picture, diameter in pixels, angle in degrees clockwise
    from the x-axis, each a multiple of STEP. `descriptors` is uint8 [n, 128]: RootSIFT times UNIT, so of about that
    norm each. `width` and `height` are those of the scaled picture, in pixels, upright.
    """

    points: Points
    descriptors: Descriptors
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def empty(cls, width: int = 1, height: int = 1) -> LocalFeatures:
        """Local features of a picture without any keypoint."""
        return cls(np.empty((0, 4), np.float32), np.empty((0, DIM), np.uint8), width, height)


def extract(raw: bytes, sight: DetectorSettings) -> LocalFeatures:
    """Bytes of an image file -> its local features; decoded and oriented as for the embedding. Raises ImageError."""
    return detect(images.decode(raw, want=sight.side), sight)


def detect(picture: Image.Image, sight: DetectorSettings) -> LocalFeatures:
    """Upright RGB picture -> its local features; empty where SIFT finds no keypoint.

    Deterministic. Thread-safe: a SIFT object is not, but one is made for each call, in microseconds.
    """
    grey: npt.NDArray[np.uint8] = np.asarray(images.shrink(picture, sight.side).convert("L"), dtype=np.uint8)
    height, width = grey.shape
    sift = cv2.SIFT.create(
        nfeatures=sight.count, nOctaveLayers=LAYERS, contrastThreshold=CONTRAST, enable_precise_upscale=True
    )
    keypoints, descriptors = sift.detectAndCompute(grey, None)  # type: ignore[call-overload]  # a mask may be missing
    if not keypoints:
        return LocalFeatures.empty(width, height)
    # OpenCV keeps all ties with the last one, and orders by position.
    order = np.argsort([-point.response for point in keypoints], kind="stable")[: sight.count]
    points = np.column_stack(
        [cv2.KeyPoint.convert(keypoints), [(point.size, point.angle) for point in keypoints]]
    ).astype(np.float64)[order]
    # Rounded here, not in the file, so that features just extracted and those read back give the same answer.
    steps = np.clip(np.round(points / STEP), 0, np.iinfo(np.uint16).max)
    return LocalFeatures((steps * STEP).astype(np.float32), root(np.asarray(descriptors)[order]), width, height)


def root(sift: npt.NDArray[np.float32]) -> Descriptors:
    """SIFT descriptors, float32 [n, 128] -> RootSIFT, uint8 [n, 128].

    L1-normalized, then the square root: the Euclidean distance of two such vectors is the Hellinger distance of the
    histograms, in which a few large bins do not outweigh the rest (Arandjelovic and Zisserman 2012).
    """
    shares = sift / np.maximum(sift.sum(axis=1, keepdims=True), 1e-6)
    scaled: Descriptors = np.minimum(np.round(np.sqrt(shares) * UNIT), 255).astype(np.uint8)
    return scaled

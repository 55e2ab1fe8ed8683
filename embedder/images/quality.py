"""Image quality checks that need the photo alone: too small, too dark, too bright, too blurred.

Measured after scaling to one size, so that photos of phones and tills compare. The thresholds were chosen on real
photos, as taken and degraded (benchmarks/admission.py): photos taken on purpose pass, including smooth fruit and studio
pictures on white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Fault = Literal["too_small", "too_dark", "too_bright", "too_blurred"]
Grey = npt.NDArray[np.uint8]

#: Longer side, in pixels, of the picture that is measured. A smaller one is not enlarged.
SIDE = 320
#: Too small: shorter side in pixels below this, which the network's input would enlarge more than twofold.
SMALLEST = 96
#: Too dark: 95th percentile below this, in grey levels (0 to 255).
MIN_LIGHT_LEVEL = 90
#: Too dark, too: mean below this, in grey levels.
MIN_MEAN_LEVEL = 40
#: Level (0 to 255) from which on a channel counts as clipped.
CLIPPED_LEVEL = 253
#: A pixel with every channel at or above this level is white: paper, or a studio's background.
WHITE_LEVEL = 245
#: Too bright: more than this share of the non-white pixels is clipped.
MAX_BURNT_SHARE = 0.3
#: Too bright, too: less than this share of the pixels is non-white.
MIN_NONWHITE_SHARE = 0.02
#: Too blurred: variance of the Laplacian below this, in squared grey levels.
MIN_SHARPNESS = 32.0
#: Too blurred, too: blur effect (0 sharp, 1 blurred) above this.
MAX_BLUR_EFFECT = 0.65
#: Width in pixels of the low-pass filter that the blur effect applies.
BLUR_WIDTH = 9


@dataclass(frozen=True)
class Quality:
    """Quality measures of a photo.

    `side`: shorter side in pixels; `light`, `mean`: 95th percentile and mean of the grey levels (0 to 255); `burnt`:
    share of the non-white pixels clipped in some channel; `white`: share of white pixels; `sharpness`: variance of the
    Laplacian, in squared grey levels; `blur`: the blur effect, 0 (sharp) to 1.
    """

    side: int
    light: float
    mean: float
    burnt: float
    white: float
    sharpness: float
    blur: float


def measure(picture: Image.Image, side: int) -> Quality:
    """Upright RGB picture, and the shorter side in pixels of the photo that it was decoded from (maybe larger)."""
    scale = min(1.0, SIDE / max(picture.size))
    size = tuple(max(1, round(pixels * scale)) for pixels in picture.size)
    small = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    colors, grey = np.asarray(small), np.asarray(small.convert("L"))
    # Overexposure clips one channel of a color before the others; a white background is clipped in all three.
    paper = colors.min(axis=2) >= WHITE_LEVEL
    burnt = (colors.max(axis=2) >= CLIPPED_LEVEL) & ~paper
    return Quality(
        side=side,
        light=float(np.percentile(grey, 95)),
        mean=float(grey.mean()),
        burnt=float(burnt.sum() / max(1, (~paper).sum())),
        white=float(paper.mean()),
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        blur=_blur_effect(grey),
    )


def faults(quality: Quality) -> tuple[Fault, ...]:
    """Warnings about a photo of this quality; usually none."""
    found: list[Fault] = []
    if quality.side < SMALLEST:
        found.append("too_small")
    if quality.light < MIN_LIGHT_LEVEL or quality.mean < MIN_MEAN_LEVEL:
        found.append("too_dark")
    elif quality.burnt > MAX_BURNT_SHARE or quality.white > 1 - MIN_NONWHITE_SHARE:
        found.append("too_bright")
    elif quality.sharpness < MIN_SHARPNESS or quality.blur > MAX_BLUR_EFFECT:
        # Checked last: in a dark or overexposed photo there is no contrast to measure blur by.
        found.append("too_blurred")
    return tuple(found)


def _blur_effect(grey: Grey) -> float:
    """Blur effect, 0 (sharp) to 1: how little detail blurring again removes; the larger value of the two axes.

    Crete et al. 2007, "The blur effect: perception and estimation with a new no-reference perceptual blur metric". It
    detects motion blur, which the Laplacian misses: edges across the motion stay sharp.
    """
    levels = grey.astype(np.float32)
    effects = []
    for axis, kernel in ((0, (1, BLUR_WIDTH)), (1, (BLUR_WIDTH, 1))):
        before = np.abs(np.diff(levels, axis=axis))
        after = np.abs(np.diff(cv2.blur(levels, kernel), axis=axis))
        total = float(before.sum())
        effects.append(1 - float(np.maximum(0, before - after).sum()) / total if total else 1.0)
    return max(effects)

"""What speaks against a photo by itself: too small, too dark, too bright, too blurred.

Measured on the picture at one size, so that a phone's photo and a till's compare. The thresholds were chosen on real
photos, ordinary ones and the same made worse (benchmarks/admission.py): photos that people took on purpose pass, smooth
fruit and studio pictures on white among them.
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
#: Pixels of the shorter side below which a photo is enlarged to more than twice for the network.
SMALLEST = 96
#: Too dark: the lightest twentieth is not lighter than this, or the mean is not, in grey levels of 255.
LIGHT, MEAN = 90, 40
#: A channel of this value is clipped; a pixel whose every channel reaches WHITE is white paper, or a studio's ground.
CLIPPED, WHITE = 253, 245
#: Too bright: of what is not white, more than this share is clipped, or hardly anything is not white.
BURNT, PAPER = 0.3, 0.02
#: Too blurred: below this variance of the Laplacian, in squared grey levels, or above this blur effect.
SHARP, EFFECT = 32.0, 0.65
#: Pixels over which the blur effect blurs once more.
AGAIN = 9


@dataclass(frozen=True)
class Quality:
    """Of a photo: shorter side in pixels; grey levels (0 to 255) that a twentieth is lighter than, and in the mean.

    `burnt`: of what is not white, the share that is clipped in a channel; `white`: the share that is. `sharpness`:
    variance of the Laplacian; `blur`: the blur effect, 0 (sharp) to 1.
    """

    side: int
    light: float
    mean: float
    burnt: float
    white: float
    sharpness: float
    blur: float


def measure(picture: Image.Image, side: int) -> Quality:
    """RGB picture, upright, and the shorter side of the photo that it was decoded from (which may be larger)."""
    scale = min(1.0, SIDE / max(picture.size))
    size = tuple(max(1, round(pixels * scale)) for pixels in picture.size)
    small = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    colors, grey = np.asarray(small), np.asarray(small.convert("L"))
    # Light that is too much clips one channel of a color before the others; a white ground is clipped in all three.
    paper = colors.min(axis=2) >= WHITE
    burnt = (colors.max(axis=2) >= CLIPPED) & ~paper
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
    """What speaks against a photo of this quality; nothing, as a rule."""
    found: list[Fault] = []
    if quality.side < SMALLEST:
        found.append("too_small")
    if quality.light < LIGHT or quality.mean < MEAN:
        found.append("too_dark")
    elif quality.burnt > BURNT or quality.white > 1 - PAPER:
        found.append("too_bright")
    elif quality.sharpness < SHARP or quality.blur > EFFECT:
        # Of a photo without contrast, which is dark or burnt out, it could not be told.
        found.append("too_blurred")
    return tuple(found)


def _blur_effect(grey: Grey) -> float:
    """How little is lost when the picture is blurred once more, along the axis where that is least.

    Crete et al. 2007, "The blur effect: perception and estimation with a new no-reference perceptual blur metric". It
    sees the blur of a hand that moved, which leaves the Laplacian its edges across.
    """
    levels = grey.astype(np.float32)
    effects = []
    for axis, kernel in ((0, (1, AGAIN)), (1, (AGAIN, 1))):
        before = np.abs(np.diff(levels, axis=axis))
        after = np.abs(np.diff(cv2.blur(levels, kernel), axis=axis))
        total = float(before.sum())
        effects.append(1 - float(np.maximum(0, before - after).sum()) / total if total else 1.0)
    return max(effects)

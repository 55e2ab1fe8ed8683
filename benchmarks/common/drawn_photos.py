"""Synthetic photos with the grain of a camera."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

SEED = 7


def draw(size: tuple[int, int], grain: float, seed: int = SEED) -> bytes:
    """A photo-like scene as a JPEG of quality 90: uneven light, shapes with edges and print, lens blur, grain."""
    rng = np.random.default_rng(seed)
    wide, high = size
    x, y = np.linspace(0, 1, wide, dtype=np.float32), np.linspace(0, 1, high, dtype=np.float32)[:, None]
    scene = np.dstack([90 + 110 * x + 0 * y, 70 + 100 * y + 0 * x, 180 - 120 * x * y])
    for _ in range(40):
        color = tuple(float(value) for value in rng.uniform(0, 255, 3))
        at, place = ((int(rng.integers(wide)), int(rng.integers(high))) for _ in range(2))
        cv2.circle(scene, at, round(rng.uniform(0.01, 0.12) * wide), color, -1, cv2.LINE_AA)
        height = rng.uniform(1, 9) * wide / 4000
        cv2.putText(scene, "Oat drink 1 l", place, 0, height, color, max(1, wide // 500), cv2.LINE_AA)
    scene = cv2.GaussianBlur(scene, (0, 0), 1.2)
    scene += cv2.GaussianBlur(rng.standard_normal((high, wide), np.float32) * grain, (0, 0), 0.8)[..., None]
    return encode(Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8)))


def encode(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()

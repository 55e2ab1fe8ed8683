"""Data augmentation: random changes as of cameras and light, and mixing of photos (mixup, CutMix)."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from PIL import Image

from embedder import images


def augment(picture: Image.Image, size: int, rng: np.random.Generator) -> images.Pixels:
    """RGB picture -> a random view, uint8 [size, size, 3].

    Random crop (35 to 100 % of the area), horizontal flip, rotation by up to 20 degrees, contrast, brightness, a slight
    color cast, and sometimes blur or random erasing. No hue jitter: color is what tells a green apple from a red one.
    """
    width, height = picture.size
    area = rng.uniform(0.35, 1.0) * width * height
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    box_w, box_h = min(width, np.sqrt(area * ratio)), min(height, np.sqrt(area / ratio))
    left, top = rng.uniform(0, width - box_w), rng.uniform(0, height - box_h)
    view = picture.crop((round(left), round(top), round(left + box_w), round(top + box_h)))
    pixels = images.fit(view, size)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-20, 20), 1.0)
        turned = cv2.warpAffine(np.ascontiguousarray(pixels), turn, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        pixels = np.asarray(turned, np.uint8)
    light = pixels.astype(np.float32)
    light = (light - 127) * rng.uniform(0.7, 1.3) + 127
    light = light * rng.uniform(0.65, 1.35) * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    if rng.random() < 0.15:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, max(1.0, size / 90))), np.float32)
    if rng.random() < 0.3:
        patch = rng.integers(size // 8, size // 3, 2)
        y, x = rng.integers(0, size - patch[0]), rng.integers(0, size - patch[1])
        light[y : y + patch[0], x : x + patch[1]] = rng.uniform(0, 255, 3)
    return np.clip(light, 0, 255).astype(np.uint8)


def mix(pixels: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Mix each photo with another of the batch: mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019), with equal
    probability; targets are mixed in the same proportion.

    pixels float32 [n, size, size, 3], targets float32 [n, skus] -> the same shapes.
    """
    other = rng.permutation(len(pixels))
    share = float(rng.beta(1.0, 1.0))
    if rng.random() < 0.5:
        mixed = share * pixels + (1 - share) * pixels[other]
    else:
        size = pixels.shape[1]
        side = int(size * math.sqrt(1 - share))
        y, x = rng.integers(0, size - side + 1, 2)
        mixed = pixels.copy()
        mixed[:, y : y + side, x : x + side] = pixels[other, y : y + side, x : x + side]
        share = 1 - (side / size) ** 2
    return mixed.astype(np.float32), (share * targets + (1 - share) * targets[other]).astype(np.float32)

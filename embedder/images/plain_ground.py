"""The white ground that a supplier's picture of a product stands on."""

from __future__ import annotations

import cv2
import numpy as np

from embedder.images.decoding import Pixels

#: Grey levels that the ground may be below white where it touches the edge.
MAX_BELOW_WHITE = 24
#: Grey levels by which a pixel of the ground may differ from its neighbour.
MAX_STEP = 3


def plain_ground(pixels: Pixels) -> Pixels:
    """A picture uint8 [h, w, 3] -> the white ground that touches its edge, uint8 [h, w]: 255, else 0.

    White print inside of the product is not part of it.
    """
    height, width = pixels.shape[:2]
    # OpenCV fills a mask that is one pixel larger on each side.
    ground = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (255 << 8)
    across, down = (0, width // 2, width - 1), (0, height // 2, height - 1)
    filled = np.array(pixels)
    for x, y in [(x, y) for x in across for y in down if x != across[1] or y != down[1]]:
        if not ground[y + 1, x + 1] and int(pixels[y, x].min()) >= 255 - MAX_BELOW_WHITE:
            cv2.floodFill(filled, ground, (x, y), (0,), (MAX_STEP,) * 3, (MAX_STEP,) * 3, flags)
    return np.ascontiguousarray(ground[1:-1, 1:-1])

"""Color profiles: pixels of a wide-gamut picture (Adobe RGB, Display P3, ProPhoto) -> sRGB, as a browser shows it."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from embedder.images.structure import MAX_PROFILE

#: Grey levels by which a color may differ at most for a profile to be sRGB's: there are many files of sRGB.
SAME = 8
#: Where an ICC profile states its color space.
SPACE = slice(16, 20)


def to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """RGB picture with an ICC profile -> the same in sRGB. A profile that is damaged, or not of RGB, is ignored."""
    if not profile or len(profile) > MAX_PROFILE or profile[SPACE] != b"RGB ":
        return picture
    transform = _transform(profile)
    if transform is None:
        return picture
    try:
        converted = ImageCms.applyTransform(picture, transform)
    except Exception:  # the profile is what is damaged, not the picture
        return picture
    return picture if converted is None else converted


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB; None where it would change nothing, or can't be made."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return None
        transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        colors = _colors()
        changed = ImageCms.applyTransform(colors, transform)
    except Exception:  # Little CMS raises errors of any kind on damaged profiles
        return None
    if changed is None:
        return None
    difference = np.abs(np.asarray(colors).astype(int) - np.asarray(changed).astype(int))
    return transform if difference.max() > SAME else None


def _colors() -> Image.Image:
    """Colors from all of the cube."""
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(36, 6, 3))

"""Thumbnails of stored photos, for pages."""

from __future__ import annotations

import io

from embedder import images

#: Longest side of a thumbnail, in pixels.
THUMBNAIL = 240
#: Longest side of a photo that is looked at closely, in pixels.
LARGE = 1200


def thumbnail(data: bytes, side: int = THUMBNAIL) -> bytes:
    """Bytes of a photo -> an upright JPEG of at most `side` pixels. Raises embedder.errors.ImageError."""
    picture = images.decode(data, want=side)
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82, optimize=True)
    return out.getvalue()

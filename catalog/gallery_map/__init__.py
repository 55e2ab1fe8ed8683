"""The gallery map: all reference photos in two dimensions, which products look alike, which photos lie apart."""

from __future__ import annotations

from catalog.gallery_map.layout import is_installed
from catalog.gallery_map.mapping import Mapped, map_gallery
from catalog.gallery_map.showing import (
    AlikePair,
    ApartPhoto,
    MapPhoto,
    MapState,
    list_apart,
    list_pairs,
    pack,
    packed,
    state_of,
    version_of,
)

__all__ = [
    "AlikePair",
    "ApartPhoto",
    "MapPhoto",
    "MapState",
    "Mapped",
    "is_installed",
    "list_apart",
    "list_pairs",
    "map_gallery",
    "pack",
    "packed",
    "state_of",
    "version_of",
]

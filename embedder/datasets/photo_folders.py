"""Photo folders and split files -> photos by SKU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import (
    TiffImagePlugin,  # noqa: F401  (registers itself: without it Pillow imports all of its plugins)
    WebPImagePlugin,  # noqa: F401
)

#: Suffixes that mark a photo when a folder is read.
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


def find_photos(*roots: Path) -> dict[str, list[Path]]:
    """Photo folders or split files -> {SKU: photos}, sorted; a photo's SKU is its parent folder's name, at any depth.

    A split file (.txt) has a path a line, relative to its own folder; anything after a comma is ignored. Folders of one
    name in several roots are one SKU; hidden files and folders are ignored. Raises FileNotFoundError for a root that is
    neither, and for a missing photo of a split file.
    """
    found: dict[str, list[Path]] = {}
    for root in roots:
        for path in _listed(root) if root.suffix == ".txt" and root.is_file() else _below(root):
            # The parent of a photo in the root `.` has no name until it is resolved.
            sku = path.parent.name or path.parent.resolve().name
            found.setdefault(sku, []).append(path)
    return dict(sorted(found.items()))


def _below(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder")
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def _listed(file: Path) -> Iterator[Path]:
    named = (line.partition(",")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    for path in sorted({file.parent / name for name in named if name}):
        if not path.is_file():
            raise FileNotFoundError(f"{file} names {path}, which is not there")
        yield path

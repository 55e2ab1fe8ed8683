"""Check of free disk space before the embedded gallery is opened or written to."""

from __future__ import annotations

import os
from pathlib import Path

from catalog.errors import GalleryFullError

RESERVE = 64 * 1024 * 1024
"""Bytes that must be free. Opening fills the last 32 MB of vectors, one write of 256 points takes 2 MB or a new 32."""


def check_room(root: Path) -> None:
    """Raises GalleryFullError while the disk of a folder has less than RESERVE bytes free.

    Qdrant Edge maps sparse files into memory. If the disk has no block left for a hole, the kernel kills the process by
    SIGBUS, which can't be caught (seen in qdrant-edge 0.9.0, on write and on open). Searching an open gallery fills no
    hole.
    """
    disk = os.statvfs(root)
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < RESERVE:  # no blocks at all: a disk without a limit
        free, needed = disk.f_bavail * disk.f_frsize >> 20, RESERVE >> 20
        raise GalleryFullError(f"The disk of the gallery in {root} is full: {free} MB are free, {needed} are needed.")

"""Atomic and durable file writes: a file is complete or absent, and survives a power cut. What a folder takes."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_file(path: Path, data: bytes, *, sync: bool) -> None:
    """Write a file atomically (temporary file, rename); `sync`: its content survives a power cut. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = file.name
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that the names in it survive a power cut, too. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_usage(folder: Path) -> int:
    """Bytes that the files below a folder take on the disk: holes take none. 0 for a folder that is missing.

    Files that go meanwhile are not counted.
    """
    taken = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                taken += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return taken

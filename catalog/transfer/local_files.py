"""Files of an import on a disk: regular ones only, and no more of them in memory than a photo or a list may have."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from embedder import images

#: Bytes of a CSV, at most.
MAX_LIST = 100 * 1024 * 1024


@dataclass(frozen=True)
class LocalFile:
    """A photo on a disk; `str` gives its path."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Its file name, without folders."""
        return self.path.name

    def read_bytes(self) -> bytes:
        """Its content. Raises OSError like `read_file`."""
        return read_file(self.path, images.MAX_BYTES)


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises OSError, also for a device or a FIFO and for more than `most` bytes."""
    check_regular(path)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""
    if max(size, len(data)) > most:
        raise OSError(0, too_large(max(size, len(data)), most), str(path))
    return data


def check_regular(path: Path) -> None:
    """Raise OSError for what has no end or waits for a writer: a device, a FIFO; likewise for a folder."""
    mode = path.stat().st_mode  # before it is opened, at which a FIFO would wait
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is no regular file", str(path))


def too_large(size: int, most: int) -> str:
    """Why a file of `size` bytes is not read."""
    return f"it has {size:,} bytes; at most {most:,} are possible"


def real_path(path: Path | str) -> str:
    """A path with all links followed; what no file can have as its name stays as it is."""
    try:
        return os.path.realpath(path)
    except ValueError:  # a null character
        return str(path)


def leads_out(path: Path, below: str) -> bool:
    """Whether a path, whether or not anything is there, is none below the folder (a `real_path`), links followed."""
    return not Path(real_path(path)).is_relative_to(below)

"""Backups of every night in one folder: catalog-<date>-<time>.tar, of which the newest stay."""

from __future__ import annotations

import fcntl
import re
from datetime import datetime
from pathlib import Path

_NAME = re.compile(r"catalog-\d{4}-\d{2}-\d{2}-\d{6}\.tar")


def next_archive(folder: Path) -> Path:
    """The file of a backup that is made now, by the clock of this machine: names sort by time."""
    return folder / f"catalog-{datetime.now():%Y-%m-%d-%H%M%S}.tar"


def remove_unfinished(folder: Path) -> None:
    """Remove what killed backups of other nights have left; one that is being written is locked. Raises OSError."""
    for path in folder.glob(".catalog-*.tar.partial"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink(missing_ok=True)


def remove_old(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups, 1 or more; other files stay. Returns what is gone. Raises OSError."""
    archives = sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    for path in archives[max(1, keep) :]:
        path.unlink(missing_ok=True)
    return archives[max(1, keep) :]

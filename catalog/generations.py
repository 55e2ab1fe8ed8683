"""Which model is live: its row in SQL, its collection in the gallery, its embedder."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.errors import ConfigError
from catalog.storage.tables import Generation
from embedder.bundle import Bundle
from embedder.inference import Embedder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Live:
    """A model at work: its row in SQL, its collection in the gallery, its embedder."""

    generation_id: int
    collection: str
    embedder: Embedder


def live_generation(session: Session, *, hold: str | None = None) -> Generation | None:
    """The live generation's row, or None before the first.

    `hold`: "share" keeps it live until the transaction ends, "change" is for the switch.
    """
    query = select(Generation).where(Generation.live)
    if hold is None:
        return session.scalar(query)
    query = query.with_for_update(read=hold == "share")
    found = session.scalar(query)
    # PostgreSQL: a statement that waited for a switch finds that its row is no longer live, and does not look for the
    # row that became it. The next statement does.
    return found or session.scalar(query)


def keep_bundle(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle below `folder` by its id, whole or not at all; then nothing depends on where it came from.

    Raises ConfigError when it can't be written.
    """
    target = folder / bundle.id
    if target.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as fresh:
            copy = shutil.copytree(bundle.path, Path(fresh) / bundle.id)
            try:
                os.rename(copy, target)
            except OSError:
                if not target.is_dir():  # else another process was faster: the content is the same
                    raise
    except OSError as error:
        raise ConfigError(f"The model can't be kept in {folder}: {error.strerror or error}.") from error

"""`... rebuilding drop|commit|photo`: a rebuild that is killed after that step."""

from __future__ import annotations

import os
import signal
import sys

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import outbox


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    outbox.CHUNK = 1
    catalog = Catalog.open(Settings.from_env())
    progress = die if sys.argv[1] == "photo" else lambda done, total: None
    if sys.argv[1] == "drop":
        drop = catalog.gallery.drop
        catalog.gallery.drop = lambda generation: die(drop(generation))  # type: ignore[method-assign]
    elif sys.argv[1] == "commit":
        catalog.generations.release = die  # type: ignore[assignment,method-assign]
    maintenance.rebuild(catalog, progress, actor="rebuilding")

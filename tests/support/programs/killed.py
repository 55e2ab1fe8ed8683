"""`... killed BUNDLE`: a re-embedding that is killed after a few photos."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import outbox
from embedder.bundle import load_bundle

if __name__ == "__main__":
    outbox.CHUNK = 1  # four photos in one go
    catalog = Catalog.open(Settings.from_env())
    maintenance.reembed(
        catalog, load_bundle(Path(sys.argv[1])), lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
    )

"""`... importing_killed DIR N`: an import that kills itself once N photos are in."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from catalog import transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.transfer import sources

if __name__ == "__main__":
    most = int(sys.argv[2])

    def count(done: int, total: int) -> None:
        if done >= most:
            os.kill(os.getpid(), signal.SIGKILL)

    catalog = Catalog.open(Settings.from_env())
    transfer.import_items(catalog, sources.from_folder(Path(sys.argv[1])).items, actor="killed", progress=count)

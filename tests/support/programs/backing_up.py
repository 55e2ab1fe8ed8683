"""`... backing_up OUT`: a backup that says "photo" and then waits to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from catalog.backup import back_up
from catalog.catalog import Catalog
from catalog.config import Settings


def wait(done: int, total: int) -> None:
    print("photo", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    back_up(Catalog.open(Settings.from_env()), Path(sys.argv[1]), wait)

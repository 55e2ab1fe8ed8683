"""Installs an archive on a till's folder, and dies at a step: the n-th call of a function of the operating system."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from catalog.offline import TillFolder, install

folder, archive, name, number = TillFolder(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
real, calls = getattr(os, name), 0


def counted(*args, **options):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **options)


setattr(os, name, counted)
install(folder, archive, folder.trusted())
print("installed", calls, flush=True)

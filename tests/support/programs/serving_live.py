"""`... serving_live [silent]`: a serving process that has the live gallery open, and answers judgements unless silent.

Ends when its standard input does.
"""

from __future__ import annotations

import sys

from catalog import judging
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker

if __name__ == "__main__":
    catalog = Catalog.open(Settings.from_env())
    catalog.generations.ready()
    worker = Worker(catalog, every=0.1, always=(lambda catalog: 0) if sys.argv[1:] else judging.answer_as_live)
    worker.start()
    print("serving", flush=True)
    sys.stdin.read()
    worker.stop()
    catalog.close()

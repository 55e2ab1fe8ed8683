"""`... recognizing SEED...`: a serving process. It recognizes these photos again and again, and adds products.

Prints, for each photo, the bundle that answered and whether the answer was right; `added SEED` for a product;
`error ...` when anything goes wrong. Ends when its standard input does.
"""

from __future__ import annotations

import sys
import threading
from itertools import count

from catalog import judging, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import NewPhoto, Worker
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from tests.support.pictures import jpeg

if __name__ == "__main__":
    catalog = Catalog.open(Settings.from_env())
    worker = Worker(catalog, every=0.2, always=judging.answer_as_live)
    worker.start()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
    seeds = [int(seed) for seed in sys.argv[1:]]
    photos = {seed: jpeg(seed) for seed in seeds}
    for turn in count():
        if ended.is_set():
            break
        seed = seeds[turn % len(seeds)]
        try:
            answer = recognize(catalog, photos[seed])
            print(answer.bundle, answer.matches[0].sku == f"S{seed}", flush=True)
            if turn % 20 == 19:
                new = 1000 + turn
                products.create(catalog, Facts(f"S{new}"), [NewPhoto("photo.jpg", jpeg(new))], Intake("recognizing"))
                print("added", new, flush=True)
        except Exception as error:
            print("error", repr(error), flush=True)
    worker.stop()
    catalog.close()

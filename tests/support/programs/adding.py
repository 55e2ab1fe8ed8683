"""`... adding FIRST`: adds products, one photo each, until it is killed; prints each when it is in."""

from __future__ import annotations

import sys
from itertools import count

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg

if __name__ == "__main__":
    catalog = Catalog.open(Settings.from_env())
    for seed in count(int(sys.argv[1])):
        added = products.create(catalog, Facts(f"S{seed}"), [NewPhoto("photo.jpg", jpeg(seed))], Intake("adding"))
        print(seed, added.searchable, flush=True)

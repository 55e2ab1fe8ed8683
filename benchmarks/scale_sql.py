"""The product list of a big catalog: a page, a search, the counts, on SQLite and on PostgreSQL.

`.venv/bin/python benchmarks/scale_sql.py [--products 100000]`. The products are synthetic: SKU, a name made of a brand,
two words and a size, one of 60 categories, three photo rows that are enrolled in the live generation, and a barcode;
one in fifty is retired. The rows are written in bulk, without photo files. Measured are `listing.list_page` (pages of
48, as on the staff's page) and `listing.counts`; each kind of query runs QUESTIONS times with its own values, the kinds
in turns. PostgreSQL is measured in a database that is created and dropped here; CATALOG_TEST_POSTGRES names the server.
Without one, only SQLite is measured. On a busy machine `least_ms` and `cpu_ms` (this process's CPU time, which for
SQLite is nearly all) are more reliable than the median; `load` is the machine's, before and after. Writes part `sql` of
docs/measurements-catalog.json.
"""

from __future__ import annotations

import argparse

from common.figures import save
from common.product_list import PRODUCTS, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=PRODUCTS, metavar="N")
    save("catalog", run(parser.parse_args().products), part="sql")


if __name__ == "__main__":
    main()

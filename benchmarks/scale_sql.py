"""The product list of a big catalog: a page, a search, the counts, on SQLite and on PostgreSQL.

`.venv/bin/python benchmarks/scale_sql.py [--products 100000]`. The products are drawn: SKU, a name of a brand, two
words and a size, one of 60 categories, three photo rows that are enrolled in the live generation, and a barcode; one in
fifty is retired. Their rows are written in bulk, no photo is. Asked are `listing.list_page` (pages of 48, as the
staff's page has them) and `listing.counts`; each question QUESTIONS times with values of its own, kinds of question in
turns. PostgreSQL is asked in a database that is made and dropped here; CATALOG_TEST_POSTGRES names the server. Without
one, SQLite alone is measured. On a machine that is busy with other things `least_ms` and `cpu_ms` (this
process's CPU time, which for SQLite is nearly all) say more than the median; `load` is the machine's, before and after.
Writes part `sql` of docs/measurements-catalog.json.
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

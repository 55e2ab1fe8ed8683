"""The overview with many answers, the list of duplicates of a big catalog, and comparing the photos of a catalog.

`.venv/bin/python benchmarks/staff_pages.py [--answers 300000] [--products 100000] [--photos FOLDER]`

On SQLite and on PostgreSQL (as scale_sql.py): `look_over` with that many answers in the log, spread evenly over 90
days, one in a hundred judged, and no product; `list_duplicates` with scale_sql.py's products, one in a thousand with
another's name and brand. Each QUESTIONS times. With `--photos` (FOLDER/<SKU>/*.jpg) the first 2,000 SKUs are imported
into an embedded catalog, and all of their photos are compared. Writes part `staff_pages` of
docs/measurements-catalog.json.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from common import product_list
from common.figures import save
from sqlalchemy import insert, select, text

from catalog import maintenance, products, transfer
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.products import duplicates
from catalog.storage.tables import Feedback, Product, RecognitionEntry, now

GOAL_MS = 150.0
QUESTIONS, BLOCK, SKUS = 15, 5000, 2000
SEED = 1


def answer(catalog: Catalog, count: int) -> None:
    """Write `count` answers to the log, and feedback on some."""
    rng, upto = np.random.default_rng(SEED), now()
    for start in range(0, count, BLOCK):
        rows = [
            {
                "id": uuid.UUID(bytes=rng.bytes(16)),
                "at": upto - timedelta(days=90 * (start + at) / count),
                "asked_by": "key till 1",
                "decision": ("match", "match", "match", "ambiguous", "unknown")[int(rng.integers(5))],
                "decided_by": "embedding",
                "sku": "A",
                "score": 0.9,
                "confidence": None,
                "bundle_id": "measured",
                "milliseconds": float(rng.gamma(4, 10)),
            }
            for at in range(min(BLOCK, count - start))
        ]
        with catalog.database.write() as session:
            session.execute(insert(RecognitionEntry), rows)
            judged = [{"recognition_id": row["id"], "at": row["at"], "actor": "till", "correct": False} for row in rows]
            session.execute(insert(Feedback), judged[::100])


def name_alike(catalog: Catalog) -> None:
    """Give one product in a thousand the name and brand of the next one."""
    with catalog.database.write() as session:
        found = list(session.scalars(select(Product).where(Product.active).order_by(Product.sku)))
        for one, other in zip(found[::1000], found[1::1000], strict=False):
            one.name, one.brand = other.name, other.brand


def timed(call: Callable[[], Any]) -> dict[str, float]:
    call()
    taken, busy = [], []
    for _ in range(QUESTIONS):
        began, cpu = time.perf_counter(), time.process_time()
        call()
        busy.append((time.process_time() - cpu) * 1000)
        taken.append((time.perf_counter() - began) * 1000)
    return {
        "p50_ms": round(float(np.median(taken)), 1),
        "p95_ms": round(float(np.percentile(taken, 95)), 1),
        "least_ms": round(min(taken), 1),
        "cpu_ms": round(float(np.median(busy)), 1),
    }


def measure(url: str, answers: int, count: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with product_list.opened(url) as catalog:
        answer(catalog, answers)
        vacuum(catalog)
        figures["overview"] = timed(lambda: maintenance.look_over(catalog))
        product_list.fill(catalog, count)
        name_alike(catalog)
        vacuum(catalog)
        figures["duplicates"] = timed(lambda: duplicates.list_duplicates(catalog.database))
        figures["pairs"] = duplicates.list_duplicates(catalog.database).total
    return figures


def vacuum(catalog: Catalog) -> None:
    if not catalog.database.is_sqlite:  # what its autovacuum does by itself, but after a minute
        with catalog.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def compare(folder: Path) -> dict[str, Any]:
    """Import up to SKUS products, and compare all their photos."""
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        source.mkdir()
        for sku in sorted(path for path in folder.iterdir() if path.is_dir())[:SKUS]:
            shutil.copytree(sku, source / sku.name)
        catalog = Catalog.open(Settings.from_env({"CATALOG_DATA": str(Path(temporary) / "data")}))
        try:
            catalog.generations.ready()
            with transfer.open_source(source) as read:
                transfer.import_items(catalog, read.items, actor="measured")
            counts = products.counts(catalog.database)
            began, cpu = time.perf_counter(), time.process_time()
            compared = products.compare_all(catalog)
            seconds, busy = time.perf_counter() - began, time.process_time() - cpu
            listed = timed(lambda: duplicates.list_duplicates(catalog.database))
            return {
                "products": counts.products,
                "photos": compared,
                "seconds": round(seconds, 1),
                "cpu_seconds": round(busy, 1),
                "pairs": duplicates.list_duplicates(catalog.database, limit=0).total,
                "list": listed,
            }
        finally:
            catalog.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=300_000, metavar="N")
    parser.add_argument("--products", type=int, default=product_list.PRODUCTS, metavar="N")
    parser.add_argument("--photos", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    figures: dict[str, Any] = {"answers": given.answers, "products": given.products, "goal_ms": GOAL_MS}
    figures["SQLite"] = measure("", given.answers, given.products)
    with product_list.postgres() as url:
        if url is not None:
            figures["PostgreSQL"] = measure(url, given.answers, given.products)
    if given.photos:
        figures["comparing"] = compare(given.photos)
    print(figures)
    save("catalog", figures, part="staff_pages")


if __name__ == "__main__":
    main()

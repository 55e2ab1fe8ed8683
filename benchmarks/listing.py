"""The product list with every search, filter and order, on SQLite and on PostgreSQL.

`.venv/bin/python benchmarks/listing.py [--products 10000] [--runs 3]`. The products are those of scale_sql.py with four
photos each, and besides: one of 40 labels, photos with warnings (1 in 50), photos that are not searchable yet (1 in
100), and ten answers to tills for each of two thirds of the products. The rows are written in bulk, without photo
files. Measured is what the staff's page asks for: a page of 48, the figures above it, and what its filters offer; and
the page itself as the server makes it, for a signed-in person. Each kind is asked 15 times a run with its own values,
the kinds in turns; then all active products are changed at once, and that is undone. CPU time is that of this process
and, where PostgreSQL runs on this machine, of the server's process for its connection; medians are of all runs.
PostgreSQL is measured in a database that is created and dropped here; CATALOG_TEST_POSTGRES names the server. Writes
part `list` of docs/measurements-catalog.json.
"""

from __future__ import annotations

import argparse
import os
import random
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from common import product_list as drawn
from common.figures import save
from common.tills import token_in
from sqlalchemy import insert, select, text

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.products import BulkChange, Filter
from catalog.storage.tables import Label, Product, RecognitionEntry, now
from embedder.barcodes import gtin
from web.app import create_app

GOAL_MS = 150.0
PRODUCTS, PHOTOS, RUNS = 10_000, 4, 3
LABELS = [f"store {number}" for number in range(40)]
ANSWERS = 10


def fill(catalog: Catalog, count: int) -> None:
    """Products as of scale_sql.py, with labels, answers, warnings and pending photos."""
    drawn.fill(catalog, count, PHOTOS)
    rng = random.Random(drawn.SEED)
    with catalog.database.write() as session:
        ids = list(session.scalars(select(Product.id).order_by(Product.sku)))
        session.execute(insert(Label), [{"product_id": one, "name": rng.choice(LABELS)} for one in ids])
        facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "measured", "milliseconds": 20.0}
        answers = [
            {
                **{"id": uuid.UUID(int=rng.getrandbits(128)), "product_id": one, **facts},
                "at": now() - timedelta(seconds=rng.randrange(10**6)),
            }
            for at, one in enumerate(ids)
            if at % 3
            for _ in range(ANSWERS)
        ]
        for start in range(0, len(answers), drawn.BLOCK):
            session.execute(insert(RecognitionEntry), answers[start : start + drawn.BLOCK])
        few = "IN (SELECT id FROM photo ORDER BY sha256 LIMIT"
        session.execute(text(f"UPDATE photo SET status = 'overruled' WHERE id {few} {count * PHOTOS // 50})"))
        session.execute(text(f"UPDATE enrollment SET done = false WHERE photo_id {few} {count * PHOTOS // 100})"))


def misspelled(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :] if word[at] != word[at + 1] else "q" + word


def questions(catalog: Catalog, count: int) -> dict[str, Callable[[random.Random], Any]]:
    """What the page asks for, by name; each draws its own values."""
    database = catalog.database
    middles = {
        order: products.list_page(database, order=order, limit=count // 2).next_key or "" for order in products.ORDERS
    }

    def page(search: str = "", *, order: products.Order = "sku", middle: bool = False, **only: Any) -> products.Page:
        products.counts(database)
        products.facets(database)
        wanted = Filter(search, **only)
        after = middles[order] if middle else ""
        return products.list_page(database, wanted, order=order, after=after, limit=drawn.PAGE)

    def word(rng: random.Random) -> str:
        return rng.choice(drawn.NOUNS)

    return {
        "all": lambda rng: page(),
        "search: the start of a SKU": lambda rng: page(drawn.sku(rng.randrange(count))[:5]),
        "search: a word": lambda rng: page(word(rng)),
        "search: a word and a brand": lambda rng: page(f"{word(rng)[:3]} {rng.choice(drawn.BRANDS)}"),
        "search: one letter": lambda rng: page(rng.choice("aeiou")),
        "search: a word with an error": lambda rng: page(misspelled(word(rng), rng)),
        "search: a short word with an error": lambda rng: page(misspelled(rng.choice(drawn.BRANDS), rng)),
        "search: three words with errors": lambda rng: page(" ".join(misspelled(word(rng), rng) for _ in range(3))),
        "search: a barcode": lambda rng: page(gtin.printed_gtin(drawn.barcode(rng.randrange(count)))),
        "search: nothing is found": lambda rng: page(f"Xylophon {rng.randrange(1000)}"),
        "a category": lambda rng: page(category=rng.choice(drawn.CATEGORIES)),
        "a brand": lambda rng: page(brand=rng.choice(drawn.BRANDS)),
        "a label": lambda rng: page(label=rng.choice(LABELS)),
        "retired": lambda rng: page(retired=True),
        "not searchable yet": lambda rng: page(pending=True),
        "with fewer than 5 photos": lambda rng: page(few_photos=5),
        "never recognized": lambda rng: page(never_recognized=True),
        "with warnings": lambda rng: page(with_warnings=True),
        "a label, never recognized, with warnings": lambda rng: page(
            label=rng.choice(LABELS), never_recognized=True, with_warnings=True
        ),
        **{
            f"by {order}, in the middle": lambda rng, order=order: page(order=order, middle=True)
            for order in products.ORDERS
        },
        "a letter, by most recognized": lambda rng: page(rng.choice("aeiou"), order="most"),
    }


def pages(catalog: Catalog) -> dict[str, Callable[[random.Random], Any]]:
    """The page itself, as HTML, by name."""
    accounts.add_user(catalog.database, "anna", "measures the list", actor="benchmark", role="admin")
    person = create_app(catalog, "benchmark").test_client()
    token = token_in(person.get("/login").get_data(as_text=True))
    person.post("/login", data={"name": "anna", "password": "measures the list", "csrf_token": token})
    assert person.get("/products/").status_code == 200

    def shown(address: str) -> Callable[[random.Random], Any]:
        return lambda rng: person.get(address).get_data()

    return {
        "the page as HTML": shown("/products/"),
        "the page as HTML: a search by most recognized": shown("/products/?search=a&sort=most"),
        "the page as HTML: a table": shown("/products/?view=table"),
    }


def measure(url: str, count: int, runs: int) -> dict[str, Any]:
    with drawn.opened(url) as catalog:
        fill(catalog, count)
        drawn.vacuum(catalog)
        asked = questions(catalog, count) | pages(catalog)
        load = os.getloadavg()[0]
        done = [drawn.timed(asked, processor_time(catalog)) for _ in range(runs)]
        loads = [round(load, 1), round(os.getloadavg()[0], 1)]
        return {
            "load": loads,
            "questions": {name: combined([one[name] for one in done]) for name in asked},
        } | change_all(catalog)


def combined(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several runs as one: medians, the fastest of all, and the median of each run."""
    figures = {name: median(one[name] for one in runs) for name in ("p50_ms", "p95_ms", "cpu_ms", "found")}
    least = min(one["least_ms"] for one in runs)
    return {**figures, "least_ms": least, "p50_ms_of_runs": [one["p50_ms"] for one in runs]}


def processor_time(catalog: Catalog) -> Callable[[], float]:
    """Seconds of CPU of this process, and of the PostgreSQL server's for its connections where it runs here."""
    if catalog.database.is_sqlite:
        return time.process_time
    with catalog.database.read() as session:
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        found = [Path(f"/proc/{pid}/schedstat") for pid in session.scalars(text(mine))]
    servers = [path for path in found if path.exists()]
    return lambda: time.process_time() + sum(int(path.read_text().split()[0]) for path in servers) / 1e9


def change_all(catalog: Catalog) -> dict[str, float]:
    """Seconds, by the clock and of this process, of changing all active products at once, and of undoing it."""
    figures: dict[str, float] = {}
    began, cpu = time.perf_counter(), time.process_time()
    done = products.change_many(catalog, Filter(), BulkChange(add_labels=("new",), brand="New"), actor="benchmark")
    figures["change_seconds"], figures["change_cpu_seconds"] = since(began, cpu)
    began, cpu = time.perf_counter(), time.process_time()
    products.undo(catalog, done.entry or 0, actor="benchmark")
    figures["undo_seconds"], figures["undo_cpu_seconds"] = since(began, cpu)
    return figures


def since(began: float, cpu: float) -> tuple[float, float]:
    return round(time.perf_counter() - began, 1), round(time.process_time() - cpu, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=PRODUCTS, metavar="N")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N")
    given = parser.parse_args()
    count, runs = given.products, given.runs
    figures = {"products": count, "photos": count * PHOTOS, "runs": runs, "goal_ms": GOAL_MS}
    figures["SQLite"] = measure("", count, runs)
    with drawn.postgres() as url:
        if url is not None:
            figures["PostgreSQL"] = measure(url, count, runs)
    databases = [name for name in ("SQLite", "PostgreSQL") if name in figures]
    print(f"{count} products of {PHOTOS} photos; p50, fastest and CPU in ms on {' and '.join(databases)}")
    for name, one in figures["SQLite"]["questions"].items():
        times = [figures[database]["questions"][name]["p50_ms"] for database in databases]
        least = [figures[database]["questions"][name]["least_ms"] for database in databases]
        said = "  ".join(f"{p50:7.1f} ({fastest:5.1f})" for p50, fastest in zip(times, least, strict=True))
        said += "".join(f"  {figures[database]['questions'][name]['cpu_ms']:6.1f} CPU" for database in databases)
        print(f"{name:46} {said}  {one['found']:6} found  {'reached' if max(times) < GOAL_MS else 'missed'}")
    for database in databases:
        one = figures[database]
        print(f"{database}: all changed at once in {one['change_seconds']} s, undone in {one['undo_seconds']} s")
    save("catalog", figures, part="list")


if __name__ == "__main__":
    main()

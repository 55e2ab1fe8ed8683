"""A big catalog of synthetic products, and the times of its product list; described in benchmarks/scale_sql.py."""

from __future__ import annotations

import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.exc import OperationalError

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.products import Counts
from catalog.storage.tables import Barcode, Enrollment, Generation, Photo, Product
from embedder.barcodes import gtin

GOAL_MS = 50.0
PRODUCTS = 100_000
PHOTOS = 3
PAGE = 48
QUESTIONS = 15
#: Rows of one INSERT.
BLOCK = 5000
SEED = 1
POSTGRES = os.environ.get("CATALOG_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne", "pa", "ro", "sa", "te", "vo", "wi", "zu")


def words(count: int, syllables: int) -> list[str]:
    rng = random.Random(SEED + syllables)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(SYLLABLES, k=syllables)).capitalize()] = None
    return list(found)


BRANDS, NOUNS, CATEGORIES = words(200, 2), words(1000, 4), words(60, 5)


def sku(number: int) -> str:
    return f"{number * 7919 % 10_000_000:07d}"


def barcode(number: int) -> str:
    digits = f"400{number:09d}"
    return gtin.parse_gtin(f"{digits}{gtin.check_digit(digits)}")


def product(number: int, rng: random.Random) -> dict[str, Any]:
    brand = rng.choice(BRANDS)
    said = {
        "sku": sku(number),
        "name": f"{brand} {rng.choice(NOUNS)} {rng.choice(NOUNS)} {rng.choice((250, 330, 500, 750))} ml",
        "brand": brand,
        "category": rng.choice(CATEGORIES),
    }
    return {"id": uuid.UUID(int=rng.getrandbits(128)), **said, "active": number % 50 != 0}


def fill(catalog: Catalog, count: int, photos_each: int = PHOTOS) -> None:
    """Write `count` products with so many photos each, enrollments and barcodes."""
    rng = random.Random(SEED)
    with catalog.database.write() as session:
        session.add(Generation(id=1, bundle_id="measured", bundle_name="", collection="measured", dim=256, live=True))
    for start in range(0, count, BLOCK):
        some = [product(number, rng) for number in range(start, min(count, start + BLOCK))]
        photos = [
            {
                "id": uuid.UUID(int=rng.getrandbits(128)),
                "product_id": one["id"],
                "sha256": f"{rng.getrandbits(256):064x}",
                "bytes": 200_000,
                "width": 1000,
                "height": 1000,
            }
            for one in some
            for _ in range(photos_each)
        ]
        active = {one["id"] for one in some if one["active"]}
        enrolled = [
            {"generation_id": 1, "photo_id": photo["id"], "done": True}
            for photo in photos
            if photo["product_id"] in active
        ]
        numbers = [{"gtin": barcode(start + at), "product_id": one["id"]} for at, one in enumerate(some)]
        with catalog.database.write() as session:
            for kind, rows in ((Product, some), (Photo, photos), (Enrollment, enrolled), (Barcode, numbers)):
                session.execute(insert(kind), rows)


def questions(catalog: Catalog, count: int) -> dict[str, Callable[[random.Random], Any]]:
    """The queries by name; each draws its own values."""

    def listed(search: str = "", *, after: str = "", **only: Any) -> products.Page:
        return products.list_page(catalog.database, products.Filter(search, **only), after=after, limit=PAGE)

    def any_sku(rng: random.Random) -> str:
        return sku(rng.randrange(count))

    return {
        "first page": lambda rng: listed(),
        "a page in the middle": lambda rng: listed(after=f"{rng.uniform(0.3, 0.7) * 1e7:07.0f}"),
        "search: a SKU's start": lambda rng: listed(any_sku(rng)[:5]),
        "search: a word of a name": lambda rng: listed(rng.choice(NOUNS).lower()),
        "search: a category": lambda rng: listed(rng.choice(CATEGORIES)),
        "search: a barcode": lambda rng: listed(gtin.printed_gtin(barcode(rng.randrange(count)))),
        "search: nothing is found": lambda rng: listed(f"Xylophon {rng.randrange(1000)}"),
        "retired, first page": lambda rng: listed(retired=True),
        "of a category": lambda rng: listed(category=rng.choice(CATEGORIES)),
        "with fewer than 3 photos": lambda rng: listed(few_photos=3),
        "never recognized": lambda rng: listed(never_recognized=True),
        "counts": lambda rng: products.counts(catalog.database),
    }


def timed(
    asked: dict[str, Callable[[random.Random], Any]], processor: Callable[[], float] = time.process_time
) -> dict[str, dict[str, Any]]:
    """Milliseconds of each query, and how many products it found (median). `processor`: the seconds that it had."""
    rng = random.Random(SEED + 1)
    for question in asked.values():
        question(rng)
    taken: dict[str, list[float]] = {name: [] for name in asked}
    busy: dict[str, list[float]] = {name: [] for name in asked}
    found: dict[str, list[int]] = {name: [] for name in asked}
    for _ in range(QUESTIONS):
        for name, question in asked.items():
            began, cpu = time.perf_counter(), processor()
            answer = question(rng)
            busy[name].append((processor() - cpu) * 1000)
            taken[name].append((time.perf_counter() - began) * 1000)
            found[name].append(answer.products if isinstance(answer, Counts) else getattr(answer, "total", 0))
    return {
        name: {
            "p50_ms": round(float(np.percentile(times, 50)), 2),
            "p95_ms": round(float(np.percentile(times, 95)), 2),
            "least_ms": round(min(times), 2),
            "cpu_ms": round(float(np.median(busy[name])), 2),
            "found": int(np.median(found[name])),
        }
        for name, times in taken.items()
    }


@contextmanager
def opened(url: str) -> Iterator[Catalog]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        settings = {"CATALOG_DATA": str(data), "CATALOG_DATABASE": url or f"sqlite:///{data / 'catalog.db'}"}
        catalog = Catalog.open(Settings.from_env(settings))
        try:
            yield catalog
        finally:
            catalog.close()


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of an empty database for this run; None without a server."""
    server: Engine | None = None
    name = f"catalog_measured_{uuid.uuid4().hex[:12]}"
    try:
        server = create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 2})
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except (OperationalError, ModuleNotFoundError):
        yield None
        return
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


def vacuum(catalog: Catalog) -> None:
    """What PostgreSQL's autovacuum does by itself, but after a minute."""
    if not catalog.database.is_sqlite:
        engine = catalog.database.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("VACUUM ANALYZE"))


def measure(url: str, count: int) -> dict[str, Any]:
    with opened(url) as catalog:
        began = time.perf_counter()
        fill(catalog, count)
        seconds = time.perf_counter() - began
        vacuum(catalog)
        load = os.getloadavg()[0]
        asked = timed(questions(catalog, count))
        return {
            "fill_seconds": round(seconds, 1),
            "load": [round(load, 1), round(os.getloadavg()[0], 1)],
            "questions": asked,
        }


def run(count: int) -> dict[str, Any]:
    """Measure both databases and print a table -> the figures."""
    figures = {"products": count, "photos": count * PHOTOS, "goal_ms": GOAL_MS, "SQLite": measure("", count)}
    with postgres() as url:
        if url is None:
            print(f"no PostgreSQL answers at {POSTGRES.rpartition('@')[2]}: SQLite alone is measured")
        else:
            figures["PostgreSQL"] = measure(url, count)
    print(f"{count} products of {PHOTOS} photos; goal: {GOAL_MS:.0f} ms")
    for database in [name for name in ("SQLite", "PostgreSQL") if name in figures]:
        for name, one in figures[database]["questions"].items():
            verdict = "reached" if one["p50_ms"] < GOAL_MS else "missed"
            print(
                f"{database:11} {name:26} p50 {one['p50_ms']:7.2f} ms  p95 {one['p95_ms']:7.2f} ms"
                f"  least {one['least_ms']:7.2f}  CPU {one['cpu_ms']:7.2f} ms"
                f"  {one['found']:7} found  {verdict}"
            )
    return figures

"""What the check of a key and of its limit costs a request of a till: p50, p95 and the most, in microseconds.

`.venv/bin/python benchmarks/key_check.py [--redis redis://HOST/NUMBER] [--postgres URL] [--threads N]`. Each step by
itself: finding the key's row and comparing its secret; counting in memory; counting over Redis; and Redis away, from
the first request on. `--threads` count at once, as the lane of tills does, each with a key of its own.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from catalog import accounts
from catalog.accounts import NewKey
from catalog.rates import Rate
from catalog.storage import Database, LastUses
from catalog.storage.tables import ApiKey
from web.key_limits import MEMORY, KeyLimits

TIMES = 5000
MANY = Rate(1_000_000, 60)
#: Seconds between two requests of a thread: a till does not ask without end, and a counter cleans up in between.
PAUSE = 0.0005


def measure(step: Callable[[NewKey, ApiKey], object], keys: list[tuple[NewKey, ApiKey]]) -> str:
    def times(pair: tuple[NewKey, ApiKey]) -> list[float]:
        taken = []
        for _ in range(TIMES):
            began = time.perf_counter()
            step(*pair)
            taken.append(1e6 * (time.perf_counter() - began))
            time.sleep(PAUSE)
        return taken

    with ThreadPoolExecutor(len(keys)) as pool:
        taken = sorted(each for some in pool.map(times, keys) for each in some)
    return f"p50 {taken[len(taken) // 2]:7.1f}  p95 {taken[len(taken) * 95 // 100]:7.1f}  most {taken[-1]:9.1f}"


def measure_database(name: str, url: str, threads: int) -> list[tuple[NewKey, ApiKey]]:
    """Prints the check of a secret; returns the keys."""
    database = Database(url)
    database.migrate()
    made = [accounts.add_key(database, f"till {number}", actor="benchmark") for number in range(threads)]
    keys = [(key, accounts.get_key(database, key.id)) for key in made]
    uses = LastUses(database)
    print(f"{f'key looked up, {name}':32}", measure(lambda key, _: accounts.check_key(database, key.key, uses), keys))
    database.close()
    return keys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--postgres", metavar="URL", help="of an empty database or schema")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keys = measure_database("SQLite", f"sqlite:///{folder}/catalog.db", given.threads)
    if given.postgres:
        measure_database("PostgreSQL", given.postgres, given.threads)
    counters = {"counted in memory": MEMORY, "counted over Redis": given.redis}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        counters["Redis is silent"] = f"redis://127.0.0.1:{silent.getsockname()[1]}/0" if given.redis else None
        for name, url in counters.items():
            if url:
                limits = KeyLimits(url, MANY)
                print(f"{name:32}", measure(lambda _, row, limits=limits: limits.spend(row), keys))


if __name__ == "__main__":
    main()

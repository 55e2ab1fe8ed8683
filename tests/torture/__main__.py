"""`make torture`: a till's life, then kills, contention and random sequences for some minutes, and what came of it."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.torture import acting, described, image_bytes
from tests.torture.contention import contend
from tests.torture.killing import KINDS, World
from tests.torture.machine import Machine
from tests.torture.till_life import live

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
#: Kills of one catalog before the next one is begun; the shares of the time that kills and contention take.
KILLS, KILLING, CONTENDING = 20, 0.7, 0.1
#: Minutes from which on a run is a long one, with so many damaged pictures and requests of each operation after it.
LONG, IMAGES, EXAMPLES = 15, 20_000, 100


@contextmanager
def catalog_on(database: str) -> Iterator[dict[str, str]]:
    """The settings of an empty catalog."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        if database == "sqlite":
            yield {"CATALOG_DATA": str(data), "CATALOG_DATABASE": f"sqlite:///{data / 'catalog.db'}"}
            return
        server = create_engine(database, isolation_level="AUTOCOMMIT")
        schema = f"torture_{uuid.uuid4().hex[:12]}"
        with server.connect() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        url = server.url.update_query_dict({"options": f"-csearch_path={schema}"})
        try:
            yield {"CATALOG_DATA": str(data), "CATALOG_DATABASE": url.render_as_string(hide_password=False)}
        finally:
            with server.connect() as connection:
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
            server.dispose()


class Run:
    """What was done, and what was wrong."""

    def __init__(self, databases: list[str], number: int) -> None:
        self.databases, self.number, self.chance = databases, number, random.Random(number)
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.turn = 0

    def until(self, end: float, what: Callable[[dict[str, str], float], None]) -> None:
        """Again and again, on each database in turn."""
        while time.monotonic() < end:
            self.turn += 1
            with catalog_on(self.databases[self.turn % len(self.databases)]) as env:
                try:
                    what(env, end)
                except AssertionError as error:
                    self.wrong.append(str(error))
                    print(f"WRONG: {error}", flush=True)

    def live(self, recognitions: int) -> None:
        """A till's life of so many recognitions, with a twentieth as many products."""
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            try:
                self.tally += live(Path(folder), recognitions, recognitions // 20, self.number)
            except AssertionError as error:
                self.wrong.append(str(error))
                print(f"WRONG: {error}", flush=True)

    def kill(self, env: dict[str, str], end: float) -> None:
        world = World(env, self.chance, self.tally)
        for number in range(KILLS):
            if time.monotonic() >= end:
                return
            world.kill(KINDS[number % len(KINDS)])
        print(f"{self.tally['kills']} kills, {self.tally['acknowledged']} changes acknowledged", flush=True)

    def contend(self, env: dict[str, str], end: float) -> None:
        ended = contend(env, self.chance.randrange(10**6), rounds=20)
        made = sum(number for how, number in ended.items() if how.endswith(": done"))
        self.tally["changes to the same products, made"] += made
        self.tally["changes to the same products, refused"] += ended.total() - made

    def draw(self, env: dict[str, str], end: float) -> None:
        catalog = acting.open_catalog({**env, "CATALOG_SECOND_LOOK": "off"})
        tally, examples = self.tally, 10

        class Counted(Machine):
            opened = staticmethod(lambda: catalog)

            def do(self, kind: str, sku: str, **given: object) -> None:
                tally["changes in random sequences"] += 1
                super().do(kind, sku, **given)

        try:
            run_state_machine_as_test(
                seed(self.chance.randrange(10**6))(Counted),
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=40,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            self.wrong += acting.wrongs(catalog)
        finally:
            catalog.close()
        self.tally["random sequences"] += examples

    def send(self, examples: int) -> None:
        """Damaged pictures, over HTTP."""
        statuses, wrong = image_bytes.torture(examples, self.chance.randrange(10**6))
        self.tally["damaged pictures sent"] += statuses.total()
        self.wrong += wrong

    def describe(self, examples: int) -> None:
        """Requests that the description allows, or does not."""
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            found = described.examine(Path(folder), examples=examples, seed=self.chance.randrange(10**6))
        self.tally["runs of schemathesis"] += 1
        self.wrong += [found] if found else []


def main() -> None:
    """Exit status 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="make torture")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--postgres", default=POSTGRES)
    parser.add_argument("--recognitions", type=int, default=10_000, help="of the till's life; 0: leave it out")
    options = parser.parse_args()
    databases = ["sqlite"]
    try:
        server = create_engine(options.postgres, connect_args={"connect_timeout": 2})
        server.connect().close()
        server.dispose()
        databases.append(options.postgres)
    except (OperationalError, ModuleNotFoundError):
        print("no PostgreSQL: on SQLite alone")
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    run = Run(databases, options.seed)
    if options.recognitions:
        run.live(options.recognitions)
    began, seconds = time.monotonic(), 60 * options.minutes
    run.until(began + seconds * KILLING, run.kill)
    run.until(began + seconds * (KILLING + CONTENDING), run.contend)
    run.until(began + seconds, run.draw)
    run.send(IMAGES if options.minutes >= LONG else IMAGES // 20)
    run.describe(EXAMPLES if options.minutes >= LONG else 5)
    width = max(map(len, run.tally))
    for what, number in sorted(run.tally.items()):
        print(f"{what:<{width}}  {number:>7}")
    print(f"{'minutes':<{width}}  {(time.monotonic() - began) / 60:>7.1f}")
    kills, kept = run.tally["kills"], run.tally["acknowledged"]
    print(f"torture: {kills} kills, {kept} changes acknowledged, {len(run.wrong)} lost")
    sys.exit(bool(run.wrong))


if __name__ == "__main__":
    main()

"""kill -9 at random moments, and whether all that was acknowledged is there: the journal is kept on this side.

A World is one catalog. `kill` starts a process that works on it (the server under its clients, the library in several
threads, an import, a re-embedding), kills it, opens the catalog again and compares. Each thread or client has products,
photos and barcodes of its own, so that it is known what it must find: all that was acknowledged to it, and of the one
change that was under way all or nothing.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from catalog import accounts
from catalog.catalog import Catalog
from embedder.barcodes import gtin
from embedder.bundle import RELEASED
from tests.support.served import environment
from tests.torture import acting, asking
from tests.torture.model import Kept, Model, Op
from tests.torture.plans import ALL, ON_PAGES, draw_many

ROOT = Path(__file__).parents[2]
#: Threads or clients at once, and changes drawn for each: more than it gets to.
THREADS, PLANNED = 4, 60
KINDS = ("server", "library", "import", "reembed")
BUNDLES = (RELEASED, RELEASED.with_name("released-mobilenetv3large"))
#: A moment is drawn: so many changes after the process was open, at most, and then so many seconds; or so many seconds
#: after its start, when it may not be open yet.
CHANGES, SECONDS, SINCE_START = 25, 0.2, 3.0
#: How often it is the latter.
EARLY = 0.15


class World:
    """A catalog that is killed again and again, and what it must hold.

    `tally` counts kills, acknowledged changes, and changes that were under way and found made or not made.
    """

    def __init__(self, env: dict[str, str], chance: random.Random, tally: Counter[str]) -> None:
        self.env = environment(**env, CATALOG_SECOND_LOOK="off")
        self.chance, self.tally = chance, tally
        self.models = [Model() for _ in range(THREADS)]
        self.fresh = 0
        self.bundle = 0
        self.folder = Path(env["CATALOG_DATA"]).parent
        self.importing: dict[str, list[int]] = {}
        self.imported = Model()
        with self._opened() as catalog:
            accounts.add_user(catalog.database, asking.NAME, asking.PASSWORD, actor="torture")
            self.key = accounts.add_key(catalog.database, "torture", accounts.SCOPES, actor="torture").key
        self.signed: tuple[dict[str, str], str] | None = None

    def kill(self, kind: str) -> None:
        """One process, one kill, one comparison. Raises AssertionError with all that is wrong."""
        getattr(self, f"_{kind}")()
        self.tally["kills"] += 1
        self.tally[f"kills: {kind}"] += 1
        self.check()

    def check(self) -> None:
        with self._opened() as catalog:
            found = acting.state(catalog).products
            acting.settle(catalog)
            wrong = [
                f"{sku}: {found.get(sku)} is not {kept}"
                for sku, kept in self._expected().items()
                if found.get(sku) != kept
            ]
            wrong += [f"{sku} is there and should not be" for sku in found.keys() - self._expected().keys()]
            wrong += list(acting.wrongs(catalog))
        assert not wrong, "\n".join(wrong)

    def _expected(self) -> dict[str, Kept]:
        return {sku: kept for model in (*self.models, self.imported) for sku, kept in model.products.items()}

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Catalog]:
        catalog = acting.open_catalog(self.env)
        try:
            yield catalog
        finally:
            catalog.close()

    def _plans(self, weights: Mapping[str, int]) -> list[list[Op]]:
        """Changes for each thread. Every third photo was seen before, by the same thread."""
        plans = []
        for thread, model in enumerate(self.models):
            begin = 1000 * thread
            photos = [begin + self.fresh + n for n in range(20)] + [begin + n for n in range(10)]
            skus = [f"T{thread}-{self.chance.randrange(30)}" for _ in range(12)]
            codes = tuple(_gtin(10 * thread + n) for n in range(3))
            plans.append(draw_many(self.chance, model, skus, photos, codes, weights, PLANNED))
        self.fresh += 20
        return plans

    def _adopt(self, plans: list[list[Op]], acknowledged: list[int], sent: list[int]) -> None:
        """What each thread was told becomes what it must find; one more change, if it was under way and was made."""
        with self._opened() as catalog:
            found = acting.state(catalog).products
        for thread, (plan, done) in enumerate(zip(plans, acknowledged, strict=True)):
            for op in plan[:done]:
                self.models[thread].apply(op)
            self.tally["acknowledged"] += done
            mine = {sku: kept for sku, kept in found.items() if sku.startswith(f"T{thread}-")}
            if sent[thread] > done:
                after = self.models[thread].after(plan[done])
                made = mine == after.products and mine != self.models[thread].products
                self.tally["under way, found made" if made else "under way, found not made"] += 1
                if made:
                    self.models[thread] = after

    def _moment(self, process: subprocess.Popen[str], seconds: float) -> None:
        time.sleep(self.chance.random() * seconds)
        process.kill()

    def _library(self) -> None:
        plans = self._plans(ALL)
        process = self._spawn([sys.executable, "-m", "tests.torture.victim"])
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps([[op.as_dict() for op in plan] for plan in plans]))
        process.stdin.close()
        said = []
        if self.chance.random() < EARLY:
            self._moment(process, SINCE_START)
        else:
            said = [process.stdout.readline() for _ in range(1 + self.chance.randrange(CHANGES))]
            self._moment(process, SECONDS)
        said += process.stdout.read().splitlines(keepends=True)
        lines = [line.split() for line in said if line[0].isdigit() and line.endswith("\n")]
        process.wait()
        process.stdout.close()
        told = Counter(int(thread) for thread, _ in lines)
        done = [told[thread] for thread in range(THREADS)]
        refused = [f"{thread}: {code}" for thread, code in lines if code != "-"]
        assert not refused, (
            f"{refused} of changes that were possible: {[plans[n][max(0, k - 1)] for n, k in enumerate(done)]}"
        )
        self._adopt(plans, done, [count + 1 for count in done])

    def _server(self) -> None:
        plans = self._plans(ON_PAGES)
        log = self.folder / "server.log"
        with log.open("wb") as out:
            command = [sys.executable, "-m", "catalog", "serve", "--port", "0"]
            process = subprocess.Popen(command, env=self.env, stdout=out, stderr=out, text=True)
        if self.chance.random() < EARLY:
            self._moment(process, SINCE_START)
            process.wait()
            return
        url = _address(process, log)
        self.signed = self.signed or asking.sign_in(url)
        done, sent, wrong = [0] * THREADS, [0] * THREADS, []

        def work(thread: int) -> None:
            client = asking.Asking(url, self.key, *self.signed)
            try:
                for op in plans[thread]:
                    sent[thread] += 1
                    refused = client.perform(op)
                    if refused:
                        wrong.append(f"{op}: {refused}")
                    done[thread] += 1
            except asking.NotAsked:
                sent[thread] -= 1
            except httpx.TransportError:
                pass
            except Exception as error:
                wrong.append(repr(error))
            finally:
                client.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        wanted = self.chance.randrange(CHANGES)
        while sum(done) < wanted and not wrong:
            time.sleep(0.005)
        self._moment(process, SECONDS)
        process.wait()
        for thread in threads:
            thread.join()
        assert not wrong, "\n".join(wrong)
        self._adopt(plans, done, sent)

    def _import(self) -> None:
        if not self.importing:
            numbers = iter(range(5000 + self.fresh, 5000 + self.fresh + 40))
            self.importing = {f"I-{self.fresh}-{n}": [next(numbers) for _ in range(1 + n % 3)] for n in range(16)}
            self.fresh += 40
        root = self.folder / f"import-{next(iter(self.importing))}"
        if not root.is_dir():
            acting.folder_of(root, self.importing)
        process = self._spawn([sys.executable, "-m", "catalog", "import", "--quiet", str(root)])
        assert process.stdin and process.stdout
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.chance.random() * 2 * SINCE_START)
        process.kill()
        ended = process.wait() == 0
        process.stdout.close()
        with self._opened() as catalog:
            found = acting.state(catalog).products
        for sku, photos in self.importing.items():  # each SKU came with all its photos, or did not come
            before = sku in self.imported.products
            if ended or sku in found:
                self.imported.products[sku] = Kept(sku, True, set(photos))
                self.tally["acknowledged" if ended else "under way, found made"] += not before
        if ended:
            self.importing = {}

    def _reembed(self) -> None:
        """A killed one leaves the live gallery, or the new one: both must answer as before."""
        target = BUNDLES[1 - self.bundle]
        process = self._spawn(
            [sys.executable, "-m", "catalog", "reembed", "--quiet", "--switch-anyway", "--bundle", str(target)]
        )
        assert process.stdin and process.stdout
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.chance.random() * 2 * SINCE_START)
        process.kill()
        if process.wait() == 0:
            self.bundle = 1 - self.bundle
            self.tally["re-embeddings that ended before the kill"] += 1
        process.stdout.close()

    def _spawn(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )


def _address(process: subprocess.Popen[str], log: Path) -> str:
    began = time.monotonic()
    while "Serving on " not in (said := log.read_text()) or not said.endswith("\n"):
        assert process.poll() is None and time.monotonic() < began + 60, said
        time.sleep(0.02)
    return said.split("Serving on ")[1].split()[0]


def _gtin(number: int) -> str:
    """14 digits that no other number has."""
    body = f"0400638{number:06d}"
    return f"{body}{gtin.check_digit(body)}"

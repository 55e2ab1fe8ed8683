"""A till's life: tills ask all the while, as staff add products and retire others, and the model is switched twice.

Over HTTP, against a server in a process of its own; the models are switched by the command. Each till asks for photos
that products were added with. Its answers must hold to what was acknowledged before it asked:

- no product that was retired before is among the matches;
- a product that was added before, and is not being retired, is the first match of its own photo;
- the model that answers is the live one: once one till has got an answer by the new model, none gets a later one by
  the old.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from catalog.demo.server import Server, serve_catalog
from embedder.bundle import RELEASED, load_bundle
from tests.support.pictures import jpeg

#: Tills that ask at once.
TILLS = 3
#: Products that are never retired.
KEPT = 5
NEVER = float("inf")
JPEG = {"Content-Type": "image/jpeg"}
#: The model to switch to, and back from.
OTHER = RELEASED.with_name("released-mobilenetv3large")


@dataclass
class Fate:
    """What became of a product, in seconds of one clock: when its change was asked for, and acknowledged."""

    photo: bytes
    added: float = NEVER
    retiring: float = NEVER
    retired: float = NEVER


@dataclass(frozen=True)
class Switch:
    """A switch to a model: when its command began and ended."""

    bundle: str
    began: float
    ended: float


@dataclass(frozen=True)
class Answer:
    """An answer: for which SKU's photo, when it was asked for and given, and what it was."""

    sku: str
    asked: float
    given: float
    bundle: str
    skus: list[str]


@dataclass
class Life:
    """The products of one run, and what tills were answered."""

    server: Server
    chance: random.Random
    recognitions: int
    fates: dict[str, Fate] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self, seed: int) -> None:
        """One till, until enough was asked by all, and the staff are done."""
        chance = random.Random(seed)
        with self.server.till() as till:
            while not (self.over.is_set() and len(self.answers) >= self.recognitions):
                known = list(self.fates)
                if not known:
                    time.sleep(0.01)
                    continue
                # The newest ones more often: that is where something could be missing.
                sku = chance.choice(known[-20:] if chance.random() < 0.5 else known)
                asked = time.monotonic()
                reply = till.post("/api/v1/recognize", content=self.fates[sku].photo, headers=JPEG)
                given = time.monotonic()
                if reply.status_code == 503:
                    time.sleep(float(reply.headers["Retry-After"]))
                elif reply.status_code != 200:
                    self.failed.append(f"{reply.status_code}: {reply.text[:200]}")
                else:
                    body = reply.json()
                    skus = [match["sku"] for match in body["matches"]]
                    self.answers.append(Answer(sku, asked, given, body["bundle"], skus))

    def retirements(self) -> int:
        """How many products were retired."""
        return sum(fate.retired < NEVER for fate in list(self.fates.values()))

    def keep_changing(self, products: int) -> None:
        """The staff: add as many products and retire as many, in an order of chance; the first KEPT stay."""
        with self.server.till() as staff:
            kept = [self.add(staff, number) for number in range(KEPT)]
            here, added = [], 0
            while here or added < products:
                if added < products and (not here or self.chance.random() < 0.5):
                    here.append(self.add(staff, len(kept) + added))
                    added += 1
                else:
                    self.retire(staff, here.pop(self.chance.randrange(len(here))))

    def add(self, staff: httpx.Client, number: int) -> str:
        """Add a product of one photo."""
        sku, photo = f"LIFE-{number}", jpeg(50_000 + number)
        files = [("photos", (f"{number}.jpg", photo, "image/jpeg"))]
        self.fates[sku] = Fate(photo)
        reply = staff.post("/api/v1/products", data={"sku": sku}, files=files)
        reply.raise_for_status()
        if reply.json()["searchable"]:
            self.fates[sku].added = time.monotonic()
        return sku

    def retire(self, staff: httpx.Client, sku: str) -> None:
        """Retire a product."""
        fate = self.fates[sku]
        fate.retiring = time.monotonic()
        staff.patch(f"/api/v1/products/{sku}", json={"active": False}).raise_for_status()
        fate.retired = time.monotonic()

    def switch(self, data: Path, bundle: Path) -> None:
        """Switch the model by the command, in a process of its own."""
        began = time.monotonic()
        catalog = [sys.executable, "-m", "catalog", "reembed", "--quiet", "--switch-anyway", "--bundle", str(bundle)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_")}
        done = subprocess.run(catalog, env={**environment, "CATALOG_DATA": str(data)}, capture_output=True, text=True)
        if done.returncode:
            self.failed.append(f"no switch: {done.stderr[-500:]}")
        self.switches.append(Switch(load_bundle(bundle).id, began, time.monotonic()))

    def wrong(self) -> list[str]:
        """What answers did not hold to."""
        found = list(self.failed)
        for answer in self.answers:
            fate = self.fates[answer.sku]
            if fate.added < answer.asked and answer.given < fate.retiring and answer.skus[:1] != [answer.sku]:
                found.append(f"{answer.sku} was missed: {answer.skus}")
            for sku in answer.skus:
                if self.fates[sku].retired < answer.asked:
                    found.append(f"{sku} was retired before it was asked")
        return found + list(self._wrong_models())

    def _wrong_models(self) -> Iterator[str]:
        for number, switch in enumerate(self.switches):
            before = self.switches[number - 1].bundle if number else load_bundle(RELEASED).id
            follows = self.switches[number + 1].began if number + 1 < len(self.switches) else NEVER
            meanwhile = [answer for answer in self.answers if switch.began < answer.asked and answer.given < follows]
            first = min((answer.given for answer in meanwhile if answer.bundle == switch.bundle), default=switch.ended)
            for answer in meanwhile:
                if answer.bundle not in (before, switch.bundle):
                    yield f"the model {answer.bundle} answered, which was never live then"
                elif answer.bundle == before and answer.asked > min(first, switch.ended):
                    yield f"the model {before} answered after {switch.bundle} was live"


def live(data: Path, recognitions: int, products: int, seed: int) -> Counter[str]:
    """One run in the empty folder `data`; what was done. Raises AssertionError with what was wrong."""
    with serve_catalog(data) as server:
        life = Life(server, random.Random(seed), recognitions)
        with ThreadPoolExecutor(TILLS + 1) as threads:
            tills = [threads.submit(life.ask, seed + number) for number in range(TILLS)]
            staff = threads.submit(life.keep_changing, products)
            try:
                while not staff.done() and life.retirements() < products / 3:
                    time.sleep(0.05)
                for bundle in (OTHER, RELEASED):
                    life.switch(data, bundle)
                staff.result()
            finally:
                life.over.set()
            for till in tills:
                till.result()
    wrong = life.wrong()
    assert not wrong, f"seed {seed}: {len(wrong)} of {len(life.answers)} answers: {wrong[:5]}"
    models = Counter(answer.bundle for answer in life.answers)
    assert len(models) == 2, f"both models are to answer: {models}"
    return Counter(
        {
            "recognitions of a till's life": len(life.answers),
            "products added meanwhile": len(life.fates),
            "products retired meanwhile": life.retirements(),
            "models switched meanwhile": len(life.switches),
        }
    )

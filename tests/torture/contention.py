"""Two processes of eight threads each change the same products: what is acknowledged is never overwritten unseen."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select

from catalog import products
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.tables import AuditEntry
from tests.support.served import environment
from tests.torture import acting
from tests.torture.model import photo
from tests.torture.rival import COUNTER, PHOTOS

ROOT = Path(__file__).parents[2]
#: Changes that are in the audit log each time that they are acknowledged.
AUDITED = {"product.create": "create", "product.merge": "merge", "product.purge": "purge", "photo.move": "move_photo"}


def contend(env: dict[str, str], seed: int, rounds: int) -> Counter[str]:
    """Let them; how each change ended. Raises AssertionError with all that is wrong."""
    env = environment(**env, CATALOG_SECOND_LOOK="off")
    catalog = acting.open_catalog(env)
    products.create(catalog, Facts(COUNTER, "0"), [NewPhoto("c.jpg", photo(max(PHOTOS) + 1))], Intake("contention"))
    catalog.close()
    with _spawn(env, 0, seed, rounds, "worker") as first, _spawn(env, 1, seed, rounds) as second:
        for rival in (first, second):
            assert rival.stdout and rival.stdout.readline() == "open\n"
        for rival in (first, second):
            _go(rival)
        said = [json.loads(rival.stdout.readline()) for rival in (first, second) if rival.stdout]
        wrong = [line for each in said for line in each["wrong"]]
        tally: Counter[str] = sum((Counter(each["tally"]) for each in said), Counter())
        # What the second process could not write into the gallery, the first one's worker does.
        catalog = acting.open_catalog(env)
        began = time.monotonic()
        while acting.owed(catalog) and time.monotonic() < began + 60:
            time.sleep(0.05)
        if acting.owed(catalog):
            wrong.append(f"{acting.owed(catalog)} changes are owed to the gallery after a minute")
        for rival in (second, first):
            _go(rival)
            assert rival.wait(60) == 0
    for number in PHOTOS:
        photo(number)
    counted = int(products.get(catalog.database, COUNTER).name)
    if counted != tally["count: done"]:
        wrong.append(f"{tally['count: done']} changes were acknowledged, {counted} are there")
    wrong += list(acting.wrongs(catalog))
    for action, kind in AUDITED.items():
        with catalog.database.read() as session:
            query = select(func.count()).where(AuditEntry.action == action, AuditEntry.actor == acting.ACTOR)
            logged = session.scalar(query)
        if logged != tally[f"{kind}: done"]:
            wrong.append(f"{tally[f'{kind}: done']} of {kind} were acknowledged, the audit log has {logged}")
    catalog.close()
    assert not wrong, "\n".join(wrong)
    return tally


def _spawn(env: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.torture.rival", *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()

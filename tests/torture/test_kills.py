"""kill -9 at random moments loses nothing that was acknowledged and leaves nothing half. More: `make torture`."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.torture.killing import KINDS, World

pytestmark = pytest.mark.slow

SEED = 20_26


def test_kill_9_loses_nothing(env: dict[str, str]) -> None:
    tally: Counter[str] = Counter()
    world = World(env, random.Random(SEED), tally)
    print(f"seed {SEED}")
    for kind in KINDS:  # on two databases: eight kills
        world.kill(kind)
    assert tally["kills"] == len(KINDS)
    assert tally["acknowledged"] > 0
    print(dict(tally))

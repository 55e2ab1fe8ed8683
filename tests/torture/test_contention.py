"""Two processes of eight threads each change the same products. More of it: `make torture`."""

from __future__ import annotations

from contention import contend


def test_nothing_is_overwritten_unseen(env: dict[str, str]) -> None:
    tally = contend(env, seed=1, rounds=6)
    print(dict(tally))
    assert tally["count: done"] > 0

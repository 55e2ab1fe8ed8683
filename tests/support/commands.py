"""The command `catalog` in tests."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

#: Arguments of a `catalog` command, its exit status -> what it said.
Run = Callable[..., Result]


def one_line(result: Result) -> str:
    assert result.stdout == ""
    assert result.stderr.startswith("catalog: ")
    assert result.stderr.count("\n") == 1
    return result.stderr

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("schemathesis", reason="schemathesis (extra `dev`) is not installed")

from tests.torture.described import examine


@pytest.mark.slow
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """The same requests each time, so that a failure can be looked into; `make torture` draws others, and more."""
    if found := examine(tmp_path, examples=5, seed=1, phases="examples,coverage,fuzzing"):
        pytest.fail(found, pytrace=False)

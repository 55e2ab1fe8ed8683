"""A till's life in short. Whole, with 10,000 recognitions: `make torture`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.till_life import live

pytestmark = pytest.mark.slow


def test_no_answer_is_older_than_what_was_acknowledged(tmp_path: Path) -> None:
    done = live(tmp_path, recognitions=200, products=20, seed=11)
    assert done["recognitions of a till's life"] >= 200
    assert (done["products retired meanwhile"], done["models switched meanwhile"]) == (20, 2)

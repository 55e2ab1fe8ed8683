"""All use cases, in random sequences, agree with a plain model of them. `make torture` runs many more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.torture import acting
from tests.torture.machine import Machine

pytestmark = pytest.mark.slow

SETTINGS = settings(
    max_examples=6,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_random_sequences_agree_with_the_model(env: dict[str, str], tmp_path: Path) -> None:
    catalog = acting.open_catalog({**env, "CATALOG_SECOND_LOOK": "off"})

    class OnThis(Machine):
        opened = staticmethod(lambda: catalog)

    run_state_machine_as_test(OnThis, settings=SETTINGS)
    assert list(acting.wrongs(catalog)) == []
    catalog.close()

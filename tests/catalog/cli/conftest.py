"""The command `catalog`, run in the folder of the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from catalog.cli import main
from tests.support.commands import Run
from tests.support.pictures import jpeg


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a `catalog` command in the folder of the test, whose photos are 1.jpg to 4.jpg."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2, 3, 4):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))

    def run_it(*arguments: str, status: int = 0, **options: str) -> Result:
        result = CliRunner().invoke(main, arguments, env=env, **options)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result

    return run_it

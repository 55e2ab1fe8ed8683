"""The benchmarks still start. What they measure is never a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "benchmarks"
#: These take no options: started, they would measure.
NO_OPTIONS = {"screenshots.py"}
NEEDS = {"embedding.py": "tensorflow", "screenshots.py": "playwright"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_it_is_imported_and_tells_its_options(path: Path) -> None:
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name])
    if path.name in NO_OPTIONS:
        # Not as __main__: its imports, which it finds beside it, and its functions; no measurement.
        code = f"import runpy, sys; sys.path.insert(0, {str(FOLDER)!r}); runpy.run_path({str(path)!r})"
        command = [sys.executable, "-c", code]
    else:
        command = [sys.executable, str(path), "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER.parent)
    assert ran.returncode == 0, ran.stderr
    assert path.name in NO_OPTIONS or ran.stdout.startswith("usage:")


def test_no_script_imports_another() -> None:
    """What two of them need is in benchmarks/common/."""
    scripts = {path.stem for path in FOLDER.glob("*.py")}
    wrong = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = {(node.module or "").split(".")[0]}
            else:
                continue
            wrong += [f"{path.relative_to(FOLDER)} imports {name}" for name in sorted(names & scripts)]
    assert wrong == []

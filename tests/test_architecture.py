"""Imports go one way, and what only one place may know stays there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"embedder", "catalog", "web", "migrations"}
#: What each package may import of the others.
MAY = {
    "embedder": set(),
    "catalog": {"embedder"},
    "web": {"catalog", "embedder"},
    "migrations": {"catalog"},
}
#: Library -> the only files that may import it.
ONLY = {
    "qdrant_edge": ("catalog/gallery/edge.py", "catalog/gallery/edge_shards.py"),
    "qdrant_client": ("catalog/gallery/server.py", "catalog/gallery/server_connection.py"),
    "tensorflow_addons": "embedder/training/losses.py",
    "flask": "web/",
    "sqlalchemy": ("catalog/", "migrations/", "web/admin/audit.py"),
    "tensorflow": ("embedder/networks/", "embedder/training/"),
}


def sources() -> Iterator[tuple[str, str]]:
    """(file, imported top-level module) of every import in the packages."""
    for package in sorted(PACKAGES):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: relative import"
                    names = [node.module or ""]
                else:
                    continue
                for name in names:
                    yield path.relative_to(ROOT).as_posix(), name.split(".")[0]


def test_imports_go_one_way() -> None:
    wrong = [
        f"{file} imports {name}"
        for file, name in sources()
        if name in PACKAGES and name != file.split("/")[0] and name not in MAY[file.split("/")[0]]
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ONLY)
def test_libraries_stay_in_their_place(library: str) -> None:
    importers = {file for file, name in sources() if name == library}
    assert importers, f"nothing imports {library} any more: take it out of this list and of pyproject.toml"
    assert {file for file in importers if not file.startswith(ONLY[library])} == set()


def test_serving_loads_no_training_library() -> None:
    code = "import sys, web.__main__, catalog.cli, embedder.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "tensorflow_addons", "keras", "matplotlib"} & set(loaded)
    assert not {"alembic", "spectree", "pydantic", "celery"} & set(loaded), "a start waits for none of these"


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_locks_pin_with_hashes_and_name_no_registry(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pins and all("==" in line for line in pins)
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
    assert not any("://" in line or line.startswith("-") for line in lines)

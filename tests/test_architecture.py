"""Imports go one way, and what only one place may know stays there."""

from __future__ import annotations

import ast
import importlib
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
    "openTSNE": "catalog/gallery_map/layout.py",
    "flask": "web/",
    "prometheus_client": "web/metrics/",
    "sqlalchemy": ("catalog/", "migrations/"),
    "tensorflow": ("embedder/networks/", "embedder/training/", "embedder/adaptation/"),
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


@pytest.mark.slow
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


def test_other_packages_import_a_face_only() -> None:
    """Across sub-packages: what a face exports, or a module that it names. Commands import what they run, inside."""
    wrong = []
    for package in sorted(PACKAGES):
        for path in sorted((ROOT / package).rglob("*.py")):
            own = path.relative_to(ROOT).parent.as_posix().replace("/", ".")
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (face := face_of(node.module or "")) and not is_in(own, face):
                    wrong += [
                        f"{path.relative_to(ROOT)}: from {node.module} import {alias.name}"
                        for alias in node.names
                        if not is_exported(face, node.module or "", alias.name)
                    ]
    assert wrong == []


def face_of(module: str) -> str:
    """The sub-package that a module is (in); "" for one at the top of its package."""
    for face in (module, module.rpartition(".")[0]):
        if face.count(".") == 1 and (ROOT / face.replace(".", "/") / "__init__.py").exists():
            return face
    return ""


def is_in(own: str, face: str) -> bool:
    return own == face or own.startswith((f"{face}.", "catalog.demo"))


def is_exported(face: str, module: str, name: str) -> bool:
    exports = vars(importlib.import_module(face)).get("__all__")
    if exports is None:  # TensorFlow's packages, which import nothing, and those of the pages
        return True
    return name in exports if module == face else module.removeprefix(f"{face}.") in exports


@pytest.mark.parametrize(
    "package", ["catalog", "embedder", "embedder.training", "embedder.networks", "embedder.adaptation"]
)
def test_these_packages_import_nothing_by_themselves(package: str) -> None:
    face = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
    assert [node for node in face.body if not isinstance(node, ast.Expr)] == []


def loaded_by(code: str) -> set[str]:
    """The modules that a program of its own has loaded after this code."""
    program = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_the_command_line_loads_no_numpy() -> None:
    """OpenBLAS is told its processor by a restart, which must come before NumPy is loaded."""
    assert not {"numpy", "cv2", "sqlalchemy", "PIL"} & loaded_by("import catalog.cli")


def test_ranking_loads_nothing() -> None:
    assert not {"numpy", "cv2"} & loaded_by("import embedder.ranking")


def test_serving_loads_no_training_library() -> None:
    loaded = loaded_by("import web.__main__, web.app, web.gate, web.serving, catalog.cli, embedder.cli")
    assert not {"tensorflow", "tensorflow_addons", "keras", "matplotlib", "openTSNE", "sklearn", "scipy"} & loaded
    assert not {"alembic", "pydantic", "celery"} & loaded, "a start waits for none of these"


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_locks_pin_with_hashes_and_name_no_registry(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pins and all("==" in line for line in pins)
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins)
    assert not any("://" in line or line.startswith("-") for line in lines)

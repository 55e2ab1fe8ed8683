"""A till that is killed while it updates has the version of before, whole, and the next try succeeds."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from catalog.catalog import Catalog
from catalog.offline import Built, Till, TillFolder, TillOptions, install
from tests.support.offline import KEY, add, built, public_key, said
from tests.support.pictures import jpeg
from tests.support.spawning import spawn


@pytest.fixture(params=["sqlite"])
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'catalog.db'}"


def found(folder: Path) -> tuple[str, list[bool]]:
    """The version of a till, and which of the three photos it finds as they are."""
    till = Till(TillFolder(folder), TillOptions(KEY))
    try:
        answers = [said(till.catalog, jpeg(seed))["matches"] for seed in (1, 2, 3)]
        return till.facts.version, [
            bool(matches) and matches[0]["sku"] == f"S{seed}" and matches[0]["score"] > 0.999
            for seed, matches in zip((1, 2, 3), answers, strict=True)
        ]
    finally:
        till.close()


def killed(folder: TillFolder, new: Built, step: str, number: int) -> bool:
    """Whether the process was killed before it was through."""
    child = spawn("till_killed", folder.root, new.path, step, number, env={})
    child.communicate(timeout=300)
    assert child.returncode in (0, -signal.SIGKILL)
    return child.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["delta", "whole"])
def test_killed_at_each_step(catalog: Catalog, tmp_path: Path, kind: str) -> None:
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    first = built(catalog)
    folder = TillFolder(tmp_path / "till")
    install(folder, first.path, folder.trusted([public_key(catalog)]))
    add(catalog, "S3", jpeg(3))
    new = built(catalog, since=first.version if kind == "delta" else None)
    # Renaming a file into its place, making a folder, syncing, renaming the folder of the version.
    steps = [("replace", 1), ("replace", 2), ("mkdir", 2), ("fsync", 1), ("fsync", 2), ("rename", 1), ("sync", 1)]
    for step, number in steps:
        assert killed(folder, new, step, number), (step, number)
        assert found(folder.root) == (first.version, [True, True, False]), (step, number)
    folder.sweep()
    assert not killed(folder, new, "replace", 0)
    assert found(folder.root) == (new.version, [True, True, True])

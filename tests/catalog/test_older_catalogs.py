"""What an older version of this program wrote is opened as it is: a catalog, its gallery, its bundles, a backup.

data/schema-0003.tar.xz was written by the version that had all of catalog/ in one folder: four drawn packs (one of them
retired), two bundles of a tiny network and 256 visual words, a backup, and what that version answered to five queries.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog import accounts, maintenance, margins, products
from catalog.backup import restore
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.recognition import recognize
from embedder.bundle import load_bundle

ARCHIVE = Path(__file__).parent / "data" / "schema-0003.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "old"


@pytest.fixture
def catalog(old: Path) -> Iterator[Catalog]:
    opened = Catalog.open(Settings.from_env({"CATALOG_DATA": str(old / "data")}))
    yield opened
    opened.close()


def answers(catalog: Catalog, old: Path) -> dict[str, Any]:
    """What a till is told, but for what differs from call to call; figures as far as processors agree on them."""
    found = {}
    for photo in sorted((old / "queries").iterdir()):
        answer = recognize(catalog, photo.read_bytes()).as_dict()
        found[photo.name] = comparable(answer)
    return found


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    matches = [
        (match["sku"], match["name"], pytest.approx(match["score"], abs=2e-3), (match["evidence"] or {}).get("photo"))
        for match in answer["matches"]
    ]
    kept = ("decision", "decided_by", "barcodes", "bundle")
    return {**{key: answer[key] for key in kept}, "matches": matches}


def test_it_recognizes_as_it_did(catalog: Catalog, old: Path) -> None:
    before = json.loads((old / "answers.json").read_text())["answers"]
    assert answers(catalog, old) == {name: comparable(answer) for name, answer in before.items()}
    assert products.counts(catalog.database).pending == 0
    assert list(maintenance.examine(catalog)) == []


def test_its_photos_are_asked_for_margins(catalog: Catalog, old: Path) -> None:
    before = answers(catalog, old)
    assert margins.refresh(catalog, catalog.generations.ready()) == 4  # all but the retired product's
    assert list(margins.needed_margins(catalog.database)) == []  # one photo each
    assert answers(catalog, old) == before


def test_its_keys_open(catalog: Catalog, old: Path) -> None:
    key = json.loads((old / "answers.json").read_text())["key"]
    assert accounts.check_key(catalog.database, key) is not None


def test_it_is_embedded_again_and_rolled_back(catalog: Catalog, old: Path) -> None:
    before = answers(catalog, old)
    first = catalog.generations.live().embedder.bundle.id
    switched = maintenance.reembed(catalog, load_bundle(old / "tiny-2"), switch_anyway=True)
    assert (switched.before, switched.photos) == (first, 4)  # all but the retired product's
    assert catalog.generations.live().embedder.bundle.id == load_bundle(old / "tiny-2").id
    assert answers(catalog, old).keys() == before.keys()
    maintenance.rollback(catalog)
    assert answers(catalog, old) == before


def test_its_backup_is_restored(old: Path, tmp_path: Path) -> None:
    settings = Settings.from_env({"CATALOG_DATA": str(tmp_path / "new")})
    target = Catalog.open(replace(settings, model=old / "tiny-1"))
    try:
        done = restore(target, old / "backup.tar", actor="test")
        assert (done.rows["product"], done.photos, done.left_out) == (4, 5, [])
        maintenance.rebuild(target, actor="test")
        before = json.loads((old / "answers.json").read_text())["answers"]
        assert answers(target, old) == {name: comparable(answer) for name, answer in before.items()}
    finally:
        target.close()

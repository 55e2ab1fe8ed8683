"""A till answers as its server does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.errors import InvalidInputError, PhotoRejectedError
from catalog.offline import Till, opening
from catalog.recognition import Scope, recognize
from embedder.bundle import load_bundle
from tests.support.drawn import DRAWN, front
from tests.support.offline import GTIN, add, built, fill, queries, said, till_of, unhurried
from tests.support.pictures import jpeg


@pytest.fixture
def server(catalog: Catalog) -> Catalog:
    catalog = unhurried(catalog)
    fill(catalog)
    return catalog


def same_answers(server: Catalog, till: Till) -> list[str]:
    """The decisions, which are the same."""
    decided = []
    for photo in queries():
        here, there = said(server, photo), said(till.catalog, photo)
        assert here == there
        decided.append(f"{here['decision']} by {here['decided_by']}")
    return decided


@pytest.mark.slow
def test_each_kind_of_answer_is_the_same(server: Catalog, tmp_path: Path) -> None:
    with till_of(server, built(server).path, tmp_path / "till") as till:
        decided = same_answers(server, till)
    assert {"match by embedding", "match by details", "unknown by embedding"} <= set(decided), decided


@pytest.mark.slow
def test_a_till_knows_labels_barcodes_and_errors(server: Catalog, tmp_path: Path) -> None:
    products.set_labels(server.database, "GONE", ["cellar"], actor="anna")
    with till_of(server, built(server).path, tmp_path / "till") as till:
        for catalog in (server, till.catalog):
            answer = recognize(catalog, jpeg(2), among=Scope(labels=("bakery",)))
            assert [match.sku for match in answer.matches] == ["S1"]
            assert recognize(catalog, jpeg(2), among=Scope(labels=("cellar",))).matches == []
            with pytest.raises(InvalidInputError, match="No product has the label 'bakry'"):
                recognize(catalog, jpeg(2), among=Scope(labels=("bakry",)))
            with pytest.raises(PhotoRejectedError) as refused:
                recognize(catalog, b"no image", filename="a.jpg")
            assert refused.value.code == "not_an_image"
        with till.catalog.database.read() as session:
            from catalog.storage.product_rows import find_owners

            assert find_owners(session, [GTIN])[GTIN].sku == "CODED"


@pytest.mark.slow
def test_after_changes_a_delta_brings_the_same_answers_as_the_whole(server: Catalog, tmp_path: Path) -> None:
    first = built(server)
    with till_of(server, first.path, tmp_path / "till") as till:
        add(server, DRAWN[5].sku, front(DRAWN[5]))
        add(server, "S5", jpeg(5))
        products.set_active(server, "S2", False, actor="anna")
        products.delete_product(server, "S3", actor="anna")
        products.rename(server, "S1", "S1-NEW", actor="anna")
        delta, whole = built(server, since=first.version), built(server)
        assert (delta.since, delta.version, whole.since) == (first.version, whole.version, None)
        assert delta.path.stat().st_size < whole.path.stat().st_size / 10
        trusted = till.folder.trusted()
        assert till.install(delta.path, trusted)
        assert not till.install(delta.path, trusted)
        assert till.facts.version == whole.version
        changed = same_answers(server, till)
        assert [match["sku"] for match in said(till.catalog, jpeg(1))["matches"][:1]] == ["S1-NEW"]
    with till_of(server, whole.path, tmp_path / "other") as other:
        assert same_answers(server, other) == changed


def test_a_till_that_is_never_started_again_keeps_one_version(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "GRACE", 0.01)
    add(catalog, "S1", jpeg(1))
    first = built(catalog)
    with till_of(catalog, first.path, tmp_path / "till") as till:
        for seed in (2, 3):
            before = till.facts.version
            add(catalog, f"S{seed}", jpeg(seed))
            assert till.install(built(catalog, since=before).path, till.folder.trusted())
            deadline = time.monotonic() + 60
            while (folders := [path.name for path in (till.folder.root / "versions").iterdir()])[1:]:
                assert time.monotonic() < deadline, folders
                time.sleep(0.02)
            assert folders == [till.facts.version] != [before]
            assert said(till.catalog, jpeg(seed))["matches"][0]["sku"] == f"S{seed}"


def test_a_till_forgets_the_photos_of_a_deleted_product(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "GRACE", 0.01)
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    first = built(catalog)
    with till_of(catalog, first.path, tmp_path / "till") as till:
        assert len({file.sha256 for file in till.catalog.photos.files()}) == 2
        products.delete_product(catalog, "S2", actor="anna")
        till.install(built(catalog, since=first.version).path, till.folder.trusted())
        (left,) = products.get(catalog.database, "S1").photos
        deadline = time.monotonic() + 60
        while (found := {file.sha256 for file in till.catalog.photos.files()}) != {left.sha256}:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        assert said(till.catalog, jpeg(1))["matches"][0]["sku"] == "S1"


@pytest.mark.slow
def test_another_model_is_sent_whole(server: Catalog, tmp_path: Path, other_bundle: object) -> None:
    from catalog.maintenance import reembed

    first = built(server)
    with till_of(server, first.path, tmp_path / "till") as till:
        reembed(server, load_bundle(other_bundle.path), switch_anyway=True, actor="anna")  # type: ignore[attr-defined]
        second = built(server, since=first.version)
        assert second.since is None
        assert till.install(second.path, till.folder.trusted())
        assert till.facts.bundle == other_bundle.id  # type: ignore[attr-defined]
        same_answers(server, till)

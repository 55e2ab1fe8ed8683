"""Photos that the gallery does not take during an import: tried again at its end, and counted when they stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import products, right_of_way, transfer
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.progress import Progress, no_progress
from catalog.storage import content_hash
from catalog.transfer import importing
from catalog.transfer.importing import Report
from tests.support.pictures import jpeg


def write(root: Path, *photos: tuple[str, int]) -> None:
    for name, seed in photos:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(seed))


def load(catalog: Catalog, root: Path, progress: Progress) -> Report:
    with transfer.open_source(root) as source:
        return transfer.import_items(catalog, source.items, actor="cli", progress=progress)


def test_what_was_pending_meanwhile_is_tried_again_at_the_end(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "in", *((f"S{seed}/1.jpg", seed) for seed in range(3)))
    products.create(catalog, Facts("OTHER"), [NewPhoto("9.jpg", jpeg(9))], Intake("anna"))

    def switch(done: int, total: int) -> None:
        catalog.gallery.on = done == total  # type: ignore[attr-defined]  # see conftest

    catalog.gallery.on = False  # type: ignore[attr-defined]
    report = load(catalog, tmp_path / "in", switch)
    assert report == Report(products=3, photos=3)
    assert products.counts(catalog.database).pending == 0


def test_a_photo_that_stays_pending_is_counted(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "in", ("A/1.jpg", 1), ("B/2.jpg", 2))
    folder = catalog.settings.data / "photos"

    def damage(done: int, total: int) -> None:
        if done == total:
            next(folder.rglob(content_hash(jpeg(1)))).write_bytes(b"damaged")
            catalog.gallery.on = True  # type: ignore[attr-defined]

    catalog.gallery.on = False  # type: ignore[attr-defined]
    report = load(catalog, tmp_path / "in", damage)
    assert report == Report(products=2, photos=2, pending=1)


def test_in_the_background_an_import_leaves_other_products_to_the_outbox_and_can_be_ended(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "CHUNK", 1)
    write(tmp_path / "in", *((f"S{seed}/1.jpg", seed) for seed in range(3)))
    catalog.gallery.on = False  # type: ignore[attr-defined]
    products.create(catalog, Facts("OTHER"), [NewPhoto("9.jpg", jpeg(9))], Intake("anna"))
    pending: list[int] = []

    def cancel(done: int, total: int) -> None:
        catalog.gallery.on = done == total  # type: ignore[attr-defined]
        if done == total:
            pending.append(products.counts(catalog.database).pending)
            if len(pending) == 3:
                raise InterruptedError

    with right_of_way.background(), pytest.raises(InterruptedError):
        load(catalog, tmp_path / "in", cancel)
    assert pending == [4, 3, 2]
    with right_of_way.background():
        assert load(catalog, tmp_path / "in", no_progress) == Report(duplicates=3)
    assert products.counts(catalog.database).pending == 1, "that of the other product"

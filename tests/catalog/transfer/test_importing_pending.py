"""Photos that the gallery does not take during an import: tried again at its end, and counted when they stay."""

from __future__ import annotations

from pathlib import Path

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.progress import Progress
from catalog.storage import content_hash
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

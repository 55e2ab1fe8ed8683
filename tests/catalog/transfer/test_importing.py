from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from catalog import enrollment, maintenance, products, transfer
from catalog.catalog import Catalog
from catalog.enrollment import ReadPhoto, Upload
from catalog.errors import InvalidInputError, StorageError
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry
from catalog.transfer import importing, sources
from catalog.transfer.importing import Report
from embedder.bundle import Bundle
from embedder.inference import Embedder
from tests.support.pictures import bad_files, jpeg
from tests.support.spawning import spawn


def write(root: Path, *photos: tuple[str, int]) -> None:
    for name, seed in photos:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(seed))


def load(catalog: Catalog, root: Path) -> Report:
    with transfer.open_source(root) as source:
        return transfer.import_items(catalog, source.items, actor="cli")


def entries(catalog: Catalog) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(AuditEntry)) or 0


def test_the_folder_that_holds_the_photos_is_the_sku(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root, ("A/1.jpg", 1), ("A/2.JPG", 2), ("deep/er/B/1.jpg", 3), ("deep/A/1.jpg", 4))
    (root / "A" / "notes.txt").write_text("no photo")
    (root / "A" / ".hidden.jpg").write_text("no photo")
    assert load(catalog, root) == Report(products=2, photos=4)
    assert recognize(catalog, jpeg(3)).matches[0].sku == "B"
    assert [len(products.get(catalog.database, sku).photos) for sku in "AB"] == [3, 1]
    before = entries(catalog)
    assert load(catalog, root) == Report(duplicates=4)
    assert entries(catalog) == before
    write(root, ("A/3.jpg", 5))
    assert load(catalog, root) == Report(photos=1, duplicates=4)


@pytest.mark.slow
def test_more_photos_than_one_request_may_have(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "in", *((f"A/{seed}.jpg", seed) for seed in range(70)))
    counted: list[tuple[int, int]] = []
    report = transfer.import_items(
        catalog, sources.from_folder(tmp_path / "in").items, actor="cli", progress=lambda *of: counted.append(of)
    )
    assert report == Report(products=1, photos=70)
    assert counted[-1] == (70, 70)


def test_broken_photos_are_reported_and_the_others_imported(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root, ("A/good.jpg", 1), ("other/A/text.jpg", 2), (65 * "x" + "/1.jpg", 3), ("B/1.jpg", 4))
    for name, (data, _, _) in bad_files().items():
        (root / "A" / name).write_bytes(data)
        (root / "only bad").mkdir(exist_ok=True)
        (root / "only bad" / name).write_bytes(data)
    report = load(catalog, root)
    # A good photo of the same file name as a bad one is not mistaken for it.
    assert (report.products, report.photos, report.duplicates) == (2, 3, 0)
    assert len(report.errors) == 2 * len(bad_files()) + 1
    for name in bad_files():
        assert sum(name in error for error in report.errors) == 2
    assert sum("at most 64" in error for error in report.errors) == 1
    assert [p.sku for p in products.list_page(catalog.database).products] == ["A", "B"]


def test_a_csv(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "photos", ("1.jpg", 1), ("2.jpg", 2), ("with blank.jpg", 3))
    path = tmp_path / "list.csv"
    path.write_text(
        "\ufeffSKU,Name,Photos,Brand\n"
        "A, Green tea ,photos/1.jpg | photos/2.jpg,Leaf\n"
        f'"A","again",{tmp_path}/photos/with blank.jpg,\n'
        "\n"
        "B,,photos/1.jpg,\n",
        encoding="utf-8",
    )
    assert load(catalog, path) == Report(products=2, photos=4)
    product = products.get(catalog.database, "A")
    assert (product.name, product.brand, len(product.photos)) == ("Green tea", "Leaf", 3)
    assert products.get(catalog.database, "B").name == "B"
    differs = f"{path}:3: A: name: Green tea -> again"
    assert load(catalog, path) == Report(duplicates=4, ignored=[differs])


def test_barcodes_of_a_csv(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path, ("1.jpg", 1), ("2.jpg", 2), ("3.jpg", 3))
    path = tmp_path / "list.csv"
    lines = ["sku,photos,barcode", "A,1.jpg,4006381333931", "B,2.jpg,", "C,3.jpg,5449000000996; 96385074"]
    path.write_text("\n".join(lines))
    assert load(catalog, path) == Report(products=3, photos=3)

    def barcodes_of(sku: str) -> list[str]:
        return [barcode.gtin for barcode in products.get(catalog.database, sku).barcodes]

    assert (barcodes_of("A"), barcodes_of("B")) == (["04006381333931"], [])
    assert barcodes_of("C") == ["00000096385074", "05449000000996"]
    # A re-run adds what is new. What is wrong, or another product's, is reported, and the photos of its line left out.
    write(tmp_path, ("4.jpg", 4))
    lines[2:] = [
        "B,2.jpg,036000291452",
        "C,4.jpg,4006381333931",
        "C,4.jpg,4006381333932",
        "D,4.jpg,96385074",
        "E,4.jpg,",
    ]
    path.write_text("\n".join(lines))
    report = load(catalog, path)
    assert (report.products, report.photos, report.duplicates) == (1, 1, 2)
    assert barcodes_of("B") == ["00036000291452"]
    assert [error.split(": ")[0] for error in report.errors] == [f"{path}:{line}" for line in (4, 5, 6)]
    for error, words in zip(report.errors, ("product 'A'", "last digit", "product 'C'"), strict=True):
        assert words in error


def test_errors_of_a_csv_name_the_line(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path, ("1.jpg", 1))
    (tmp_path / "bad.jpg").write_text("no photo")
    path = tmp_path / "list.csv"
    lines = [
        "sku,photos",
        "A,1.jpg",
        ",1.jpg",
        "B,",
        "C,bad.jpg",
        "D,absent.jpg",
        "E,.",
        "a/../b,1.jpg",
        "F",
        "G,1.jpg|bad.jpg,x",
    ]
    path.write_text("\n".join(lines))
    report = load(catalog, path)
    assert (report.products, report.photos) == (1, 1)
    expected = {
        3: "SKU is missing",
        4: "no photo",
        5: "bad.jpg: The file is not an image",
        6: "absent.jpg: No such file",
    }
    expected |= {7: "Is a directory", 8: "slashes", 9: "no photo", 10: "3 cells, the header 2"}
    assert len(report.errors) == len(expected)
    for error, (number, words) in zip(report.errors, expected.items(), strict=True):
        assert error.startswith(f"{path}:{number}: ")
        assert words in error


@pytest.mark.parametrize("content", [b"", b"name,photo\nA,1.jpg\n", b"sku,photos\n\xff\xfe,1.jpg\n", b"\xff\xfes\0k\0"])
def test_what_is_no_csv(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"list\.csv"):
        sources.from_csv(path)


def test_folders_without_photos(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InvalidInputError, match=str(root)):
            sources.from_folder(root)


def test_a_full_disk_ends_the_import(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in", ("A/1.jpg", 1), ("B/1.jpg", 2))
    put, stored = catalog.photos.put, []

    def full(data: bytes) -> str:
        if stored:
            raise StorageError("no space")
        stored.append(data)
        return put(data)

    monkeypatch.setattr(catalog.photos, "put", full)
    with pytest.raises(StorageError):
        load(catalog, tmp_path / "in")
    monkeypatch.undo()
    assert load(catalog, tmp_path / "in") == Report(products=1, photos=1, duplicates=1)


def test_what_can_not_be_searched_yet_is_counted(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AGAIN", 0.1)
    write(tmp_path / "in", ("A/1.jpg", 1), ("A/2.jpg", 2))
    catalog.gallery.on = False
    report = load(catalog, tmp_path / "in")
    assert report == Report(products=1, photos=2, pending=2)
    assert report.why == "The gallery is switched off."


@pytest.mark.slow
def test_a_killed_import_goes_on_where_it_ended(
    env: dict[str, str], open_catalog: Callable[[], Catalog], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in", *((f"S{seed // 2:02}/{seed}.jpg", seed) for seed in range(20)))
    with spawn("importing_killed", tmp_path / "in", 8, env=env) as child:
        assert child.wait() == -signal.SIGKILL
    catalog = open_catalog()
    kept = transfer.count_photos(catalog.database)
    assert 8 <= kept < 20
    looked: list[str] = []
    read_photo = enrollment.read_photo

    def noted(embedder: Embedder, upload: Upload) -> ReadPhoto:
        looked.append(upload.filename)
        return read_photo(embedder, upload)

    monkeypatch.setattr(enrollment, "read_photo", noted)
    report = load(catalog, tmp_path / "in")
    assert report == Report(products=10 - kept // 2, photos=20 - kept, duplicates=kept)
    assert len(looked) == len(set(looked)) == 20 - kept  # what is there is only hashed
    assert products.counts(catalog.database) == products.Counts(10, 20, 0)
    assert catalog.gallery.count(catalog.generations.ready().collection) == 20


def test_what_a_killed_import_left_pending_is_done_first(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AGAIN", 0.1)
    write(tmp_path / "in", ("A/1.jpg", 1), ("A/2.jpg", 2))
    catalog.gallery.on = False
    load(catalog, tmp_path / "in")
    assert load(catalog, tmp_path / "in") == Report(duplicates=2, pending=2)
    catalog.gallery.on = True
    assert load(catalog, tmp_path / "in") == Report(duplicates=2)
    assert products.counts(catalog.database).pending == 0


def test_a_model_switched_to_meanwhile_looks_again(catalog: Catalog, tmp_path: Path, other_bundle: Bundle) -> None:
    write(tmp_path / "in", *((f"S{seed}/1.jpg", seed) for seed in range(4)))

    def switch(done: int, total: int) -> None:
        if catalog.generations.live().embedder.bundle.id != other_bundle.id:
            maintenance.reembed(catalog, other_bundle, switch_anyway=True)

    transfer.import_items(catalog, sources.from_folder(tmp_path / "in").items, actor="cli", progress=switch)
    live = catalog.generations.ready()
    assert live.embedder.bundle.id == other_bundle.id
    assert catalog.gallery.count(live.collection) == 4
    assert recognize(catalog, jpeg(3)).matches[0].score > 0.99


def test_a_line_may_retire_a_product_and_never_revives_one(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path, ("1.jpg", 1), ("2.jpg", 2))
    path = tmp_path / "list.csv"
    path.write_text("sku,photos,active\nA,1.jpg,no\nB,2.jpg,yes\n")
    assert load(catalog, path) == Report(products=2, photos=2)
    assert [products.get(catalog.database, sku).active for sku in "AB"] == [False, True]
    path.write_text("sku,photos,active\nA,1.jpg,yes\nB,,no\n")
    differs = f"{path}:2: A: active: no -> yes"
    assert load(catalog, path) == Report(duplicates=1, ignored=[differs])
    assert [products.get(catalog.database, sku).active for sku in "AB"] == [False, False]

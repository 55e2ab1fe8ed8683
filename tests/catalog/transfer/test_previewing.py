from __future__ import annotations

from pathlib import Path

import pytest

from catalog import products, transfer
from catalog.catalog import Catalog
from catalog.transfer import sources
from tests.support.imports import errors_of
from tests.support.pictures import bad_files, encode, jpeg, odd_files, picture


def check(catalog: Catalog, path: Path) -> list[str]:
    with transfer.open_source(path) as source:
        return errors_of(catalog.database, source.items)


def test_all_that_is_wrong_is_told_by_line(catalog: Catalog, tmp_path: Path) -> None:
    for seed in (1, 2):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))
    (tmp_path / "bad.jpg").write_text("no photo")
    path = tmp_path / "list.csv"
    path.write_text("sku,photos,barcode\nTaken,1.jpg,96385074\n")
    transfer.import_items(catalog, sources.from_csv(path).items, actor="cli")
    lines = [
        "sku,name,photos,barcode,active",
        "A,Tea,1.jpg,4006381333931,",
        "a/../b," + "x" * 201 + ",absent.jpg|bad.jpg,4006381333932,maybe",
        "A,Coffee,2.jpg,,",
        "B,,1.jpg,4006381333931,",
        "C,,1.jpg,96385074,",
        "D,,,,",
        "A,,2.jpg,,no",
        "Taken,,,5449000000996,",
        "E,E,1.jpg\0,,",
    ]
    path.write_text("\n".join(lines))
    errors = check(catalog, path)
    expected = [
        (3, "active says 'maybe'"),
        (3, "slashes"),
        (3, "last digit"),
        (3, "name has 201 characters"),
        (3, "absent.jpg: No such file"),
        (3, "bad.jpg: The file is not an image"),
        (4, f"name of 'A' is 'Coffee' here and 'Tea' before: {path}:2"),
        (5, f"4006381333931 is that of 'A', too: {path}:2"),
        (6, "96385074 belongs to the product 'Taken'"),
        (7, "no photo"),
        (8, "active in one line and retired in another"),
        (10, "null"),
    ]
    assert len(errors) == len(expected), "\n".join(errors)
    for error, (line, words) in zip(errors, expected, strict=True):
        assert error.startswith(f"{path}:{line}: ")
        assert words in error
    assert products.counts(catalog.database).products == 1


def test_what_is_right_is_let_pass(catalog: Catalog, tmp_path: Path) -> None:
    odd = odd_files(1)
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "list.csv").write_text("sku,name,photos\n" + f"A,Tea,{'|'.join(odd)}\n" + f"A,,{next(iter(odd))}\n")
    assert check(catalog, tmp_path / "list.csv") == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_photo_cut_short_is_found_at_an_eighth_of_its_size(catalog: Catalog, tmp_path: Path, kind: str) -> None:
    whole = encode(picture(1, (1600, 1200)), kind)
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "1.jpg").write_bytes(whole)
    assert check(catalog, tmp_path) == []
    (tmp_path / "A" / "1.jpg").write_bytes(whole[: len(whole) * 9 // 10])
    assert len(check(catalog, tmp_path)) == 1


def test_every_file_that_an_import_refuses_is_found(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    for name, (data, _, _) in bad_files().items():
        (tmp_path / "A" / name).write_bytes(data)
    errors = check(catalog, tmp_path)
    assert len(errors) == len(bad_files())
    assert all(any(name in error for error in errors) for name in bad_files())

"""Which photos train, which are references and which ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedder import datasets
from embedder.errors import DataError


def photos(**counts: int) -> datasets.Photos:
    return {sku: [Path(f"{sku}/{number:02}.jpg") for number in range(count)] for sku, count in counts.items()}


def names(found: datasets.Photos) -> dict[str, list[str]]:
    return {sku: [path.name for path in paths] for sku, paths in found.items()}


def test_split_references_spreads_them_over_the_names() -> None:
    given = {
        "many": [Path(f"many/{number}.jpg") for number in range(9)],
        "pair": [Path("pair/b.jpg"), Path("pair/a.jpg")],
        "one": [Path("one/a.jpg")],
    }
    known, asked = datasets.split_references(given, 3)
    assert [path.name for path in known["many"]] == ["0.jpg", "4.jpg", "8.jpg"]
    assert sorted(known["many"] + asked["many"]) == given["many"]
    assert {sku: len(paths) for sku, paths in known.items()} == {"many": 3, "pair": 2, "one": 1}
    assert list(asked) == ["many"]
    assert [path.name for path in datasets.split_references(given, 1)[0]["pair"]] == ["a.jpg"]


def test_split_share_keeps_a_fifth_of_each_sku_aside() -> None:
    given = photos(ten=10, five=5, three=3, two=2, one=1)
    rest, kept = datasets.split_share(given, 0.2, seed=1)
    assert {sku: len(paths) for sku, paths in kept.items()} == {"ten": 2, "five": 1, "three": 1}
    for sku, paths in given.items():
        assert sorted(rest[sku] + kept.get(sku, [])) == paths  # each photo on one side
    assert (rest, kept) == datasets.split_share(given, 0.2, seed=1)
    many = photos(many=40)
    draws = {tuple(datasets.split_share(many, 0.2, seed)[1]["many"]) for seed in range(5)}
    assert len(draws) == 5


def test_split_share_leaves_every_sku_a_photo() -> None:
    rest, kept = datasets.split_share(photos(two=2, one=1), 0.9, seed=1)
    assert {sku: len(paths) for sku, paths in rest.items()} == {"two": 1, "one": 1}
    assert list(kept) == ["two"]
    with pytest.raises(DataError, match=r"0\.2"):
        datasets.split_share(photos(one=1, two=2), 0.2, seed=1)


def test_choose_skus_of_two_photos_and_more() -> None:
    given = photos(**{f"sku{number}": 1 + number % 3 for number in range(30)})
    chosen = datasets.choose_skus(given, 8, seed=1)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 8
    assert all(len(given[sku]) > 1 for sku in chosen)
    assert chosen == datasets.choose_skus(dict(reversed(given.items())), 8, seed=1)
    assert chosen != datasets.choose_skus(given, 8, seed=2)
    assert len(datasets.choose_skus(given, 20, seed=1)) == 20
    with pytest.raises(DataError, match=r"21 SKUs .* 20 have"):
        datasets.choose_skus(given, 21, seed=1)


def test_left_out_by_a_file_or_by_counts(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    file = tmp_path / "skus"
    file.write_text("red-square\n\nblue-circle \nred-square\n")
    with pytest.raises(DataError, match="'blue-circle'"):
        datasets.left_out(str(file), (shapes,), seed=1)
    file.write_text("red-square\n\n green-bar \nred-square\n")
    assert datasets.left_out(str(file), (shapes,), seed=1) == ("green-bar", "red-square")
    two = datasets.left_out("2", (shapes, shape_queries), seed=1)
    assert len(two) == 2
    assert set(two) <= set(datasets.left_out("2,0", (shapes, shape_queries), seed=1))
    for words in ("2,1,1", "a", "-1", ""):
        with pytest.raises(DataError):
            datasets.left_out(words, (shapes, shape_queries), seed=1)


def test_a_split_file_names_its_photos(shapes: Path, tmp_path: Path) -> None:
    for sku in ("red-bar", "red-circle"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / sku).symlink_to(shapes / sku)
    file = tmp_path / "part.txt"
    file.write_text("photos/red-circle/3.png, 4, 2\n\nphotos/red-bar/0.png\nphotos/red-circle/1.png,0\n")
    found = datasets.find_photos(file)
    assert names(found) == {"red-bar": ["0.png"], "red-circle": ["1.png", "3.png"]}
    assert all(path.is_file() for paths in found.values() for path in paths)
    both = datasets.find_photos(file, shapes)
    assert len(both["red-bar"]) == 11
    file.write_text("photos/red-bar/99.png\n")
    with pytest.raises(FileNotFoundError, match=r"99\.png"):
        datasets.find_photos(file)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        datasets.find_photos(tmp_path / "none.txt")


def test_sets_are_named_by_their_folder_and_no_path() -> None:
    assert datasets.set_name(Path("here/groceries/val.txt")) == "groceries/val"
    assert datasets.set_name(Path("here/groceries/Train")) == "groceries/Train"
    assert datasets.set_name(Path("here/crops")) == "crops"


def test_what_is_kept_of_a_folder_does_not_depend_on_the_others() -> None:
    given = {sku: [Path(f"one/{sku}/{number}.jpg") for number in range(20)] for sku in "abcd"}
    _, kept = datasets.split_share(given, 0.2, seed=1)
    fewer = {sku: paths for sku, paths in given.items() if sku != "a"}
    more = {sku: [*paths, Path(f"two/{sku}/9.jpg")] for sku, paths in fewer.items()}
    assert datasets.split_share(more, 0.2, seed=1)[1] == {sku: kept[sku] for sku in "bcd"}

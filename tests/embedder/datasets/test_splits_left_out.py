"""SKUs that a training leaves out, and photos that it keeps aside: neither is ever learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedder.datasets import find_photos, left_out, split_share
from embedder.errors import DataError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: five SKUs of three photos and one of one, four SKUs of two."""
    for root, skus in (("one", {**dict.fromkeys("abcde", 3), "f": 1}), ("two", dict.fromkeys("wxyz", 2))):
        for sku, count in skus.items():
            (tmp_path / root / sku).mkdir(parents=True)
            for number in range(count):
                (tmp_path / root / sku / f"{number}.png").touch()
    return tmp_path / "one", tmp_path / "two"


def test_so_many_of_each_folder(pair: tuple[Path, Path]) -> None:
    chosen = left_out("2,3", pair, 1)
    assert len(chosen) == 5
    assert list(chosen) == sorted(chosen)
    assert len(set(chosen) & set("abcde")) == 2  # f, of one photo, could not be judged by
    assert len(set(chosen) & set("wxyz")) == 3


def test_one_number_is_of_the_first_folder(pair: tuple[Path, Path]) -> None:
    assert set(left_out("2", pair, 1)) <= set("abcde")
    assert set(left_out("0,2", pair, 1)) <= set("wxyz")
    assert left_out("0", pair, 1) == ()


def test_the_seed_decides(pair: tuple[Path, Path]) -> None:
    assert left_out("2,2", pair, 3) == left_out("2,2", pair, 3)
    assert len({left_out("2,2", pair, seed) for seed in range(9)}) > 1


def test_a_file_names_them(pair: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("z\n\n  a \nf\n")
    assert left_out(str(file), pair, 1) == ("a", "f", "z")
    file.write_text("a\nunheard-of\n")
    with pytest.raises(DataError, match=r"names\.txt names 'unheard-of'"):
        left_out(str(file), pair, 1)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("many", "--leave-out many"),
        ("2,x", "a number for each data folder"),
        ("1,1,1", "a number for each data folder"),
        ("-1", "a number for each data folder"),
        ("6", "6 SKUs are to be left out; 5 have"),
        ("0,5", "5 SKUs are to be left out; 4 have"),
    ],
)
def test_what_cant_be_left_out(asked: str, says: str, pair: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=says):
        left_out(asked, pair, 1)


def test_split_keeps_a_share_of_each_sku(shapes: Path) -> None:
    photos = find_photos(shapes)
    rest, kept = split_share(photos, 0.2, 1)
    assert {sku: len(paths) for sku, paths in kept.items()} == dict.fromkeys(photos, 2)
    assert {sku: sorted([*rest[sku], *kept[sku]]) for sku in photos} == {sku: sorted(photos[sku]) for sku in photos}
    assert split_share(photos, 0.2, 1) == (rest, kept)
    assert split_share(photos, 0.2, 2) != (rest, kept)
    single = {sku: paths[:1] for sku, paths in photos.items()}
    assert split_share({**photos, "lonely": single["red-bar"]}, 0.9, 1)[0]["lonely"] == single["red-bar"]
    with pytest.raises(DataError, match=r"0\.2 of them aside"):
        split_share(single, 0.2, 1)


def make_config(settings: dict[str, Any], **changes: Any) -> Any:
    pytest.importorskip("tensorflow", reason="TensorFlow (extra `train`) is not installed")
    from embedder.training import recipe

    return recipe.TrainConfig(**{**settings, **changes})


@pytest.mark.slow
def test_what_is_left_out_is_never_drawn(settings: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    out = left_out("2", (shapes,), 7)
    config = make_config(settings, left_out=out, split=0.3)
    from embedder.training import work_folder

    trainer = work_folder.prepare(config, tmp_path / "work", resume=False, say=print)
    assert set(trainer.batches.skus) == set(find_photos(shapes)) - set(out)
    _, kept, _ = work_folder.split_photos(config)
    assert set(kept) == set(trainer.batches.skus)
    drawn = {path for step in range(200) for _, path in trainer.batches.draw(step)}
    aside = {path for paths in kept.values() for path in paths}
    assert len(drawn) == 4 * 7
    assert len(aside) == 4 * 3
    assert not drawn & aside
    assert not {path.parent.name for path in drawn | aside} & set(out)


def test_too_few_skus_are_left_for_a_batch(settings: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    config = make_config(settings, left_out=left_out("3", (shapes,), 7), split=0.3)
    from embedder.training import work_folder

    with pytest.raises(DataError, match="takes 4 SKUs, the data has 3"):
        work_folder.prepare(config, tmp_path / "work", resume=False, say=print)
    assert not (tmp_path / "work").exists()

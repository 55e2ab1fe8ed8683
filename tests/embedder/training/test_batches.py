"""P x K batches: their make-up, and that (seed, step) alone decides them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder import datasets, images
from embedder.errors import DataError, ImageError
from embedder.training import augmentation, batches
from embedder.training.batches import PKBatches


@pytest.fixture(scope="module")
def photos(shapes: Path) -> dict[str, list[Path]]:
    return datasets.find_photos(shapes)


def test_a_batch_has_p_skus_and_k_photos_of_each(photos: dict[str, list[Path]]) -> None:
    batches = PKBatches(photos, p=4, k=3, seed=1)
    for step in range(20):
        drawn = batches.draw(step)
        assert sorted(Counter(label for label, _ in drawn).values()) == [3, 3, 3, 3]
        assert len({path for _, path in drawn}) == 12  # enough photos: none twice
        assert all(path in photos[batches.skus[label]] for label, path in drawn)


def test_pixels_and_labels_of_a_batch(photos: dict[str, list[Path]]) -> None:
    batch = batches.PKBatches(photos, p=4, k=3, seed=1).batch(5, 40)
    assert (batch.pixels.shape, batch.pixels.dtype) == ((12, 40, 40, 3), np.uint8)
    assert (batch.labels.shape, batch.labels.dtype) == ((12,), np.int32)
    assert batch.labels.tolist() == [label for label, _ in batches.PKBatches(photos, p=4, k=3, seed=1).draw(5)]


def test_few_photos_are_repeated(photos: dict[str, list[Path]]) -> None:
    single = {sku: paths[:1] for sku, paths in photos.items()}
    assert len(batches.PKBatches(single, p=2, k=4, seed=1).draw(0)) == 8


def test_every_sku_comes_once_in_a_round(photos: dict[str, list[Path]]) -> None:
    batches = PKBatches(photos, p=2, k=2, seed=1)
    rounds = [
        [label for step in (3 * n, 3 * n + 1, 3 * n + 2) for label, _ in batches.draw(step)[::2]] for n in range(4)
    ]
    assert all(sorted(labels) == list(range(6)) for labels in rounds)
    assert len({tuple(labels) for labels in rounds}) > 1  # each in another order


def test_seed_and_step_decide(photos: dict[str, list[Path]]) -> None:
    one, same = (batches.PKBatches(photos, p=4, k=2, seed=9) for _ in range(2))
    one.batch(0, 32)  # what was drawn before must not matter
    np.testing.assert_array_equal(one.batch(7, 32).pixels, same.batch(7, 32).pixels)
    assert (one.batch(7, 32).pixels != one.batch(8, 32).pixels).any()
    assert (one.batch(7, 32).pixels != batches.PKBatches(photos, p=4, k=2, seed=10).batch(7, 32).pixels).any()


def test_a_photo_looks_different_each_time(photos: dict[str, list[Path]]) -> None:
    same = photos["red-square"][:1]
    batches = PKBatches({"a": same, "b": same}, p=2, k=2, seed=9)
    views = [*batches.batch(0, 32).pixels, *batches.batch(1, 32).pixels]
    assert len({view.tobytes() for view in views}) == 8


def test_stream_is_the_batches_in_order(photos: dict[str, list[Path]]) -> None:
    batches = PKBatches(photos, p=2, k=2, seed=3)
    asked = [(step, 32 if step < 8 else 48) for step in range(3, 13)]
    streamed = list(batches.stream(asked))
    assert len(streamed) == len(asked)
    for (step, size), batch in zip(asked, streamed, strict=True):
        np.testing.assert_array_equal(batch.pixels, batches.batch(step, size).pixels)


#: Photos that are never opened: SKUs of 1, 4, 16 and 64 of them.
UNEVEN = {f"sku{n}": [Path(f"{n}-{i}.jpg") for i in range(n)] for n in (1, 4, 16, 64)}


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_balanced_draws_go_by_the_number_of_photos(balance: float) -> None:
    """The first SKU of a batch is drawn with a chance as n ** balance; sd of a share over 4000 batches < 0.008."""
    batches = PKBatches(UNEVEN, p=2, k=2, seed=1, balance=balance)
    first = Counter(len(UNEVEN[batches.skus[batches.draw(step)[0][0]]]) for step in range(4000))
    whole = sum(n**balance for n in (1, 4, 16, 64))
    for n in (1, 4, 16, 64):
        assert first[n] / 4000 == pytest.approx(n**balance / whole, abs=0.032), n


def test_balanced_batches_are_by_seed_and_step_and_hold_no_sku_twice() -> None:
    one, same, other = (batches.PKBatches(UNEVEN, p=3, k=2, seed=seed, balance=1.0) for seed in (5, 5, 6))
    drawn = [one.draw(step) for step in range(60)]
    assert drawn == [same.draw(step) for step in range(60)]
    assert drawn != [other.draw(step) for step in range(60)]
    assert all(sorted(Counter(label for label, _ in batch).values()) == [2, 2, 2] for batch in drawn)
    assert {label for batch in drawn for label, _ in batch} == {0, 1, 2, 3}  # the rare come, too


def test_a_batch_of_photos_that_another_chose(photos: dict[str, list[Path]]) -> None:
    batches = PKBatches(photos, p=2, k=2, seed=1)
    chosen = [(3, photos[batches.skus[3]][0]), (1, photos[batches.skus[1]][4])]
    batch = batches.batch(6, 40, lambda step: chosen)
    assert batch.labels.tolist() == [3, 1]
    assert batch.pixels.shape == (2, 40, 40, 3)
    (streamed,) = batches.stream([(6, 40)], lambda step: chosen)
    np.testing.assert_array_equal(streamed.pixels, batch.pixels)


@pytest.mark.parametrize("seed", range(6))
def test_mix_keeps_the_share_of_pixels_and_targets(seed: int) -> None:
    """Photo i is all i, so that a mixed photo's mean tells the share of the other."""
    rng = np.random.default_rng(seed)
    other = np.random.default_rng(seed).permutation(8)
    pixels = np.tile(np.arange(8, dtype=np.float32)[:, None, None, None], (1, 32, 32, 3))
    mixed, targets = augmentation.mix(pixels, np.eye(8, dtype=np.float32), rng)
    assert (mixed.dtype, targets.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), targets @ np.arange(8), atol=1e-4)
    assert all(set(np.flatnonzero(row)) <= {i, other[i]} for i, row in enumerate(targets))


def test_steps_of_an_epoch_show_about_each_photo(photos: dict[str, list[Path]]) -> None:
    assert batches.PKBatches(photos, p=4, k=3, seed=1).steps_per_epoch == 5  # 60 photos, 12 a batch
    assert batches.PKBatches({sku: paths[:1] for sku, paths in photos.items()}, p=6, k=4, seed=1).steps_per_epoch == 1


def test_too_few_skus(photos: dict[str, list[Path]]) -> None:
    with pytest.raises(DataError, match="takes 7 SKUs, the data has 6"):
        batches.PKBatches(photos, p=7, k=2, seed=1)
    with pytest.raises(DataError, match="the data has 0"):
        batches.PKBatches({}, p=2, k=2, seed=1)


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("shape", [(8, 8), (8, 900), (900, 8), (300, 200)])
def test_augment_takes_any_shape(size: int, shape: tuple[int, int]) -> None:
    picture = Image.new("RGB", shape, (90, 120, 30))
    for seed in range(25):
        view = augmentation.augment(picture, size, np.random.default_rng(seed))
        assert (view.shape, view.dtype) == ((size, size, 3), np.uint8)


def test_augment_keeps_the_hue() -> None:
    """A green apple must not come out red: the strongest channel stays the strongest."""
    for color, strongest in (((200, 60, 60), 0), ((60, 190, 60), 1), ((60, 60, 200), 2)):
        means = [
            augmentation.augment(Image.new("RGB", (64, 64), color), 64, np.random.default_rng(seed)).mean(axis=(0, 1))
            for seed in range(30)
        ]
        assert {int(mean.argmax()) for mean in means} == {strongest}
        assert np.std([mean.sum() for mean in means]) > 10  # and it does change


def test_read_is_what_serving_sees(photos: dict[str, list[Path]], tmp_path: Path) -> None:
    path = photos["red-square"][0]
    np.testing.assert_array_equal(batches.read(path, 48), images.load(path.read_bytes(), 48))
    (tmp_path / "bad.jpg").write_bytes(b"")
    with pytest.raises(ImageError, match=r"bad\.jpg: .*empty"):
        batches.read(tmp_path / "bad.jpg", 48)


def test_drop_broken_names_what_it_drops(photos: dict[str, list[Path]], tmp_path: Path) -> None:
    bad, cut = tmp_path / "bad.jpg", tmp_path / "cut.png"
    bad.write_bytes(b"text")
    cut.write_bytes(photos["red-bar"][0].read_bytes()[:100])
    kept, broken = batches.drop_broken({"red-bar": [*photos["red-bar"][:2], cut], "only-bad": [bad]})
    assert kept == {"red-bar": photos["red-bar"][:2]}
    assert [line.split(":")[0] for line in broken] == [str(cut), str(bad)]


def test_a_photo_that_breaks_later_is_named(photos: dict[str, list[Path]], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"text")
    batches = PKBatches({"a": [bad], "b": [bad]}, p=2, k=2, seed=1)
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        batches.batch(0, 32)

"""Easy, semi-hard and hard by the paper's inequalities, and the hardest triplets by a search of plain loops."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedder.training import mining
from embedder.training.batches import PKBatches
from embedder.training.mining import TripletShares
from embedder.training.recipe import DISTANCES

#: Photos that are never opened.
PHOTOS = {f"sku{n}": [Path(f"{n}-{i}.jpg") for i in range(1 if n == 3 else 4 + n)] for n in range(9)}


def unit_vectors(seed: int, count: int, dim: int = 6) -> Any:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def apart(one: Any, other: Any, distance: str) -> float:
    length = float(np.linalg.norm(one.astype(np.float64) - other))
    return {"L2": length, "squared-L2": length**2, "angular": length**2 / 2}[distance]


def kind(positive: float, negative: float, margin: float) -> str:
    """The paper's eq. 2 to 4, word by word."""
    found = [
        name
        for name, holds in (
            ("easy", positive + margin < negative),
            ("hard", negative < positive),
            ("semi_hard", positive < negative < positive + margin),
        )
        if holds
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_shares_of_a_batch_by_counting(seed: int, distance: str, margin: float) -> None:
    labels, vectors = np.repeat(np.arange(4), 3).astype(np.int32), unit_vectors(seed, 12)
    counted = Counter(
        kind(apart(vectors[a], vectors[p], distance), apart(vectors[a], vectors[n], distance), margin)
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if a != p and labels[a] == labels[p] != labels[n]
    )
    total = sum(counted.values())
    assert total == 12 * 2 * 9
    shares = mining.batch_shares(labels, vectors, margin, distance)
    assert shares is not None
    for name in ("easy", "semi_hard", "hard"):
        assert getattr(shares, name) == pytest.approx(counted[name] / total), name


def test_shares_of_a_hand_made_batch() -> None:
    """On the circle, squared L2 is 2 - 2 cos. Anchors at 0 and 60 degrees, 1 apart; negatives, each a SKU of its own,
    at -30 (from 0: 0.27, hard), -80 (1.65, semi-hard with margin 1) and 180 (4, easy); from 60 they lie at 2 (on the
    bound of semi-hard and easy, kept off by margin 1.01), 3.53 (easy) and 3 (easy)."""
    angles = np.radians([0, 60, -30, -80, 180])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = np.array([0, 0, 1, 2, 3], np.int32)
    shares = mining.batch_shares(labels, vectors, 1.01, "squared-L2")
    assert shares == TripletShares(easy=pytest.approx(3 / 6), semi_hard=pytest.approx(2 / 6), hard=pytest.approx(1 / 6))


def test_shares_on_the_bounds_are_semi_hard() -> None:
    assert mining.shares(np.array([1.0, 1.0]), np.array([1.0, 2.0]), 1.0) == TripletShares(0.0, 1.0, 0.0)


def test_a_batch_without_triplets_has_no_shares() -> None:
    vectors = unit_vectors(0, 4)
    assert mining.batch_shares(np.zeros(4, np.int32), vectors, 1.0, "L2") is None  # no negative
    assert mining.batch_shares(np.arange(4, dtype=np.int32), vectors, 1.0, "L2") is None  # no positive


@pytest.mark.parametrize("distance", DISTANCES)
def test_shares_of_given_triplets(distance: str) -> None:
    vectors = unit_vectors(2, 60)
    counted = Counter(
        kind(
            apart(vectors[i], vectors[20 + i], distance),
            apart(vectors[i], vectors[40 + i], distance),
            0.5,
        )
        for i in range(20)
    )
    shares = mining.given_shares(vectors, 0.5, distance)
    assert shares.easy == pytest.approx(counted["easy"] / 20)
    assert shares.semi_hard == pytest.approx(counted["semi_hard"] / 20)
    assert shares.hard == pytest.approx(counted["hard"] / 20)


@pytest.mark.parametrize("distance", DISTANCES)
def test_hardest_is_the_farthest_positive_and_the_nearest_negative(distance: str) -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 150, 600).astype(np.int32)  # more than one part, and some SKUs of one photo
    labels[0] = 150
    vectors = unit_vectors(6, 600, 8)
    triplets = mining.hardest(labels, vectors, distance)
    assert (triplets.dtype, triplets.shape) == (np.int32, (600, 3))
    for anchor in (0, 1, 300, 511, 512, 599):
        lengths = np.linalg.norm(vectors.astype(np.float64) - vectors[anchor], axis=1)
        same = [i for i in range(600) if labels[i] == labels[anchor] and i != anchor]
        others = [i for i in range(600) if labels[i] != labels[anchor]]
        wanted = (anchor, max(same, key=lengths.__getitem__, default=anchor), min(others, key=lengths.__getitem__))
        assert tuple(triplets[anchor]) == wanted
    assert triplets[0, 1] == 0  # alone: its own positive, as another view


def test_hardest_prefers_any_other_photo_to_itself() -> None:
    """The same photo twice: the other one is the positive, though as near as itself, whatever the rounding."""
    vectors = np.tile(unit_vectors(1, 1), (4, 1))
    vectors[3] *= -1
    triplets = mining.hardest(np.array([0, 0, 1, 2], np.int32), vectors, "squared-L2")
    assert triplets[:2].tolist() == [[0, 1, 2], [1, 0, 2]]


def miner(count: int, seed: int = 1, k: int = 3) -> mining.OfflineMiner:
    return mining.OfflineMiner(PKBatches(PHOTOS, p=3, k=k, seed=seed), count, "squared-L2")


@pytest.mark.parametrize("count", [9, 20, 57, 1000])
def test_subset_is_of_photos_with_positives(count: int) -> None:
    some = miner(count)
    assert some.count == min(count, sum(map(len, PHOTOS.values())))
    for step in (0, 50, 100):
        chosen = some.subset(step)
        assert len(chosen) == len(set(chosen.tolist())) == some.count
        by_sku = Counter(some.labels[chosen].tolist())
        assert len(by_sku) >= 3
        short = [label for label, n in by_sku.items() if n < min(3, len(PHOTOS[f"sku{label}"]))]
        assert len(short) <= 1  # the last to come in
    assert {len(set(some.labels[some.subset(step)].tolist())) for step in range(5)} <= set(range(3, 10))


def test_subset_is_by_seed_and_step() -> None:
    assert miner(20).subset(40).tolist() == miner(20).subset(40).tolist()
    assert set(miner(20).subset(40).tolist()) != set(miner(20).subset(80).tolist())
    assert set(miner(20).subset(40).tolist()) != set(miner(20, seed=2).subset(40).tolist())


def test_mined_triplets_name_photos_of_the_subset() -> None:
    some = miner(20)
    asked: list[list[Path]] = []

    def embed(paths: list[Path]) -> Any:
        asked.append(paths)
        return unit_vectors(3, len(paths))

    triplets = some.mine(embed, 40)
    chosen = some.subset(40)
    assert asked == [[some.photos[i][1] for i in chosen]]
    np.testing.assert_array_equal(triplets[:, 0], chosen)
    anchor, positive, negative = some.labels[triplets].T
    assert (anchor == positive).all()
    assert (anchor != negative).all()
    assert set(triplets.ravel().tolist()) <= set(chosen.tolist())
    local = mining.hardest(some.labels[chosen], unit_vectors(3, 20), "squared-L2")
    np.testing.assert_array_equal(triplets, chosen[local])


def test_batches_of_triplets_come_in_rounds() -> None:
    some = miner(20)  # batches of 9 photos: 3 triplets, 6 batches a round, two triplets sit it out
    triplets = some.mine(lambda paths: unit_vectors(3, len(paths)), 40)
    drawn = []
    for step in range(40, 46):
        batch = some.draw(triplets, 40, step)
        assert len(batch) == 9
        assert batch == some.draw(triplets, 40, step)
        drawn += list(zip(batch[:3], batch[3:6], batch[6:], strict=True))
    known = {tuple(some.photos[i] for i in triplet) for triplet in triplets}
    assert len(set(drawn)) == 18
    assert set(drawn) <= known
    again = [some.draw(triplets, 40, step) for step in range(46, 52)]
    assert again != [some.draw(triplets, 40, step) for step in range(40, 46)]


def test_fewer_triplets_than_a_batch_takes() -> None:
    some = miner(9, k=10)  # batches of ten triplets
    triplets = some.mine(lambda paths: unit_vectors(3, len(paths)), 0)
    assert len(some.draw(triplets, 0, 3)) == 27

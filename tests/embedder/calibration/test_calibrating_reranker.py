"""Weights of the second look, fitted on drawn packs that the embedding can't tell apart and the print can."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedder.bundle import RELEASED, load_bundle, rewrite_bundle
from embedder.calibration import Pair, calibrate_reranker, read_pair
from embedder.calibration.asking import shared_words, shortlist
from embedder.calibration.calibrating_reranker import FLOORS, RerankerCalibration
from embedder.errors import BundleError, DataError
from embedder.evaluation import Embedded
from embedder.inference import Embedder
from embedder.matching import QUERY, VisualWords, Vocabulary, reranker
from embedder.matching.local_features import detect

PACKS = 24


def pack(seed: int) -> Image.Image:
    """Shapes of one pack's own, in colours that all packs have: one to the embedding, many to the details."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (240, 320), (180, 120, 60))
    pen = ImageDraw.Draw(picture)
    for _ in range(120):
        corners = rng.uniform(0, (240, 320), (1, 2)) + rng.normal(0, 14, (3, 2))
        pen.polygon(
            [tuple(corner) for corner in corners.tolist()], fill=((240, 230, 200), (90, 50, 30))[rng.integers(2)]
        )
    return picture


def photograph(seed: int, angle: float) -> Image.Image:
    shot = pack(seed).convert("RGBA").rotate(angle, Image.Resampling.BICUBIC, expand=True)
    ground = Image.new("RGB", (640, 480), (70, 80, 90))
    ground.paste(shot, (140, 20), shot)
    return ground


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The released model with 256 words, which are keypoints of other packs."""
    descriptors = np.concatenate([detect(pack(1000 + seed), QUERY).descriptors for seed in range(4)])
    centres = np.random.default_rng(1).permutation(descriptors)[:256]
    path = tmp_path_factory.mktemp("bundle") / "b"
    return Embedder(rewrite_bundle(load_bundle(RELEASED), path, words=Vocabulary(centres).to_bytes()))


@pytest.fixture(scope="module")
def pair(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp("packs")
    for seed in range(PACKS):
        for folder, picture in (("known", pack(seed)), ("asked", photograph(seed, 20 + 11 * seed))):
            (root / folder / f"p{seed:02}").mkdir(parents=True)
            picture.save(root / folder / f"p{seed:02}" / "1.png")
    return read_pair(embedder, root / "known", root / "asked")


@pytest.fixture(scope="module")
def second(embedder: Embedder, pair: Pair) -> RerankerCalibration:
    return calibrate_reranker(embedder, [pair], false_accept=0.05, wrong=0.05, folds=3)


@pytest.mark.slow
def test_print_tells_what_the_vector_cannot(second: RerankerCalibration, pair: Pair) -> None:
    near = (pair.queries.vectors @ pair.gallery.vectors.T).argmax(axis=1)
    by_vector = np.mean(np.array(pair.gallery.skus)[near] == pair.queries.skus)
    assert second.rates.known.right >= 0.9 > by_vector + 0.3
    assert second.rates.known.wrong < 0.1
    assert second.rates.held_out.accepted < 0.1
    assert second.in_sample.known.right == 1 and second.in_sample.held_out.accepted == 0
    assert sum(second.look.weights[f"points_{end}"] for _, end in reranker.PIECES) > 0
    assert all(weight >= 0 for name, weight in second.look.weights.items() if name != "constant")


def test_figures_are_of_all_queries_and_add_up(second: RerankerCalibration) -> None:
    assert (second.queries, second.sets[0].queries, second.sets[0].skus) == (PACKS, PACKS, PACKS)
    for rates in (second.rates, second.in_sample, second.sets[0].rates):
        known, held_out = rates.known, rates.held_out
        assert known.right + known.wrong + known.ambiguous + known.unknown == pytest.approx(1)
        assert held_out.accepted + held_out.ambiguous + held_out.unknown == pytest.approx(1)
    assert 0 < second.second <= 1
    assert 0.5 <= second.look.accept <= 1
    assert reranker.can_weigh(second.look)
    assert second.look.floor in FLOORS
    assert 0 < second.log_loss < np.log(PACKS)


def test_the_same_photos_give_the_same_fit(embedder: Embedder, pair: Pair, second: RerankerCalibration) -> None:
    again = calibrate_reranker(embedder, [pair], false_accept=0.05, wrong=0.05, folds=3)
    assert again.look == second.look
    assert again.as_dict() == second.as_dict()


def test_each_of_many_sets_is_answered_by_weights_fitted_on_the_others(embedder: Embedder, pair: Pair) -> None:
    skus = sorted(set(pair.gallery.skus))
    parts = [Pair(f"part {part}", pair.gallery, _only(pair.queries, skus[part::4])) for part in range(4)]
    found = calibrate_reranker(embedder, parts, false_accept=0.05, wrong=0.05)
    assert found.left_out
    assert [one.name for one in found.sets] == [part.name for part in parts]
    assert found.rates.known.right >= 0.8


def test_a_query_of_no_product_of_the_gallery_is_a_strangers(embedder: Embedder, pair: Pair) -> None:
    skus = sorted(set(pair.gallery.skus))
    fewer = Pair("fewer", _only(pair.gallery, skus[:18]), pair.queries)
    found = calibrate_reranker(embedder, [fewer], false_accept=0.1, wrong=0.05, folds=3)
    assert (found.queries, found.strangers) == (18, 6)
    known, held_out = found.rates.known, found.rates.held_out
    assert known.right + known.wrong + known.ambiguous + known.unknown == pytest.approx(1)
    assert held_out.accepted + held_out.ambiguous + held_out.unknown == pytest.approx(1)


def _only(photos: Embedded, skus: list[str]) -> Embedded:
    rows = [row for row, sku in enumerate(photos.skus) if sku in skus]
    paths = tuple(photos.paths[row] for row in rows)
    return Embedded(photos.vectors[rows], [photos.skus[row] for row in rows], [], photos.seconds, paths)


def test_a_set_without_a_query_of_its_own_is_refused(embedder: Embedder, pair: Pair) -> None:
    strangers = Pair(
        "none", pair.gallery, type(pair.queries)(pair.queries.vectors, ["x"] * PACKS, [], 0.0, pair.queries.paths)
    )
    with pytest.raises(DataError, match="No query is of a SKU"):
        calibrate_reranker(embedder, [strangers], false_accept=0.05, wrong=0.05)


def test_shortlist_takes_of_both_lists_and_first_what_is_high_in_both() -> None:
    cosines, shared = np.array([0.9, 0.8, 0.7, 0.1, 0.0]), np.array([0.0, 2.0, 1.0, 3.0, 0.0])
    everything = np.ones(5, bool)
    # By rank: 0, 1, 2, 3, 4 and 3, 1, 2: so 3 has 1/5 + 1/2, 1 has 1/3 + 1/3, 2 has 1/4 + 1/4, and 0 has 1/2.
    assert shortlist(cosines, shared, everything, 4) == [3, 1, 2, 0]
    allowed = everything.copy()
    allowed[1] = False
    assert 1 not in shortlist(cosines, shared, allowed, 4)
    # Without words in common only the vector speaks.
    assert shortlist(cosines, np.zeros(5), everything, 2) == [0, 1]


def test_rare_words_count_more() -> None:
    def words(*indexes: int) -> VisualWords:
        return VisualWords(np.array(indexes, np.uint32), np.full(len(indexes), len(indexes) ** -0.5, np.float32))

    found = shared_words([words(1, 2), words(1, 3), words(1)], [words(1, 2)], 5)
    assert found.shape == (1, 3)
    # Word 1 is in all three photos, word 2 in one: log((3 - 3 + 0.5) / (3 + 0.5) + 1) and log((3 - 1 + 0.5) / 1.5 + 1).
    common, rare = np.log(0.5 / 3.5 + 1), np.log(2.5 / 1.5 + 1)
    assert found[0] == pytest.approx([(common + rare) / 2, common / 2, common / 2**0.5])


def test_a_bundle_without_words_says_what_makes_them(pair: Pair) -> None:
    bare = Embedder.open(RELEASED.with_name("released-mobilenetv3large"))
    with pytest.raises(BundleError, match="embedder words"):
        calibrate_reranker(bare, [pair], false_accept=0.05, wrong=0.05)

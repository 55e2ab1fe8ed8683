"""Figures on photos and vectors whose answer is known, and on real ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedder import evaluation
from embedder.bundle import RELEASED, Bundle, BundleParts, Thresholds, load_bundle, write_bundle
from embedder.errors import DataError
from embedder.evaluation import protocols
from embedder.inference import Embedder


@pytest.fixture(scope="module")
def found(released: Embedder, shapes: Path, shape_queries: Path) -> evaluation.Evaluation:
    """Everything, on the drawn photos."""
    return evaluation.evaluate_protocol(released, protocols.two_sets(shapes, shape_queries), degraded=True)


def test_photos_find_themselves(released: Embedder, shapes: Path) -> None:
    figures = evaluation.evaluate(released, shapes, shapes)
    assert (figures.top1, figures.top5) == (1.0, 1.0)
    assert (figures.queries, figures.gallery, figures.skus, figures.queries_without_sku) == (60, 60, 6, 0)
    assert figures.bundle == released.bundle.id
    assert figures.seconds_gallery > 0
    assert figures.seconds_queries > 0
    assert figures.broken == []
    assert figures.confused == []
    assert [one.share for one in figures.per_sku] == [1.0] * 6
    assert figures.top1_degraded is None


def test_queries_of_other_skus_count_as_wrong(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "red-square", tmp_path / "red-square")
    shutil.copytree(shapes / "red-square", tmp_path / "never-seen")
    (tmp_path / "red-square" / "bad.jpg").write_bytes(b"text")
    figures = evaluation.evaluate(released, shapes, tmp_path)
    assert (figures.queries, figures.queries_without_sku) == (20, 10)
    assert (figures.top1, figures.top5) == (0.5, 0.5)
    assert len(figures.broken) == 1
    assert "bad.jpg" in figures.broken[0]
    assert [(one.sku, one.right) for one in figures.per_sku] == [("never-seen", 0), ("red-square", 10)]
    assert figures.confused == []  # a query that no SKU is right for confuses none
    assert figures.decided is not None
    assert figures.decided.known is not None
    assert (figures.decided.known.queries, figures.decided.unknown.queries) == (10, 20)


def test_no_query_of_a_known_sku(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "red-square", tmp_path / "never-seen")
    found = evaluation.evaluate_protocol(released, protocols.two_sets(shapes, tmp_path))
    assert (found.figures.mean_average_precision, found.figures.rejection) == (None, None)
    assert found.figures.decided is not None
    assert found.figures.decided.known is None
    assert len(found.known_scores) == 0
    assert len(found.unknown_scores) == 10
    json.dumps(found.figures.as_dict())


def test_a_gallery_of_two_skus_tells_no_unknown_apart(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    for sku in ("red-square", "green-bar"):
        shutil.copytree(shapes / sku, tmp_path / sku)
    figures = evaluation.evaluate(released, tmp_path, tmp_path)
    assert (figures.top1, figures.rejection, figures.decided) == (1.0, None, None)
    assert figures.mean_average_precision is not None


def test_figures_counted_again_photo_by_photo(
    found: evaluation.Evaluation, released: Embedder, shapes: Path, shape_queries: Path
) -> None:
    """Wrong, right, known, unknown and confused, by plain loops over the cosines of all pairs."""
    figures, limits = found.figures, released.bundle.thresholds
    known, asked = (evaluation.embed_folder(released, folder) for folder in (shapes, shape_queries))
    right: dict[str, list[bool]] = {}
    confused: dict[tuple[str, str], int] = {}
    scores: dict[bool, list[float]] = {True: [], False: []}
    decided: dict[bool, list[str]] = {True: [], False: []}
    for vector, sku in zip(asked.vectors, asked.skus, strict=True):
        best: dict[str, float] = {}
        for photo, name in zip(known.vectors, known.skus, strict=True):
            best[name] = max(best.get(name, -1.0), float(photo @ vector))
        answered = max(best, key=lambda name: best[name])
        right.setdefault(sku, []).append(answered == sku)
        if answered != sku:
            confused[sku, answered] = confused.get((sku, answered), 0) + 1
        for present in (True, False):
            first, second = sorted((s for name, s in best.items() if present or name != sku), reverse=True)[:2]
            scores[present].append(first)
            sure = "match" if first - second >= limits.margin else "ambiguous"
            decided[present].append(sure if first >= limits.score else "unknown")
    assert {one.sku: [one.right, one.queries] for one in figures.per_sku} == {
        sku: [sum(hits), len(hits)] for sku, hits in right.items()
    }
    assert {(one.true, one.answered): one.count for one in figures.confused} == confused
    np.testing.assert_allclose(found.known_scores, scores[True], atol=1e-5)
    np.testing.assert_allclose(found.unknown_scores, scores[False], atol=1e-5)
    assert figures.decided is not None
    for present, shares in ((True, figures.decided.known), (False, figures.decided.unknown)):
        assert shares is not None
        for name in ("match", "ambiguous", "unknown"):
            assert getattr(shares, name) == pytest.approx(decided[present].count(name) / 24)
    assert figures.decided.known is not None
    assert figures.decided.known.right <= figures.decided.known.match
    assert figures.rejection is not None
    pairs = [(k > u) + 0.5 * (k == u) for k in found.known_scores for u in found.unknown_scores]
    assert figures.rejection.auroc == pytest.approx(sum(pairs) / len(pairs))
    assert (
        figures.rejection.false_accepts == (found.unknown_scores >= np.sort(found.known_scores)[1]).mean()
    )  # 23 of 24


def test_confused_pairs_show_the_query_and_the_photo_it_was_taken_for(released: Embedder, tmp_path: Path) -> None:
    """Two SKUs whose query photos lie in the other's folder."""
    rng = np.random.default_rng(3)
    pictures = {sku: Image.fromarray(rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)) for sku in "abc"}
    for folder, owners in (("gallery", "abc"), ("queries", "bac")):
        for sku, owner in zip("abc", owners, strict=True):
            (tmp_path / folder / sku).mkdir(parents=True)
            pictures[owner].save(tmp_path / folder / sku / "0.png")
    Image.new("RGB", (40, 40), "green").save(tmp_path / "gallery" / "a" / "1.png")
    figures = evaluation.evaluate(released, tmp_path / "gallery", tmp_path / "queries")
    assert [(one.true, one.answered, one.count) for one in figures.confused] == [("a", "b", 1), ("b", "a", 1)]
    one = figures.confused[1]
    assert Path(one.query) == tmp_path / "queries" / "b" / "0.png"
    assert Path(one.photo) == tmp_path / "gallery" / "a" / "0.png"


def test_recall_by_references_is_that_of_a_smaller_gallery(
    found: evaluation.Evaluation, released: Embedder, shapes: Path, shape_queries: Path, tmp_path: Path
) -> None:
    steps = found.figures.recall_by_references
    assert [(one.references, one.photos) for one in steps] == [(1, 6), (3, 18), (8, 48), (None, 60)]
    assert (steps[-1].top1, steps[-1].top5) == (found.figures.top1, found.figures.top5)
    for sku in shapes.iterdir():  # three of ten, spread over the names: the first, the fifth (of 4.5), the last
        (tmp_path / sku.name).mkdir()
        for number in (0, 4, 9):
            shutil.copy(sku / f"{number}.png", tmp_path / sku.name)
    small = evaluation.evaluate(released, tmp_path, shape_queries)
    assert (small.top1, small.top5) == (steps[1].top1, steps[1].top5)
    # Three of three are all: no step says the same twice.
    assert [one.references for one in small.recall_by_references] == [1, None]


def test_low_quality_photos_are_another_question_of_the_same_gallery(
    found: evaluation.Evaluation, released: Embedder, other_bundle: Bundle, shapes: Path, shape_queries: Path
) -> None:
    # The default network recognizes these shapes in low quality, too.
    weaker = Embedder(other_bundle, workers=1)
    asked = evaluation.evaluate_protocol(weaker, protocols.two_sets(shapes, shape_queries), degraded=True).figures
    assert asked.top1_degraded is not None
    assert asked.top5_degraded is not None
    assert 0 <= asked.top1_degraded <= asked.top5_degraded <= 1
    assert asked.top1_degraded < asked.top1
    figures = found.figures
    assert figures.top1_degraded is not None
    assert figures.top5_degraded is not None
    assert 0 <= figures.top1_degraded <= figures.top5_degraded <= 1
    again = evaluation.evaluate_protocol(released, protocols.two_sets(shapes, shape_queries), degraded=True).figures
    assert (again.top1_degraded, again.top5_degraded) == (figures.top1_degraded, figures.top5_degraded)


def test_time_a_photo(found: evaluation.Evaluation) -> None:
    figures = found.figures
    seconds = (figures.milliseconds_embedding * 84 + figures.milliseconds_search * 24) / 1000
    assert seconds == pytest.approx(figures.seconds_gallery + figures.seconds_queries)


@pytest.mark.slow
def test_a_bundle_of_other_thresholds_decides_otherwise(released: Embedder, shapes: Path, shape_queries: Path) -> None:
    """At a score that nothing reaches all is unknown; at one that all reach, without a margin, all is a match."""
    shares = []
    for limits in (Thresholds(1.1, 0.0), Thresholds(-1.0, 0.0)):
        embedder = Embedder(replace(released.bundle, thresholds=limits), workers=2)
        decided = evaluation.evaluate(embedder, shapes, shape_queries).decided
        embedder.close()
        assert decided is not None
        assert decided.known is not None
        shares.append((decided.known.unknown, decided.known.match, decided.unknown.unknown, decided.unknown.match))
    assert shares == [(1, 0, 1, 0), (0, 1, 0, 1)]


def test_share_aside(shapes: Path) -> None:
    protocol = protocols.share_aside(shapes, 0.2, seed=1)
    assert {len(paths) for paths in protocol.known.values()} == {8}
    assert {len(paths) for paths in protocol.asked.values()} == {2}
    assert protocol == protocols.share_aside(shapes, 0.2, seed=1)
    assert protocol.asked != protocols.share_aside(shapes, 0.2, seed=2).asked
    assert protocol.says == "shapes, 80% of each SKU enrolled, 20% ask (seed 1)"


def test_few_references(shapes: Path) -> None:
    protocol = protocols.few_references(shapes, 1)
    assert {len(paths) for paths in protocol.known.values()} == {1}
    assert {len(paths) for paths in protocol.asked.values()} == {9}
    with pytest.raises(DataError, match="more than 10 photos: none is left to ask by"):
        protocols.few_references(shapes, 10)


def test_split_files_are_sets(shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(shapes)
    for name, number in (("known", 1), ("asked", 2)):
        rows = [f"photos/{sku.name}/{number}.png, 0" for sku in shapes.iterdir()]
        (tmp_path / f"{name}.txt").write_text("\n".join(rows))
    protocol = protocols.two_sets(tmp_path / "known.txt", tmp_path / "asked.txt")
    assert {path.name for paths in protocol.known.values() for path in paths} == {"1.png"}
    assert {path.name for paths in protocol.asked.values() for path in paths} == {"2.png"}
    assert len(protocol.asked) == 6
    assert protocol.says == "known enrolled, asked asks"


def test_narrowed_to_the_skus_of_a_file(shapes: Path, shape_queries: Path, tmp_path: Path) -> None:
    file = tmp_path / "few"
    file.write_text("red-bar\n\n red-square \n")
    protocol = protocols.two_sets(shapes, shape_queries, file)
    assert list(protocol.known) == list(protocol.asked) == ["red-bar", "red-square"]
    assert protocol.says.endswith("only the SKUs of few")
    assert list(protocols.share_aside(shapes, 0.2, 1, file).known) == ["red-bar", "red-square"]
    assert list(protocols.few_references(shapes, 2, file).asked) == ["red-bar", "red-square"]
    # In one of two sets is enough: a SKU without a query is still in the gallery.
    shutil.copytree(shapes / "red-square", tmp_path / "one" / "red-square")
    assert list(protocols.two_sets(shapes, tmp_path / "one", file).known) == ["red-bar", "red-square"]
    file.write_text("red-bar\nred-triangle\n")
    with pytest.raises(DataError, match="few names 'red-triangle'"):
        protocols.two_sets(shapes, shape_queries, file)
    file.write_text("\n")
    with pytest.raises(DataError, match="names no SKU"):
        protocols.few_references(shapes, 1, file)


def test_narrowed_to_what_a_training_left_out(shapes: Path, tmp_path: Path) -> None:
    """Of several sets together: SKUs of another set are passed over."""
    made = write_bundle(
        tmp_path / "bundle",
        BundleParts(
            (RELEASED / "model.tflite").read_bytes(),
            name="held",
            version="1",
            dim=256,
            size=192,
            training={"left_out": ["green-bar", "of-another-set", "red-square"]},
        ),
    )
    protocol = protocols.few_references(shapes, 3, made.path)
    assert list(protocol.known) == ["green-bar", "red-square"]
    assert not load_bundle(RELEASED).training.get("left_out")
    with pytest.raises(DataError, match="left none of these SKUs out"):
        protocols.few_references(shapes, 3, RELEASED)


def test_folder_without_a_usable_photo(released: Embedder, shapes: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No usable photo"):
        evaluation.embed_folder(released, tmp_path)
    with pytest.raises(DataError, match="No usable photo"):
        protocols.two_sets(shapes, tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"text")
    with pytest.raises(DataError, match=r"No usable photo.*bad\.jpg"):
        evaluation.embed_folder(released, tmp_path)


@pytest.mark.slow
def test_released_bundle_on_real_groceries(released: Embedder, shared: Path) -> None:
    folder = shared / "data" / "grocery-store"
    if not folder.is_dir():
        pytest.skip("the Grocery Store Dataset is not on this machine")
    figures = evaluation.evaluate(released, folder / "train", folder / "val")
    assert (figures.gallery, figures.queries) == (2640, 296)
    assert figures.broken == []
    assert figures.top1 >= 0.72
    assert figures.top5 >= 0.90
    assert figures.mean_average_precision is not None
    assert figures.mean_average_precision >= 0.6
    assert figures.rejection is not None
    assert figures.rejection.auroc >= 0.8

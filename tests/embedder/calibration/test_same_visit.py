"""Photos of one visit are told from those of another: drawn scenes, and real ones where a machine has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedder.calibration import (
    Pair,
    calibrate_thresholds,
    in_low_quality,
    leave_out_same_visit,
    read_pair,
)
from embedder.calibration.asking import Read, ask
from embedder.calibration.rates import group_sets
from embedder.calibration.same_visit import MIN_COSINE, is_same_visit, no_references
from embedder.errors import DataError
from embedder.evaluation import Embedded
from embedder.inference import Embedder
from embedder.matching import QUERY, REFERENCE, extract
from embedder.matching.local_features import detect

SKUS = 6


def textured(seed: int, width: int, height: int, colors: tuple[tuple[int, int, int], ...]) -> Image.Image:
    """Shapes of its own on one color: print, or what stands about on a shelf."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (width, height), colors[0])
    pen = ImageDraw.Draw(picture)
    for _ in range(width * height // 600):
        corners = rng.uniform(0, (width, height), (1, 2)) + rng.normal(0, 14, (3, 2))
        fill = colors[1 + int(rng.integers(len(colors) - 1))]
        pen.polygon([(float(x), float(y)) for x, y in corners], fill=fill)
    return picture


def scene(sku: int, visit: int, step: int = 0) -> Image.Image:
    """A pack before the shelf of a visit; each `step` the pack is turned and the camera goes a little aside."""
    first, second, third = np.random.default_rng(visit).integers(0, 256, (3, 3)).tolist()
    shelf = textured(1000 + visit, 700, 540, (tuple(first), tuple(second), tuple(third)))
    hue = (60 + 25 * sku, 200 - 25 * sku, 90)
    pack = textured(sku, 150, 210, (hue, (240, 230, 200), (60, 30, 20)))
    turned = pack.convert("RGBA").rotate(12 * step - 8, Image.Resampling.BICUBIC, expand=True)
    shelf.paste(turned, (270 + 5 * step, 160), turned)
    left, top = 20 + 10 * step, 20 + 6 * step
    return shelf.crop((left, top, left + 640, top + 480))


def same(query: Image.Image, reference: Image.Image) -> bool:
    return is_same_visit(0.8, detect(query, QUERY), detect(reference, REFERENCE))


def test_what_agrees_at_the_edges_is_one_visit() -> None:
    assert same(scene(1, 1), scene(1, 1, step=1))
    assert same(scene(1, 1), scene(2, 1, step=1))  # another product in the same place
    assert not same(scene(1, 1), scene(1, 2, step=1))  # the same product in another place
    assert not same(scene(1, 1), scene(1, 1).rotate(180))


def test_a_cosine_that_no_other_visit_reaches_is_enough() -> None:
    plain = detect(Image.new("RGB", (300, 300), (200, 40, 40)), QUERY)
    assert is_same_visit(MIN_COSINE, plain, plain)
    assert not is_same_visit(MIN_COSINE - 0.01, plain, plain)


@pytest.fixture(scope="module")
def visits(released: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Six products by the photos of two visits; the second visit goes on, and asks."""
    root = tmp_path_factory.mktemp("visits")
    for sku in range(SKUS):
        for folder, name, picture in (
            ("known", "1", scene(sku, 10 * sku + 1)),
            ("known", "2", scene(sku, 10 * sku + 2)),
            ("asked", "2", scene(sku, 10 * sku + 2, step=1)),
        ):
            (root / folder / f"p{sku}").mkdir(parents=True, exist_ok=True)
            picture.save(root / folder / f"p{sku}" / f"{name}.png")
    return read_pair(released, root / "known", root / "asked")


def hidden(pair: Pair) -> list[list[Path]]:
    assert pair.left_out is not None
    return [[pair.gallery.paths[photo] for photo in np.flatnonzero(row)] for row in pair.left_out]


def test_references_of_the_visit_are_left_out(visits: Pair) -> None:
    found = leave_out_same_visit(visits)
    for path, own in zip(visits.queries.paths, hidden(found), strict=True):
        assert [(one.parent.name, one.stem) for one in own] == [(path.parent.name, "2")]
    assert found.askable().all()
    assert leave_out_same_visit(found).left_out.tolist() == found.left_out.tolist()  # type: ignore[union-attr]
    kept = calibrate_thresholds([visits], false_accept=1.0, wrong=1.0, folds=2)
    other = calibrate_thresholds([found], false_accept=1.0, wrong=1.0, folds=2)
    assert (kept.same_visit, kept.sets[0].same_visit, kept.sets[0].not_asked) == ("kept", 0, 0)
    assert (other.same_visit, other.sets[0].same_visit, other.sets[0].not_asked) == ("left-out", SKUS, 0)


def test_a_query_that_no_other_reference_could_answer_is_not_asked(visits: Pair) -> None:
    """Of the first product there are photos of the query's visit alone."""
    rows = [row for row, path in enumerate(visits.gallery.paths) if (path.parent.name, path.stem) != ("p0", "1")]
    found = leave_out_same_visit(Pair("fewer", rows_of(visits.gallery, rows), visits.queries))
    assert found.askable().tolist() == [sku != "p0" for sku in visits.queries.skus]
    calibration = calibrate_thresholds([found], false_accept=1.0, wrong=1.0, folds=2)
    assert (calibration.queries, calibration.sets[0].queries, calibration.sets[0].not_asked) == (SKUS - 1, SKUS - 1, 1)

    rows = [row for row, path in enumerate(visits.gallery.paths) if path.stem == "2"]
    alone = leave_out_same_visit(Pair("alone", rows_of(visits.gallery, rows), visits.queries))
    with pytest.raises(DataError, match=r"alone is of the same visit .* --same-visit kept"):
        calibrate_thresholds([alone], false_accept=1.0, wrong=1.0, folds=2)


def rows_of(photos: Embedded, rows: list[int]) -> Embedded:
    return Embedded(
        photos.vectors[rows], [photos.skus[row] for row in rows], [], 0.0, tuple(photos.paths[row] for row in rows)
    )


def test_degraded_photos_are_of_the_visit_of_their_originals(released: Embedder, visits: Pair, tmp_path: Path) -> None:
    found = leave_out_same_visit(visits)
    worse = in_low_quality(released, found, tmp_path / "worse", seed=1)
    assert worse.name == f"{visits.name}, in low quality"
    assert worse.queries.skus == visits.queries.skus
    assert worse.originals is not None and worse.originals.paths == visits.queries.paths
    for path in worse.queries.paths:
        with Image.open(path) as picture:
            assert max(picture.size) <= 48
    assert not np.allclose(worse.queries.vectors, visits.queries.vectors, atol=0.01)
    assert hidden(leave_out_same_visit(worse)) == hidden(found)
    assert group_sets([visits, worse]) == [0, 0]
    assert calibrate_thresholds([found, worse], false_accept=1.0, wrong=1.0, folds=2).sets_left_out == []


def test_the_second_look_leaves_the_visit_out_of_its_shortlist(
    released: Embedder, visits: Pair, tmp_path: Path
) -> None:
    """What the vector alone did not have to look at is found among the candidates."""
    unseen = replace(visits, left_out=no_references(visits))
    worse = in_low_quality(released, unseen, tmp_path / "worse", seed=1)
    read: Read = {}
    for pair, left_out in ((visits, False), (unseen, True), (worse, True)):
        queries, not_asked = ask(released, 0, pair, 1, read)
        assert (len(queries), not_asked) == (SKUS, 0)
        for query in queries:
            assert query.same_visit == left_out
            assert query.known is not None
            shown = {id(candidate.reference) for case in (query.known, query.held_out) for candidate in case.candidates}
            own = {
                path.stem
                for path in visits.gallery.paths
                if path.parent.name == query.sku and id(read[path, False][0]) in shown
            }
            assert own == ({"1"} if left_out else {"1", "2"})
    rows = [row for row, path in enumerate(visits.gallery.paths) if (path.parent.name, path.stem) != ("p0", "1")]
    fewer = Pair("fewer", rows_of(visits.gallery, rows), visits.queries)
    queries, not_asked = ask(released, 0, replace(fewer, left_out=no_references(fewer)), 1, read)
    assert (len(queries), not_asked) == (SKUS - 1, 1)


def test_sets_that_ask_by_the_same_photos_are_one_group() -> None:
    def pair(name: str, *asked: str) -> Pair:
        vectors = np.ones((len(asked), 1), np.float32)
        photos = Embedded(vectors, list(asked), [], 0.0, tuple(Path(one) for one in asked))
        return Pair(name, photos, photos)

    assert group_sets([pair("a", "1", "2"), pair("b", "3"), pair("c", "4"), pair("d", "3", "2")]) == [0, 0, 2, 0]


@pytest.mark.slow
def test_real_visits(shared: Path) -> None:
    """Photos of a carton from train and from val are of two visits; the first two of val were taken in one place."""
    root = shared / "data" / "grocery-store"
    if not root.is_dir():
        pytest.skip("the Grocery Store photos are not here")
    cartons = sorted(path.name for path in (root / "val" / "Packages" / "Yoghurt").iterdir())[:4]
    within, between = 0, 0
    for sku in cartons:
        val = sorted((root / "val" / "Packages" / "Yoghurt" / sku).glob("*.jpg"))
        train = sorted((root / "train" / "Packages" / "Yoghurt" / sku).glob("*.jpg"))[:6]
        queries = [extract(path.read_bytes(), QUERY) for path in val]
        others = [extract(path.read_bytes(), REFERENCE) for path in val]
        known = [extract(path.read_bytes(), REFERENCE) for path in train]
        within += any(is_same_visit(0, q, o) for i, q in enumerate(queries) for j, o in enumerate(others) if i != j)
        between += sum(is_same_visit(0, query, photo) for query in queries for photo in known)
    assert within == len(cartons)
    assert between == 0

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from embedder.cli.main import main
from embedder.datasets import find_photos, till_view
from embedder.datasets.till_views import FRAME, GALLERY_FILE, Seen, copy_of, cut_out, place, wrap
from embedder.matching import QUERY, REFERENCE, verify
from embedder.matching.local_features import detect
from tests.support.drawn import DRAWN, front

GROUND = Image.new("RGB", (300, 200), (70, 80, 90))


def catalog_picture(number: int) -> Image.Image:
    return Image.open(io.BytesIO(front(DRAWN[number]))).convert("RGB")


def view(number: int, seed: int) -> Image.Image:
    return Image.open(io.BytesIO(till_view(catalog_picture(number), GROUND, np.random.default_rng(seed))))


def test_the_same_picture_and_seed_give_the_same_photo_and_another_seed_another() -> None:
    first, again, other = (till_view(catalog_picture(0), GROUND, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(Image.open(io.BytesIO(first)).size, reverse=True) == list(FRAME)


@pytest.mark.slow
def test_most_views_show_the_product_and_none_another() -> None:
    """By the details that the second look uses."""
    known = [detect(catalog_picture(number), REFERENCE) for number in range(4)]
    inliers = np.array(
        [
            [verify(detect(view(number, seed), QUERY), one).inliers for one in known]
            for number in range(4)
            for seed in range(6)
        ]
    )
    own = np.repeat(np.arange(4), 6)
    right = inliers[np.arange(24), own]
    assert (right >= 10).sum() >= 14
    assert right.min() < 40  # some are hard
    assert (inliers.argmax(axis=1) == own)[right >= 10].all()


def test_the_white_ground_is_cut_away_and_white_print_is_not() -> None:
    pixels = np.full((100, 80, 3), 255, np.uint8)
    pixels[20:90, 10:60] = (30, 90, 60)
    pixels[40:60, 20:40] = 255
    seen = cut_out(pixels)
    assert seen.mask.shape == (70, 50)
    assert (seen.mask == 255).all()
    photo = np.full((50, 60, 3), 120, np.uint8)
    assert cut_out(photo).mask.shape == (50, 60)


def test_a_copy_has_most_of_the_artwork_and_a_band_of_another() -> None:
    picture, other = catalog_picture(0), Image.new("RGB", (60, 60), (10, 200, 30))
    pixels = cut_out(np.asarray(picture)).pixels
    for seed in range(6):
        copy = np.asarray(copy_of(picture, other, np.random.default_rng(seed)))
        assert copy.shape == pixels.shape
        band = (copy.astype(int) - copy.astype(int).mean(axis=(0, 1))).std()  # not all of one colour
        assert band > 10
        grey = [np.asarray(Image.fromarray(one).convert("L"), int) for one in (copy, pixels)]
        changed = np.mean(np.abs(grey[0] - grey[1]) > 60)
        assert 0.01 < changed < 0.7


def test_what_is_wrapped_is_narrower() -> None:
    flat = Seen(np.full((60, 100, 3), 200, np.uint8), np.full((60, 100), 255, np.uint8))
    widths = {wrap(flat, np.random.default_rng(seed)).mask.shape[1] for seed in range(20)}
    assert max(widths) < 100 and min(widths) > 30
    assert len(widths) > 3


def test_what_is_placed_lies_within_its_corners() -> None:
    flat = Seen(np.full((60, 100, 3), 200, np.uint8), np.full((60, 100), 255, np.uint8))
    for seed in range(10):
        placed, corners = place(flat, FRAME, np.random.default_rng(seed))
        ys, xs = np.nonzero(placed.mask > 127)
        low, high = corners.min(axis=0) - 2, corners.max(axis=0) + 2
        assert (xs >= low[0]).all() and (xs <= high[0]).all() and (ys >= low[1]).all() and (ys <= high[1]).all()


def test_the_command_writes_views_and_the_gallery_that_they_ask(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "products" / f"p{number}").mkdir(parents=True)
        (tmp_path / "products" / f"p{number}" / "1.jpg").write_bytes(front(DRAWN[number]))
    (tmp_path / "products" / "p4" / "1.jpg").write_bytes(b"no picture")
    (tmp_path / "grounds" / "x").mkdir(parents=True)
    GROUND.save(tmp_path / "grounds" / "x" / "1.png")
    out = tmp_path / "views"
    arguments = ["till-views", str(tmp_path / "products"), "--out", str(out), "--grounds", str(tmp_path / "grounds")]
    done = CliRunner().invoke(main, [*arguments, "--products", "5", "--queries", "5"])
    assert done.exit_code == 0, done.output
    assert "4 till views" in done.output and "skipped" in done.output
    assert list(find_photos(out)) == ["p0", "p1", "p2", "p3"]
    gallery = find_photos(out / GALLERY_FILE)
    assert {sku: paths[0].resolve() for sku, paths in gallery.items()} == {
        f"p{number}": tmp_path / "products" / f"p{number}" / "1.jpg" for number in range(4)
    }
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1 and "is not empty" in again.output


@pytest.mark.parametrize("option", ["--grounds", "--out"])
def test_the_command_needs_grounds_and_a_folder(option: str, tmp_path: Path) -> None:
    given = {"--grounds": str(tmp_path), "--out": str(tmp_path / "out")}
    del given[option]
    done = CliRunner().invoke(main, ["till-views", str(tmp_path), *[x for pair in given.items() for x in pair]])
    assert done.exit_code == 2 and option in done.output

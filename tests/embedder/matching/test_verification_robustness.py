"""A pack is found whatever happened to its photo: drawn packs always, real ones where the shared photos are.

Each query is another photo than the reference, under a condition of tests/support/conditions.py. The right reference
must agree at far more places than the best of ten wrong ones, and the outline must lie where the condition put it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.common.conditions import CONDITIONS, Places, beside, mapped, turn
from benchmarks.common.covers import Cover, read_covers
from catalog.demo import camera, packs
from catalog.demo.products import Product, products
from embedder.datasets import find_photos
from embedder.images import decode
from embedder.matching import QUERY, REFERENCE, Agreement, LocalFeatures, extract, verify, verify_many
from embedder.matching.local_features import detect
from embedder.matching.verification import MIN_PERSPECTIVE

AMONG = 11
#: How far the outline's corners may be from where they should be, in the mean, in shares of its diagonal: with pairs
#: enough for perspective, and by the affine map alone.
ASTRAY, ASTRAY_AFFINE = 0.04, 0.1
ANGLES = range(15, 360, 30)


def found(query: Image.Image, references: list[LocalFeatures], *right: int) -> list[Agreement]:
    """The matches of the right references, once they are known to be far better than that of any other."""
    matches = verify_many(detect(query, QUERY), references)
    wrong = max(match.inliers for place, match in enumerate(matches) if place not in right)
    assert min(matches[place].inliers for place in right) >= max(8, 2 * wrong)
    return [matches[place] for place in right]


def astray(match: Agreement, corners: Places, picture: Image.Image) -> float:
    assert match.outline is not None
    distances = np.hypot(*(match.outline * picture.size - corners).T)
    return float(distances.mean() / np.hypot(*(corners[2] - corners[0])))


def lies_at(match: Agreement, corners: Places, picture: Image.Image) -> bool:
    return astray(match, corners, picture) <= (ASTRAY if match.inliers >= MIN_PERSPECTIVE else ASTRAY_AFFINE)


def apart(one: Places, other: Places) -> bool:
    """Do two packs, [4, 2] each, have no place in common?"""
    return cv2.intersectConvexConvex(one.astype(np.float32), other.astype(np.float32))[0] == 0


@cache
def asked() -> list[Product]:
    """One product of each family of look-alikes."""
    families = {product.family or product.sku: product for product in products() if product.known}
    return list(families.values())[:AMONG]


@cache
def drawn_references() -> list[LocalFeatures]:
    """Catalog pictures: the packs on white, cut to their edges."""
    details = []
    for product in asked():
        pack = packs.draw(product)
        picture = Image.new("RGB", pack.size, "white")
        picture.paste(pack, (0, 0), pack)
        details.append(detect(picture.crop(pack.getchannel("A").getbbox()), REFERENCE))
    return details


@cache
def drawn(place: int) -> tuple[Image.Image, Places]:
    """A till's photo of a pack, and where the pack is in it before anything happened to the photo."""
    photo = camera.query(asked()[place], 0)
    match = verify(detect(photo, QUERY), drawn_references()[place])
    assert match.outline is not None
    return photo, match.outline * photo.size


@cache
def clutter() -> Image.Image:
    return camera.query(next(product for product in products() if not product.known), 2)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("condition", CONDITIONS)
def test_drawn_pack_is_found_where_it_is(condition: str, place: int) -> None:
    photo, pack = drawn(place)
    seen, by = CONDITIONS[condition](photo, pack, clutter())
    (match,) = found(seen, drawn_references(), place)
    assert match.inliers >= 14
    assert lies_at(match, mapped(pack, by), seen)


@pytest.mark.parametrize("degrees", ANGLES)
def test_drawn_pack_is_found_at_any_angle(degrees: float) -> None:
    photo, pack = drawn(0)
    seen, by = turn(photo, degrees)
    (match,) = found(seen, drawn_references(), 0)
    assert lies_at(match, mapped(pack, by), seen)


@pytest.mark.parametrize("place", range(4))
def test_two_drawn_packs_in_one_photo_are_both_found(place: int) -> None:
    photos, places = zip(drawn(place), drawn(place + 1), strict=True)
    seen, *maps = beside(*photos)
    matches = found(seen, drawn_references(), place, place + 1)
    for match, pack, by in zip(matches, places, maps, strict=True):
        assert lies_at(match, mapped(pack, by), seen)
    assert apart(*(match.outline for match in matches if match.outline is not None))


@pytest.fixture(scope="module")
def covers(shared: Path) -> list[Cover]:
    folder = shared / "data" / "dvd-covers"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return read_covers(folder, AMONG)


@pytest.fixture(scope="module")
def cover_references(covers: list[Cover]) -> list[LocalFeatures]:
    return [detect(cover.reference, REFERENCE) for cover in covers]


@pytest.fixture(scope="module")
def packages(shared: Path) -> Path:
    folder = shared / "data" / "grocery-store"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("condition", CONDITIONS)
def test_real_pack_is_found_where_it_is(
    condition: str, place: int, covers: list[Cover], cover_references: list[LocalFeatures], packages: Path
) -> None:
    cover = covers[place]
    ground = next(iter(find_photos(packages / "val" / "Packages").values()))[0]
    seen, by = CONDITIONS[condition](cover.photo, cover.pack, decode(ground.read_bytes()))
    (match,) = found(seen, cover_references, place)
    assert lies_at(match, mapped(cover.picture, by), seen)


@pytest.mark.parametrize("degrees", ANGLES)
def test_real_pack_is_found_at_any_angle(
    degrees: float, covers: list[Cover], cover_references: list[LocalFeatures]
) -> None:
    seen, by = turn(covers[0].photo, degrees)
    (match,) = found(seen, cover_references, 0)
    assert lies_at(match, mapped(covers[0].picture, by), seen)


@pytest.mark.parametrize("place", range(6, 9))
def test_two_real_packs_in_one_photo_are_both_found(
    place: int, covers: list[Cover], cover_references: list[LocalFeatures]
) -> None:
    both = covers[place : place + 2]
    seen, *maps = beside(*(cover.photo for cover in both))
    matches = found(seen, cover_references, place, place + 1)
    packs = []
    for match, cover, by in zip(matches, both, maps, strict=True):
        assert lies_at(match, mapped(cover.picture, by), seen)
        # The catalog pictures have much white around the packs: what may not overlap is the packs.
        to_shares = cv2.getPerspectiveTransform(cover.picture.astype(np.float32), match.outline)
        packs.append(mapped(cover.pack, to_shares))
    assert apart(*packs)


@pytest.mark.parametrize("condition", ["as it is", *(name for name in CONDITIONS if "turned" in name or "px" in name)])
@pytest.mark.parametrize(
    ("sku", "asked", "known"),
    [
        ("God-Morgon-Orange-Juice", "002", "003"),
        ("Garant-Ecological-Medium-Fat-Milk", "001", "002"),
        ("Oatly-Natural-Oatghurt", "002", "001"),
    ],
)
def test_real_grocery_is_found_among_other_brands(
    condition: str, sku: str, asked: str, known: str, packages: Path
) -> None:
    shelves = {part: find_photos(packages / part / "Packages") for part in ("val", "train")}
    photo = shelves["val"][sku][0].with_name(f"{sku}_{asked}.jpg")
    brand = sku.partition("-")[0]
    others = [paths[0] for name, paths in shelves["train"].items() if not name.startswith(brand)][: AMONG - 1]
    right = shelves["train"][sku][0].with_name(f"{sku}_{known}.jpg")
    seen, _ = CONDITIONS[condition](decode(photo.read_bytes()), np.empty((0, 2)), Image.new("RGB", (8, 8)))
    found(seen, [extract(path.read_bytes(), REFERENCE) for path in (right, *others)], 0)


def test_conditions_are_as_hard_as_they_say() -> None:
    photo = Image.new("RGB", (600, 400), (10, 20, 30))
    pack = np.array([(150, 60), (420, 90), (400, 350), (140, 330)], float)
    inside = cv2.fillConvexPoly(np.zeros((400, 600), np.uint8), pack.astype(np.int32), 1) == 1
    covered = np.asarray(CONDITIONS["glare and finger over a third"](photo, pack, photo)[0])[inside]
    assert (covered != (10, 20, 30)).any(axis=1).mean() == pytest.approx(1 / 3, abs=0.02)
    small, by = CONDITIONS["a third of the frame"](photo, pack, photo)
    assert np.ptp(mapped(pack, by)[:, 0]) == pytest.approx(small.width / 3)
    _, by = CONDITIONS["seen at 40 degrees"](photo, pack, photo)
    middle, right, below = mapped(np.array([(300, 200), (301, 200), (300, 201)], float), by)
    assert np.hypot(*(right - middle)) / np.hypot(*(below - middle)) == pytest.approx(np.cos(np.radians(40)), abs=0.01)
    seen, _ = CONDITIONS["turned by 45 degrees"](photo, pack, photo)
    assert seen.size == (708, 708)

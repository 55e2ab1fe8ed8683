"""Wide-gamut pictures are seen as a browser shows them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from embedder import images
from embedder.images import color_profiles
from tests.support.pictures import encode, picture
from tests.support.profiles import icc_profile

SRGB = ImageCms.createProfile("sRGB")
#: Its colors are kept within sRGB, which all of the spaces hold.
SCENE = picture(3, (96, 64))


def written(space: str, kind: str, **options: object) -> bytes:
    """SCENE in the numbers of a color space, with its profile."""
    profile = icc_profile(space)
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    numbers = ImageCms.profileToProfile(SCENE, SRGB, own, outputMode="RGB")
    assert numbers is not None
    return encode(numbers, kind, icc_profile=profile, **options)


def difference(one: Image.Image, other: Image.Image = SCENE) -> float:
    return float(np.abs(np.asarray(one).astype(float) - np.asarray(other).astype(float)).mean())


@pytest.mark.parametrize("space", ["adobe", "p3", "prophoto"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("JPEG", {"quality": 97, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}),
    ],
)
def test_a_wide_gamut_picture_has_the_colors_that_were_meant(space: str, kind: str, options: dict[str, object]) -> None:
    data = written(space, kind, **options)
    assert difference(images.decode(data)) < 2.5
    with Image.open(io.BytesIO(data)) as raw:
        assert difference(raw.convert("RGB")) > 3


def test_a_profile_of_several_segments_is_put_together() -> None:
    profile = icc_profile("prophoto") + bytes(100_000)
    numbers = ImageCms.profileToProfile(SCENE, SRGB, ImageCms.ImageCmsProfile(io.BytesIO(icc_profile("prophoto"))))
    assert numbers is not None
    assert difference(images.decode(encode(numbers, quality=97, subsampling=0, icc_profile=profile))) < 2.5


@pytest.mark.parametrize("name", ["", "sRGB IEC61966-2.1"])
def test_nothing_is_done_for_srgb(name: str) -> None:
    assert color_profiles._transform(icc_profile("srgb", name)) is None
    assert color_profiles._transform(ImageCms.ImageCmsProfile(SRGB).tobytes()) is None
    assert difference(images.decode(encode(SCENE, "PNG", icc_profile=icc_profile("srgb", name)))) == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_a_broken_profile_is_ignored(kind: str) -> None:
    whole = icc_profile("prophoto")
    plain = images.decode(encode(SCENE, kind))
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, 400, np.uint8).tobytes()
    for broken in (b"x", whole[:60], whole[:140], whole[:200], whole[:128] + noise, bytes(5_000), bytes(2 * 2**20)):
        if kind == "WEBP" and len(broken) > 2**20:
            continue
        assert difference(images.decode(encode(SCENE, kind, icc_profile=broken)), plain) == 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 6):
            damaged[place] = rng.integers(0, 256)
        assert images.decode(encode(SCENE, kind, icc_profile=bytes(damaged))).size == SCENE.size


def test_a_profile_of_another_kind_is_ignored() -> None:
    grey = SCENE.convert("L")
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for mode in (grey, grey.convert("CMYK")):
        for profile in (lab, icc_profile("prophoto").replace(b"RGB ", b"GRAY")):
            kind = "TIFF" if mode.mode == "CMYK" else "PNG"
            assert difference(images.decode(encode(mode, kind, icc_profile=profile)), mode.convert("RGB")) == 0

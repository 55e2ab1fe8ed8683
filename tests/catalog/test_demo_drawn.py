"""The demo's drawn catalog, its photos and its page."""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from catalog.demo import camera
from catalog.demo.packs import draw
from catalog.demo.products import Product, products
from catalog.demo.report import Row, Summary, write_report
from embedder import images

ALL = products()
#: One of each kind of pack: what differs between kinds is drawn at least once.
KINDS = list({product.kind: product for product in ALL}.values())
CAN = next(product for product in KINDS if product.kind == "can")
FAMILIES = ("KIBO", "FIRNBACH", "CINDER")


def fingerprint() -> str:
    """SHA-256 over a drawn pack and the bytes of two photos of it."""
    parts = (
        draw(CAN).tobytes(),
        camera.encode(camera.reference(CAN, 2)),
        *(camera.encode(camera.query(CAN, index)) for index in range(3)),
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.fixture(scope="module")
def packs() -> dict[str, npt.NDArray[np.float32]]:
    """SKU -> float32 [200, 150, 3] on white, for the families that are compared."""
    small = {}
    for product in ALL:
        if product.family in FAMILIES:
            pack = draw(product).resize((150, 200))
            white = Image.new("RGBA", pack.size, "white")
            small[product.sku] = np.asarray(Image.alpha_composite(white, pack).convert("RGB"), np.float32)
    return small


def test_counts() -> None:
    known = [product for product in ALL if product.known]
    unknown = [product for product in ALL if not product.known]
    families = Counter(product.family for product in known if product.family)
    assert len(known) >= 44
    assert len(unknown) == 20
    assert min(families.values()) >= 2
    assert sum(families.values()) * 2 >= len(known)
    assert len({product.sku for product in ALL}) == len(ALL)
    assert all(re.fullmatch(r"[A-Z]+-[A-Z]+-\d+", product.sku) for product in ALL)


def test_unknown_products_have_brands_of_their_own() -> None:
    brands = Counter(product.brand for product in ALL if not product.known)
    assert max(brands.values()) == 1
    assert not set(brands) & {product.brand for product in ALL if product.known}
    assert all(product.family is None for product in ALL if not product.known)


def test_the_order_is_stable_and_the_seed_reaches_the_drawing() -> None:
    assert products(7) == ALL
    other = products(8)
    assert [product.sku for product in other] == [product.sku for product in ALL]
    assert draw(other[0]).tobytes() != draw(ALL[0]).tobytes()


@pytest.mark.parametrize("product", KINDS, ids=lambda product: product.kind)
def test_a_pack_is_cut_out(product: Product) -> None:
    pack = draw(product)
    assert (pack.mode, pack.size) == ("RGBA", (600, 800))
    opacity = np.asarray(pack.getchannel("A"))
    edges = (opacity[0], opacity[-1], opacity[:, 0], opacity[:, -1])
    assert not any(edge.any() for edge in edges)
    assert opacity.max() == 255
    assert (opacity > 127).mean() > 0.2


def test_the_same_bytes_twice_and_in_a_fresh_process() -> None:
    here = fingerprint()
    camera._cutout.cache_clear()
    assert fingerprint() == here
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('drawn', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(module.fingerprint())"
    )
    root = str(Path(__file__).parents[2])
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert fresh.stdout.strip() == here


@pytest.mark.parametrize("product", KINDS, ids=lambda product: product.kind)
def test_photos_decode_as_a_till_and_staff_would_send_them(product: Product) -> None:
    for index in range(4):
        photo = camera.encode(camera.reference(product, index))
        assert images.decode(photo).size == (640, 640)
        assert images.load(photo, 224).shape == (224, 224, 3)
    for index in range(3):
        photo = camera.encode(camera.query(product, index))
        assert images.decode(photo).size == (640, 480)
        assert images.load(photo, 224).std() > 10


def test_every_photo_of_a_product_is_another_one() -> None:
    shots = [camera.reference(CAN, index) for index in range(4)] + [camera.query(CAN, index) for index in range(3)]
    assert len({camera.encode(shot) for shot in shots}) == 7
    assert camera.encode(camera.query(CAN, 0, seed=8)) != camera.encode(camera.query(CAN, 0))


def test_a_query_shows_the_pack_large_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    shoot = camera._shoot

    def watched(*arguments: object) -> npt.NDArray[np.uint8]:
        shot = shoot(*arguments)  # type: ignore[arg-type]
        rows = np.flatnonzero(shot[..., 3].max(axis=1) > 127)
        seen.append((rows[-1] - rows[0] + 1) / len(shot))
        assert not shot[[0, -1], :, 3].any()
        return shot

    monkeypatch.setattr(camera, "_shoot", watched)
    for product, index in itertools.product(KINDS[::2], range(3)):
        camera.query(product, index)
    assert min(seen) > 0.55
    assert max(seen) < 0.92


@pytest.mark.parametrize("paint", [camera._hand, camera._sticker, camera._glare])
def test_what_lies_on_a_pack_covers_a_fifth_at_most(paint: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_hand", "_sticker", "_glare"):
        monkeypatch.setattr(camera, name, paint)
    for seed in range(6):
        pack = np.zeros((480, 640), np.uint8)
        pack[100:400, 230:400] = 255
        scene = np.full((480, 640, 3), 7, np.uint8)
        camera._cover(np.random.default_rng(seed), scene, pack, camera.MAX_COVER)
        covered = (np.abs(scene.astype(int) - 7).max(axis=2) > 70)[100:400, 230:400].mean()
        assert 0.01 < covered <= camera.MAX_COVER + 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_looks_alike_but_not_the_same(family: str, packs: dict[str, npt.NDArray[np.float32]]) -> None:
    members = [product.sku for product in ALL if product.family == family]
    strangers = [sku for sku in packs if sku not in members]
    within = [np.abs(packs[a] - packs[b]).mean() for a, b in itertools.combinations(members, 2)]
    across = [np.abs(packs[a] - packs[b]).mean() for a in members for b in strangers]
    assert min(within) > 0.5
    assert max(within) < min(across)


def summary(queries: int, correct: int) -> Summary:
    return Summary(2, 8, queries, correct, 12.4, 80.6, "bundle-1", "2 products & 8 photos")


def test_the_report_tells_everything_and_needs_nothing_else(tmp_path: Path) -> None:
    photo, reference = camera.encode(camera.query(CAN, 0)), camera.encode(camera.reference(CAN, 0))
    found = (CAN.sku, CAN.name, 0.93)
    rows = [
        Row(photo, CAN.sku, "match", [found], reference, 10.5, True),
        Row(photo, "<b>-1", "match", [("OTHER-1", "<b>bold</b>", 0.81)], reference, 11.0, False),
        Row(photo, None, "unknown", [], None, 12.0, True),
        Row(photo, CAN.sku, "ambiguous", [found, ("OTHER-2", "Two", 0.9)], reference, 13.0, False),
    ]
    page = tmp_path / "report.html"
    write_report(page, rows, summary(4, 2))
    html = page.read_text("utf-8")
    for text in (
        CAN.sku,
        "OTHER-1",
        "OTHER-2",
        "not in the catalog",
        "2 products &amp; 8 photos",
        "50.0 %",
        "bundle-1",
    ):
        assert text in html
    assert "<b>bold" not in html and "&lt;b&gt;bold" in html
    assert "<b>-1" not in html and "&lt;b&gt;-1" in html
    assert html.index("Wrong answers") < html.index("OTHER-1") < html.index("All answers")
    assert not re.search(r"""(?:src|href)=["'](?!data:)|url\(|<script|@import""", html)
    uris = set(re.findall(r"data:image/jpeg;base64,[^\"]+", html))
    assert len(uris) == 2


def test_a_report_without_answers(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_report(page, [], summary(0, 0))
    assert "every photo was answered correctly" in page.read_text("utf-8")

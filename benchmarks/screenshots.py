"""The pictures of the docs: a synthetic catalog in headless Chromium, in laptop and phone width, and a match.

`make pictures`. Writes docs/images/*.png and proof.jpg: of the pages those that a document shows.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import httpx
from common.tills import sign_in_first
from PIL import Image
from playwright.sync_api import sync_playwright

from catalog.demo import camera
from catalog.demo.products import Product, products
from catalog.demo.server import add_product, serve_catalog
from embedder import matching
from embedder.matching import local_features, verify

SEED = 7
TAKEN = ("products", "product", "add", "added", "inbox", "try", "add-asked", "merge", "map", "overview")
JPEG = {"Content-Type": "image/jpeg"}
ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SIZES: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": {"width": 1100, "height": 760}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


def draw_proof(sku: str, path: Path) -> None:
    """Draw a recognized pack in a hand beside its reference photo, with the matching points."""
    product = next(product for product in products() if product.sku == sku)
    query, reference = camera.query(product, 1), camera.reference(product, 0)
    here, there = local_features.detect(query, matching.QUERY), local_features.detect(reference, matching.REFERENCE)
    path.write_bytes(matching.to_jpeg(matching.draw_agreement(query, reference, here, there, verify(here, there))))


def shoot(page: Any, path: Path, **options: Any) -> None:
    """Take a picture once all that the page shows is there, also what it loads late."""
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach((image) => { image.loading = 'eager'; })")
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    page.screenshot(path=path, **options)


def send(page: Any, asked: Path | None = None) -> None:
    """Submit the form; if there are warnings about a photo, take a screenshot of them and save anyway."""
    page.click("[data-submit]")
    page.locator("[data-done], [data-anyway]").first.wait_for()
    if page.locator("[data-anyway]").count():
        if asked is not None:
            shoot(page, asked, full_page=True)
        page.click("[data-anyway]")
        page.locator("[data-done]").wait_for()


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    draw_proof("LUNAVEDA-GARDEN-40", IMAGES / "proof.jpg")
    strangers = dict(zip(SIZES, [product for product in products() if not product.known], strict=False))
    shown = products()[:24]
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as data,
        serve_catalog(Path(data)) as server,
        server.till() as till,
        sync_playwright() as playwright,
    ):
        for product in shown:
            add_product(till, product, SEED)
        query = Path(folder) / "query.jpg"
        query.write_bytes(by_print(till, shown[8:]))
        again = {size: Path(folder) / f"again-{size}.jpg" for size in SIZES}
        for place, path in enumerate(again.values()):
            path.write_bytes(camera.encode(camera.reference(shown[place], 9)))
        for product in (product for product in products() if not product.known):
            for index in range(3):
                till.post("/api/v1/recognize", content=camera.encode(camera.query(product, index)), headers=JPEG)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        state = None
        for size, settings in SIZES.items():
            context = browser.new_context(base_url=server.url, storage_state=state, **settings)
            page = context.new_page()
            if state is None:
                sign_in_first(page, server)
                state = context.storage_state()
            page.goto("/products/")
            shoot(page, IMAGES / f"products-{size}.png")
            stranger, references = strangers[size], []
            for i in range(4):
                references.append(Path(folder) / f"{stranger.sku}-{i}.jpg")
                references[-1].write_bytes(camera.encode(camera.reference(stranger, i)))
            page.goto("/add/")
            page.set_input_files("[data-choose]", references)
            page.fill("#sku", stranger.sku)
            page.fill("#name", stranger.name)
            page.locator(".previews img").nth(3).wait_for()
            page.screenshot(path=IMAGES / f"add-{size}.png", full_page=True)
            send(page)
            shoot(page, IMAGES / f"added-{size}.png")
            page.goto("/inbox/")
            shoot(page, IMAGES / f"inbox-{size}.png")
            page.goto("/try/")
            page.set_input_files("[data-choose]", query)
            page.locator("[data-done]").wait_for()
            shoot(page, IMAGES / f"try-{size}.png", full_page=True)
            page.goto("/add/")
            page.set_input_files("[data-choose]", again[size])
            page.fill("#sku", f"AGAIN-{size}")
            page.fill("#name", "The same pack once more")
            send(page, IMAGES / f"add-asked-{size}.png")
            page.click("text=Merge them")
            page.locator("[data-preview]").wait_for()
            shoot(page, IMAGES / f"merge-{size}.png", full_page=True)
            page.goto(f"/products/{stranger.sku}")
            shoot(page, IMAGES / f"product-{size}.png")
            page.goto("/map/")
            if page.get_by_role("button", name="Make the map").count():
                page.get_by_role("button", name="Make the map").click()
            page.locator("[data-map][data-ready]").wait_for(timeout=120_000)
            page.locator(".map-frame canvas").focus()
            page.keyboard.press("ArrowRight")
            shoot(page, IMAGES / f"map-{size}.png")
            page.goto("/overview/")
            shoot(page, IMAGES / f"overview-{size}.png")
            context.close()
        browser.close()
    documents = "".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    for path in (IMAGES / f"{name}-{size}.png" for name in TAKEN for size in SIZES):
        if f"images/{path.name}" in documents:  # flat colors: a palette keeps them small in every clone
            Image.open(path).convert("RGB").quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)
        else:
            path.unlink()


def by_print(till: httpx.Client, shown: list[Product]) -> bytes:
    """A photo that is recognized by its local features."""
    for product in shown:
        photo = camera.encode(camera.query(product, 0))
        answer = till.post("/api/v1/recognize", content=photo, headers=JPEG).json()
        if (answer["decision"], answer["decided_by"]) == ("match", "details") and answer["confidence"] > 0.9:
            return photo
    raise SystemExit("no drawn pack was recognized by its print")


if __name__ == "__main__":
    main()

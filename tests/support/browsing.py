"""The staff's pages in headless Chromium: sizes, signing in, and what every test of them does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import pictures
from tests.support.served import Served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
#: Marks of a file of such tests.
MARKS = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]
SIZES: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


def signed_in(browser: Any, server: Served) -> dict[str, Any]:
    """The cookies of a new session."""
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/")
    page.fill("#name", "admin")
    page.fill("#password", server.password)
    page.click("button")
    page.wait_for_url("**/products/")
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


def photo(folder: Path, seed: int, size: tuple[int, int] = (320, 240)) -> Path:
    path = folder / f"{seed}.jpg"
    path.write_bytes(pictures.jpeg(seed, size))
    return path


def drop(page: Any, path: Path) -> None:
    """Drag a photo from elsewhere onto the page's form."""
    page.evaluate(
        """([name, data]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(data)], name, { type: "image/jpeg" }));
          const dropped = new DragEvent("drop", { dataTransfer: transfer, cancelable: true });
          document.querySelector("[data-photos]").dispatchEvent(dropped);
        }""",
        [path.name, list(path.read_bytes())],
    )


def fits(page: Any) -> None:
    """Nothing sticks out at the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def keep(page: Any) -> None:
    """Send, and save anyway where a photo has warnings: drawn ones are near to one another."""
    page.click("[data-submit]")
    page.locator("[data-done], [data-anyway]").first.wait_for()
    if page.locator("[data-anyway]").count():
        fits(page)
        page.click("[data-anyway]")
        page.locator("[data-done]").wait_for()


def add(page: Any, folder: Path, sku: str, *seeds: int) -> None:
    """A product with photos, by the form."""
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(folder, seed) for seed in seeds])
    page.locator(".previews img").nth(len(seeds) - 1).wait_for()
    page.fill("#sku", sku)
    keep(page)


def accessible(page: Any, what: str) -> None:
    """No finding of axe-core that it calls serious or critical, and one h1."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core (extra `dev`) is not installed")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == [], what
    assert page.locator("h1").count() == 1, what

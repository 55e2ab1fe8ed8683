"""The staff's pages in headless Chromium: sizes, signing in, and what every test of them does."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
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


def drop(page: Any, path: Path, where: str = "[data-photos]") -> None:
    """Drag a photo from elsewhere onto a part of the page."""
    page.evaluate(
        """([name, data, where]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(data)], name, { type: "image/jpeg" }));
          const dropped = new DragEvent("drop", { dataTransfer: transfer, cancelable: true, bubbles: true });
          document.querySelector(where).dispatchEvent(dropped);
        }""",
        [path.name, list(path.read_bytes()), where],
    )


def shoot(page: Any) -> None:
    """Save what the page shows into the folder that SCREENSHOTS names, if it does, by test and step."""
    if not (folder := os.environ.get("SCREENSHOTS")):
        return
    test = re.sub(r"\W+", "-", os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].removesuffix(" (call)"))
    step = len(list(Path(folder).glob(f"{test}*"))) + 1
    page.screenshot(path=Path(folder) / f"{test}{step:02}.png", full_page=True)


def fits(page: Any) -> None:
    """Nothing sticks out at the side. (A phone would make the window wider for that, so that is not the measure.)"""
    shoot(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


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


#: Of what can be pressed and is shown: its name, and for a link where it leads.
PRESSED = """() => {
  const pictures = (one) => [...one.querySelectorAll("img")].map((img) => img.alt).join(" ");
  const name = (one) => one.ariaLabel || one.textContent.trim() || pictures(one);
  return [...document.querySelectorAll("button, summary, a[href], input:not([type=hidden])")]
    .filter((one) => one.checkVisibility() && !one.closest("[aria-hidden=true]"))
    .map((one) => one.localName === "input" ? [one.ariaLabel || one.labels[0]?.textContent.trim() || "", ""]
      : [name(one).replace(/\\s+/g, " "), one.href || ""]);
}"""


def named(page: Any, what: str) -> None:
    """Each button, link and field has a name, which no other one has: read aloud, a list is a list of names."""
    names = [tuple(one) for one in page.evaluate(PRESSED)]
    assert all(name for name, _ in names), what
    leads: dict[str, set[str]] = {}
    for name, href in names:
        leads.setdefault(name, set()).add(href)
    twice = {name for name, href in names if len(leads[name]) > 1 or (not href and names.count((name, href)) > 1)}
    assert twice == set(), f"{what}: {twice}"


def make_key(page: Any, name: str) -> str:
    """A key that may do everything, made by the page."""
    page.goto("/keys/")
    page.fill("#name", name)
    for box in page.locator("[name=scope]").all():
        box.check()
    page.get_by_role("button", name="Make a key").click()
    return str(page.inner_text("[data-key]"))


def not_recognized(page: Any, server: Served, key: str, *seeds: int) -> None:
    """Photos that a till asks and gets no product for; then the inbox, which shows one group more of each seed."""
    page.goto("/inbox/")
    groups = page.locator("[data-group]").count() + len(set(seeds))
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"}
    for seed in seeds:
        answer = httpx.post(f"{server.url}/api/v1/recognize", content=pictures.jpeg(seed), headers=headers, timeout=60)
        assert answer.json()["decision"] != "match"
    for _ in range(100):
        page.goto("/inbox/")
        if page.locator("[data-group]").count() >= groups:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the photos did not come into the inbox")


def accessible(page: Any, what: str) -> None:
    """No serious finding of axe-core, one h1, the link past the menu first, and names that can be told apart."""
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
    if page.locator("#content").count():
        assert page.locator("a[href], button, input, summary").first.get_attribute("class") == "skip", what
    named(page, what)


def end_session(page: Any) -> None:
    """As if it had been too long, or somebody had signed out in another tab."""
    page.context.clear_cookies()


def sign_in_again(page: Any, server: Served) -> None:
    """In the dialog that asks for it."""
    page.locator("dialog[open]").wait_for()
    fits(page)
    page.fill("#again-password", server.password)
    page.click("dialog .btn-primary")

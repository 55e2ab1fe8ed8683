"""What goes wrong while somebody works, in a real browser at two widths: nothing that was typed or chosen is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support import pictures
from tests.support.browsing import MARKS, add, drop, fits, keep, photo

pytestmark = MARKS


def test_a_photo_chosen_before_the_scripts_have_come_is_not_lost(page: Any, tmp_path: Path) -> None:
    """A slow phone: the form can be used at once, its scripts come later."""
    scripts, waiting = "**/static/photos.js", list[Any]()
    page.route(scripts, lambda route: waiting.append(route))
    page.goto("/add/", wait_until="commit")
    page.set_input_files("[data-choose]", photo(tmp_path, 6001))
    page.fill("#sku", f"EARLY-{page.size}")
    assert page.locator(".previews img").count() == 0
    waiting.pop().continue_()
    page.unroute(scripts)
    page.locator(".previews img").wait_for()
    page.locator("form[data-kept=yes]").wait_for()  # as a draft, too
    keep(page)
    assert page.locator("[data-done] .previews img").count() == 1
    page.goto(f"/products/EARLY-{page.size}")
    page.click(".photos a")
    page.wait_for_url("**/photos/**")
    page.route(scripts, lambda route: waiting.append(route))
    page.reload(wait_until="commit")
    page.set_input_files("[data-choose]", photo(tmp_path, 6002))
    waiting.pop().continue_()
    page.unroute(scripts)
    page.locator(".previews img").wait_for()
    page.get_by_role("button", name="Replace").click()
    page.get_by_text("Replaced. The old photo is in the bin.").wait_for()


def test_sending_shows_how_far_it_is_and_can_be_cancelled(page: Any, tmp_path: Path) -> None:
    """On a slow line; what was chosen and typed stays, and what is cancelled is not kept."""
    sku = f"SLOW-{page.size}"
    page.goto("/add/")
    (tmp_path / "large.jpg").write_bytes(pictures.encode(pictures.picture(6011, (2000, 1500)), quality=100))
    page.set_input_files("[data-choose]", tmp_path / "large.jpg")
    page.locator(".previews img").wait_for()
    page.fill("#sku", sku)
    line = page.context.new_cdp_session(page)
    fast = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", {**fast, "uploadThroughput": 100_000})
    button = page.locator("[data-submit]")
    button.click()
    page.get_by_text(re.compile(r"Sending, [1-9]\d? %")).wait_for()
    assert page.locator("[data-choose]").is_disabled() and page.locator(".remove").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled. Look whether it was kept").wait_for()
    assert button.inner_text() == "Add product" and page.input_value("#sku") == sku
    assert page.locator(".previews img").count() == 1
    line.send("Network.emulateNetworkConditions", {**fast, "offline": True})
    button.click()
    page.get_by_text("The server can't be reached. Nothing is lost: send it again.").wait_for()
    line.send("Network.emulateNetworkConditions", fast)
    keep(page)
    page.goto(f"/products/{sku}/history")
    assert page.locator(".log li").count() == 1


def test_another_photo_is_asked_before_the_first_is_answered(page: Any, tmp_path: Path) -> None:
    """Dropped on the product list, which is then ordered by likeness; the answer is that of the photo shown."""
    sku = f"LIKE-{page.size}"
    add(page, tmp_path, sku, 6021 if page.size == "phone" else 6022)
    page.goto("/products/")
    page.click("text=Search by a photo")
    waiting: list[Any] = []
    page.route("**/alike/", lambda route: route.continue_() if waiting else waiting.append(route))
    page.set_input_files("[data-choose]", photo(tmp_path, 6023))
    page.locator("[data-submit]:disabled").wait_for()
    while not waiting:
        page.wait_for_timeout(20)
    drop(page, photo(tmp_path, 6021 if page.size == "phone" else 6022))
    page.locator(".matches li").first.wait_for()
    assert sku in page.locator(".matches li").first.inner_text()
    assert page.locator(".drop .previews img").count() == 1
    assert page.locator("[data-submit]").is_enabled() and page.locator("[data-problem]:visible").count() == 0
    fits(page)

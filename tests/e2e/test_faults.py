"""What goes wrong while somebody works, in a real browser at two widths: nothing that was typed or chosen is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.support import pictures
from tests.support.browsing import MARKS, add, drop, fits, keep, photo
from tests.support.served import Served

pytestmark = MARKS


def end_session(page: Any) -> None:
    """As if it had been too long, or somebody had signed out in another tab."""
    page.context.clear_cookies()


def sign_in_again(page: Any, server: Served) -> None:
    """In the dialog that asks for it."""
    page.locator("dialog[open]").wait_for()
    fits(page)
    page.fill("#again-password", server.password)
    page.click("dialog .btn-primary")


def test_a_plain_form_goes_on_after_signing_in_again(page: Any, server: Served, tmp_path: Path) -> None:
    """With the button that was pressed; and nothing is lost by one who does not sign in, or has no connection."""
    sku = f"PLAIN-{page.size}"
    add(page, tmp_path, sku, 6031)
    page.goto(f"/products/{sku}")
    save = page.get_by_role("button", name="Save", exact=True)
    page.fill("#name", "Typed before")
    end_session(page)
    save.click()
    page.get_by_role("button", name="Not now").click()
    page.get_by_text("You are signed out, and nothing was sent. Send it again to sign in.").wait_for()
    assert page.input_value("#name") == "Typed before"
    page.context.set_offline(True)
    save.click()
    page.get_by_text("The server can't be reached. Nothing is lost: send it again.").wait_for()
    page.context.set_offline(False)
    save.click()
    sign_in_again(page, server)
    page.get_by_text("Saved.").wait_for()
    assert page.inner_text("h1") == "Typed before"
    page.click(".photos a")
    page.wait_for_url("**/photos/**")
    end_session(page)
    page.get_by_role("button", name="Move to another product").click()  # a button with an address of its own
    sign_in_again(page, server)
    page.wait_for_url("**/photos/move**")
    page.goto(f"/products/{sku}")
    page.click(".photos a")
    before = page.locator(".cropper img").bounding_box()
    end_session(page)
    page.get_by_role("button", name="Rotate left").click()  # a button with a value
    sign_in_again(page, server)
    page.get_by_text("Rotated.").wait_for()
    after = page.locator(".cropper img").bounding_box()
    assert (before["width"] > before["height"]) != (after["width"] > after["height"])
    page.goto("/keys/")
    page.fill("#name", f"till of the faults, {page.size}")
    end_session(page)
    page.get_by_role("button", name="Make a key").click()  # a form that is good once
    page.get_by_role("button", name="Not now").click()
    page.get_by_role("button", name="Make a key").click()
    sign_in_again(page, server)
    page.locator("[data-key]").wait_for()


def test_a_second_click_sends_nothing_twice(page: Any, tmp_path: Path) -> None:
    """Nor does a reload of the page that follows; and the page before is still of use."""
    sku = f"TWICE-{page.size}"
    add(page, tmp_path, sku, 6041, 6042)
    page.goto(f"/products/{sku}")
    save, saved = page.get_by_role("button", name="Save", exact=True), page.get_by_text("Saved.")
    page.fill("#barcode", "4006381333931" if page.size == "phone" else "96385074")
    page.get_by_role("button", name="Add the barcode").dblclick()
    page.get_by_text("The barcode is kept.").wait_for()
    page.reload()
    assert page.locator(".barcodes li").count() == 1 and page.locator("[role=status] .alert").count() == 0
    page.fill("#name", "First")
    save.click()
    saved.wait_for()
    page.go_back()
    assert page.input_value("#name") == "First", "the page as it is now, not as it was"
    page.fill("#name", "Second")
    save.click()
    saved.wait_for()
    assert page.inner_text("h1") == "Second"
    page.goto(f"/products/{sku}/history")
    said = page.locator(".log li").all_inner_texts()
    assert sum("Barcode added" in text for text in said) == 1 and sum("Changed" in text for text in said) == 2


def test_two_tabs_of_one_product(page: Any, tmp_path: Path) -> None:
    """A photo that another tab has deleted, and facts that it has saved: said plainly, and nothing typed is lost."""
    sku = f"TABS-{page.size}"
    add(page, tmp_path, sku, 6051, 6052)
    page.goto(f"/products/{sku}")
    page.fill("#brand", "of this tab")
    other, save = page.context.new_page(), "Save"
    other.goto(f"/products/{sku}")
    other.locator(".photos a").last.click()
    other.wait_for_url("**/photos/**")
    acts = ("Rotate left", "Crop", "Show it first", "Delete", "Move to another product")
    stale = [page.context.new_page() for _ in acts]
    for tab in stale:
        tab.goto(other.url)
    other.get_by_role("button", name="Delete", exact=True).click()
    other.get_by_text("The photo is deleted").wait_for()
    other.fill("#category", "of the other tab")
    other.get_by_role("button", name=save, exact=True).click()
    other.get_by_text("Saved.").wait_for()
    for act, tab in zip(acts, stale, strict=True):
        tab.get_by_role("button", name=act, exact=True).click()
        tab.wait_for_url(f"**/products/{sku}")
        assert "is not there any more" in tab.inner_text("[role=status]"), act
        fits(tab)
        tab.close()
    page.get_by_role("button", name=save, exact=True).click()
    page.get_by_text("Somebody else changed this product").wait_for()
    assert page.input_value("#brand") == "of this tab" and page.input_value("#category") == "of the other tab"
    page.get_by_role("button", name=save, exact=True).click()
    page.get_by_text("Saved.").wait_for()


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

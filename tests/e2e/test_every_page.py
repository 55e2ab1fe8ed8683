"""What all pages have in common, in a real browser: they fit, are accessible, and show times in the reader's zone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.support import pictures
from tests.support.browsing import MARKS, accessible, fits, keep, make_key, not_recognized, photo, signed_in
from tests.support.served import Served

pytestmark = MARKS


def test_every_page_fits_and_is_accessible(page: Any, tmp_path: Path) -> None:
    """WCAG 2.2 AA as far as axe-core can tell: pages with something on them, the menu open, and a dialog."""
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 61), photo(tmp_path, 62)])
    page.fill("#sku", f"FITS-{page.size}")
    keep(page)
    accessible(page, "/add/, added")
    page.goto(f"/products/FITS-{page.size}")
    of_product = page.eval_on_selector_all("main a[href^='/products/']", "links => links.map((link) => link.pathname)")
    menu = page.eval_on_selector_all(".menu-list a", "links => links.map((link) => link.pathname)")
    assert {"/products/", "/audit/"} <= set(menu)
    for target in dict.fromkeys([f"/products/FITS-{page.size}", *of_product, *menu]):
        page.goto(target)
        fits(page)
        accessible(page, target)
    page.click("[data-menu] summary")
    accessible(page, "the menu")


def test_pages_with_several_entries_are_accessible(page: Any, server: Served, tmp_path: Path) -> None:
    """Where names could occur twice: lists whose entries have the same buttons; and pages that only an action shows."""
    size = page.size
    key = make_key(page, f"till of every page, {size}")
    accessible(page, "a key that was just made")
    fits(page)
    seeds = iter(range(7100, 7110) if size == "phone" else range(7200, 7210))
    for sku, name in (("A", "Red tea"), ("B", "Red tea"), ("C", "Green tea"), ("D", "Green tea")):
        photos = [("photos", (f"{seed}.jpg", pictures.jpeg(seed))) for seed in (next(seeds), next(seeds))]
        form = {"sku": f"EVERY-{sku}-{size}", "name": f"{name} {size}"}
        headers = {"Authorization": f"Bearer {key}"}
        made = httpx.post(f"{server.url}/api/v1/products", data=form, files=photos, headers=headers, timeout=60)
        assert made.status_code == 201
    page.goto("/duplicates/")
    assert page.locator(".duplicate").count() >= 2
    accessible(page, "/duplicates/ with pairs")
    fits(page)
    page.get_by_role("link", name=f"merge … EVERY-A-{size} and EVERY-B-{size}").click()
    page.wait_for_url("**/merge/**")
    accessible(page, "/merge/")
    fits(page)
    page.goto("/try/")
    page.set_input_files("[data-choose]", photo(tmp_path, 7100 if size == "phone" else 7200))
    page.locator(".matches li").first.wait_for()
    accessible(page, "/try/, answered")
    fits(page)
    not_recognized(page, server, key, *((4003, 4007) if size == "phone" else (4041, 4196)))
    accessible(page, "/inbox/ with groups")
    fits(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for address in ("/account/", "/products/NO-SUCH", "/merge/?sku=EVERY-A-" + size):
        page.goto(address)
        accessible(page, address)
        fits(page)
    page.context.clear_cookies()
    page.goto("/login")
    accessible(page, "/login")
    fits(page)


def test_times_are_in_the_readers_zone(browser: Any, server: Served, session: dict[str, Any]) -> None:
    zone = browser.new_context(base_url=server.url, storage_state=session, timezone_id="Asia/Tokyo", locale="en-GB")
    page = zone.new_page()
    page.goto("/audit/")
    time = page.locator("time").first
    utc = datetime.fromisoformat(time.get_attribute("datetime"))
    assert f"{utc.astimezone(ZoneInfo('Asia/Tokyo')):%H:%M}" in time.inner_text()
    assert f"{utc:%H:%M}" in time.get_attribute("title")
    zone.close()


def test_the_overview_reads_well_and_leads_to_where_one_acts(page: Any) -> None:
    page.goto("/overview/")
    fits(page)
    chart = page.get_by_role("img", name="Answers a day by decision")
    assert chart.bounding_box()["width"] > 0.7 * page.viewport_size["width"]
    page.get_by_text("As a table").click()
    assert page.locator("tbody tr").count() == 30
    fits(page)
    page.locator(".figure", has_text="not recognized").click()
    page.wait_for_url("**/inbox/")
    page.goto("/models/")
    fits(page)
    assert page.locator(".model .badge").first.inner_text() == "live"


def test_signing_out(page: Any, browser: Any, server: Served) -> None:
    page.context.clear_cookies()
    page.context.add_cookies(signed_in(browser, server)["cookies"])  # its own session, which then ends
    page.goto("/products/")
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/products/")
    page.wait_for_url("**/login**")

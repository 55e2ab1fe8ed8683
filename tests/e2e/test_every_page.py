"""What all pages have in common, in a real browser: they fit, are accessible, and show times in the reader's zone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.browsing import MARKS, accessible, fits, keep, photo, signed_in
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

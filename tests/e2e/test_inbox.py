"""Photos that were not recognized, decided on in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support import pictures
from tests.support.browsing import MARKS, fits, keep, photo
from tests.support.served import Served

pytestmark = MARKS


def test_what_a_till_was_not_answered_is_added_by_a_key_or_a_click(page: Any, server: Served, tmp_path: Path) -> None:
    sku, seed = (f"INBOX-{page.size}", 4003 if page.size == "phone" else 4007)
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 1))
    page.fill("#sku", sku)
    keep(page)
    page.goto("/keys/")
    page.fill("#name", "till of the inbox")
    page.click("text=Make a key")
    headers = {"Authorization": f"Bearer {page.inner_text('[data-key]')}", "Content-Type": "image/jpeg"}
    asked = {"params": {"sku": sku}, "content": pictures.jpeg(seed), "headers": headers}
    assert httpx.post(f"{server.url}/api/v1/recognize", **asked).json()["decision"] != "match"
    for _ in range(50):
        page.goto("/inbox/")
        if page.locator("[data-group]").count():
            break
        page.wait_for_timeout(200)
    assert "till of the inbox" in page.inner_text("[data-group]")
    fits(page)
    if page.size == "laptop":
        page.keyboard.press("1")
    else:
        page.click("[data-group] [data-key='1']")
    page.locator("[role=status] .alert, [data-anyway]").first.wait_for()
    if page.locator("[data-anyway]").count():
        fits(page)
        page.click("[data-anyway]")
    page.locator("[role=status] .alert").wait_for()
    assert f"Added to {sku}" in page.inner_text("[role=status]")
    assert "Nothing is waiting" in page.inner_text("main")
    assert httpx.post(f"{server.url}/api/v1/recognize", **asked).json()["matches"][0]["sku"] == sku

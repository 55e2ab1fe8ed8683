"""Photos that were not recognized, decided on in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support import pictures
from tests.support.browsing import MARKS, accessible, fits, keep, make_key, not_recognized, photo
from tests.support.served import Served

pytestmark = MARKS

#: Seeds of drawn pictures that the embedder finds unlike one another and those of the other tests here.
UNLIKE = (40012, 40069, 40101, 40143, 40243, 40373, 40534, 40598, 40952, 41045, 41218, 41241)


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
        page.locator("[data-group]").focus()
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


def test_the_most_frequent_group_first(page: Any, server: Served) -> None:
    key = make_key(page, f"till of the order, {page.size}")
    often, once = UNLIKE[:2] if page.size == "laptop" else UNLIKE[2:4]
    not_recognized(page, server, key, often, often, once)
    assert "Asked once" in page.locator("[data-group] h2").first.inner_text()
    page.get_by_role("link", name="Most frequent").click()
    page.wait_for_url("**/inbox/?by=frequent")
    assert "Asked" in page.locator("[data-group] h2").first.inner_text()
    assert "times" in page.locator("[data-group] h2").first.inner_text()
    assert page.get_by_role("link", name="Most frequent").get_attribute("aria-current") == "page"
    fits(page)


def test_the_inbox_by_keys(page: Any, server: Served) -> None:
    """J and K go through the groups, N, O, B and U decide; only while a group has the focus (WCAG 2.1.4)."""
    key = make_key(page, f"till of the keys, {page.size}")
    not_recognized(page, server, key, *(UNLIKE[4:7] if page.size == "laptop" else UNLIKE[7:10]))
    groups = page.locator("[data-group]")
    focused = "document.activeElement.closest('[data-group]')?.getAttribute('aria-labelledby')"
    count = groups.count()
    assert count >= 3
    for pressed in "jkobn1u":
        page.keyboard.press(pressed)
    page.wait_for_timeout(500)
    assert page.evaluate(focused) is None and page.url.endswith("/inbox/") and groups.count() == count
    titles = [group.get_attribute("aria-labelledby") for group in groups.all()]
    if page.size == "laptop":
        page.get_by_role("button", name="Use the keys").click()
    else:
        groups.first.focus()
    assert page.evaluate(focused) == titles[0]
    for pressed, place in (("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0), ("j", 1)):
        page.keyboard.press(pressed)
        assert page.evaluate(focused) == titles[place], pressed
    page.locator("#sku-1").press_sequentially("job")  # typed, not pressed
    assert page.input_value("#sku-1") == "job" and groups.count() == count
    groups.nth(1).focus()
    page.keyboard.press("Control+b")
    for pressed, said in (("b", "The photo is gone."), ("o", "Not ours: photos like these are not shown again.")):
        left = groups.count()
        page.keyboard.press(pressed)
        page.get_by_text(said).wait_for()
        assert groups.count() == left - 1
        assert page.evaluate(focused) == titles[min(1, left - 2)], "the next one, and no click between"
        fits(page)
    page.keyboard.press("u")
    page.get_by_text("photos like them are shown again").wait_for()
    assert groups.count() == left
    fits(page)
    page.keyboard.press("n")
    page.wait_for_url("**/add/?inbox=**")
    assert page.locator("[name=inbox]:checked").count() == 1


def test_what_was_not_ours_is_taken_back(page: Any, server: Served) -> None:
    key = make_key(page, f"till of what is not ours, {page.size}")
    not_recognized(page, server, key, UNLIKE[10] if page.size == "laptop" else UNLIKE[11])
    left = page.locator("[data-group]").count()
    page.locator("[data-group]").first.get_by_role("button", name="Not ours").click()
    page.get_by_text("Not ours: photos like these").wait_for()
    assert page.locator("[data-group]").count() == left - 1
    if page.size == "phone":
        assert page.evaluate("document.activeElement.closest('[data-group]')") is None, (
            "nothing is marked that nobody chose"
        )
    page.get_by_role("link", name="Not ours (").click()
    page.wait_for_url("**/inbox/not-ours")
    fits(page)
    accessible(page, "/inbox/not-ours")
    listed = page.locator(".dismissed li").count()
    page.get_by_role("button", name="Take it back").first.click()
    page.get_by_text("photos like them are shown again").wait_for()
    assert page.locator(".dismissed li").count() == listed - 1
    fits(page)
    page.get_by_role("link", name="To what was not recognized").click()
    page.wait_for_url("**/inbox/")
    assert page.locator("[data-group]").count() == left

"""A session that ended, or that is another person's, in a real browser at two widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browsing import MARKS, add, end_session, photo, sign_in_again
from tests.support.served import Served

# In a file of their own, with a server of its own: one name may sign in ten times a minute.
pytestmark = MARKS


def test_nothing_is_sent_in_another_persons_name(page: Any, server: Served, tmp_path: Path) -> None:
    """Who signed in meanwhile, in another tab, is asked."""
    sku = f"OTHERS-{page.size}"
    add(page, tmp_path, sku, 6091)
    page.goto("/people/")
    page.fill("#name", f"ben {page.size}")
    page.check("#role-editor")
    page.get_by_role("button", name="Make a link").click()
    page.locator("#secret", has_text=server.url).wait_for()
    link = page.inner_text("#secret")
    page.goto(f"/products/{sku}")
    page.fill("#name", "Typed by admin")
    end_session(page)
    other = page.context.new_page()
    other.goto(link)
    other.fill("#password", "a password of ben")
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url("**/products/")
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept() if len(asked) > 1 else dialog.dismiss()

    page.on("dialog", answer)
    save = page.get_by_role("button", name="Save", exact=True)
    save.click()
    page.get_by_text("Nothing was sent.").wait_for()
    assert page.input_value("#name") == "Typed by admin"
    save.click()
    page.get_by_text("Saved.").wait_for()
    assert asked == [f"You are signed in as ben {page.size} now. Send it as ben {page.size}?"] * 2


def test_photos_of_a_product_stay_when_the_session_ended_after_they_were_sent(
    page: Any, server: Served, tmp_path: Path
) -> None:
    sku = f"MORE-{page.size}"
    add(page, tmp_path, sku, 6093)
    page.goto(f"/products/{sku}")
    page.set_input_files("[data-choose]", [photo(tmp_path, 6094), photo(tmp_path, 6095)])
    page.locator(".drop .previews li.sent").nth(1).wait_for()
    end_session(page)
    page.locator("[data-submit]").click()
    sign_in_again(page, server)
    added, anyway = page.get_by_text("2 photos added"), page.locator("[data-anyway]")
    added.or_(anyway).first.wait_for()
    if anyway.count():
        anyway.click()
    added.wait_for()

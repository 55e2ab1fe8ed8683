"""A page that is left with something typed or chosen that was not sent asks first; in a real browser at two widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browsing import MARKS, add, fits, photo

pytestmark = MARKS


class Answers:
    """What the page asks, and what a person answers: to stay, unless `leave`."""

    def __init__(self, page: Any) -> None:
        self.asked: list[tuple[str, str]] = []
        self.leave = False
        page.on("dialog", self.answer)

    def answer(self, dialog: Any) -> None:
        self.asked.append((dialog.type, dialog.message if dialog.type == "confirm" else ""))
        dialog.accept() if self.leave else dialog.dismiss()

    def taken(self) -> list[str]:
        """The kinds of what was asked since the last time."""
        kinds = [kind for kind, _ in self.asked]
        self.asked.clear()
        return kinds


def stays(page: Any, answers: Answers) -> None:
    """A click on a link asks, and who wants to stay does."""
    here = page.url
    page.get_by_role("link", name="History").click()
    page.wait_for_timeout(300)
    assert (page.url, answers.taken()) == (here, ["beforeunload"])


def test_facts_that_are_not_saved_are_asked_about(page: Any, tmp_path: Path) -> None:
    sku = f"LEAVING-{page.size}"
    add(page, tmp_path, sku, 6211)
    page.goto(f"/products/{sku}")
    answers = Answers(page)
    page.click("#name")
    page.fill("#name", "Tea")
    page.fill("#brand", "Acme")
    stays(page, answers)
    assert page.input_value("#brand") == "Acme"
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    assert answers.taken() == [], "what is sent is not lost"

    page.fill("#name", "Coffee")
    page.fill("#name", "Tea")  # as it was
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/history")
    assert answers.taken() == []
    page.go_back()

    page.fill("#new_labels", "store 12")
    page.press("#new_labels", "Enter")  # a label now: a tick that nobody clicked
    assert page.input_value("#new_labels") == ""
    stays(page, answers)
    assert page.get_by_label("store 12").is_checked()
    answers.leave = True
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/history")
    assert answers.taken() == ["beforeunload"]


def test_another_form_of_the_page_asks_before_it_is_sent(page: Any, tmp_path: Path) -> None:
    sku = f"LEAVING-2-{page.size}"
    add(page, tmp_path, sku, 6221)
    page.goto(f"/products/{sku}")
    answers = Answers(page)
    page.click("#name")
    page.fill("#name", "Typed, not saved")
    page.get_by_role("button", name="Retire").click()
    page.wait_for_timeout(300)
    assert answers.taken() == ["confirm"]
    assert page.input_value("#name") == "Typed, not saved"
    page.set_input_files("[data-choose]", photo(tmp_path, 6222))
    page.locator(".drop .previews li").wait_for()
    page.locator("[data-submit]").click()
    page.wait_for_timeout(300)
    assert answers.taken() == ["confirm"]
    fits(page)
    page.get_by_role("button", name="Save", exact=True).click()  # the photo that was chosen would be lost
    page.wait_for_timeout(300)
    assert answers.taken() == ["confirm"]
    answers.leave = True
    page.get_by_role("button", name="Retire").click()
    page.get_by_text("Retired: it is no longer recognized.").wait_for()
    assert answers.taken() == ["confirm"], "once"
    page.get_by_role("button", name="Restore").click()
    page.get_by_text("Back in the catalog.").wait_for()
    assert answers.taken() == []


def test_what_two_people_changed_is_asked_about_until_it_is_saved(page: Any, tmp_path: Path) -> None:
    sku = f"LEAVING-3-{page.size}"
    add(page, tmp_path, sku, 6231)
    page.goto(f"/products/{sku}")
    other = page.context.new_page()
    other.goto(page.url)
    other.fill("#name", "Theirs")
    other.get_by_role("button", name="Save", exact=True).click()
    other.get_by_text("Saved.").wait_for()
    page.fill("#name", "Yours")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Somebody else changed this product while you did.").wait_for()
    answers = Answers(page)
    page.click("h1")
    stays(page, answers)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    assert answers.taken() == []


def test_a_search_a_tick_and_a_draft_ask_nothing(page: Any, tmp_path: Path) -> None:
    sku = f"LEAVING-4-{page.size}"
    add(page, tmp_path, sku, 6241)
    answers = Answers(page)
    page.goto("/products/")
    page.fill("[name=search]", sku)
    page.locator("[name=sku]").first.check()
    page.get_by_role("link", name="Table").click()
    page.wait_for_url("**view=table")
    page.goto(f"/products/{sku}")
    page.locator("[name=photo]").check()
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/history")
    page.goto("/add/")
    page.fill("#sku", "BEGUN")
    page.locator("form[data-kept=yes]").wait_for()
    page.goto("/products/")
    assert answers.taken() == []

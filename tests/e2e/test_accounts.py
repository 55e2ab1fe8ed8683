"""People, keys and the first start in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.support.browsing import MARKS, SIZES, accessible, fits
from tests.support.served import Served, environment, served

pytestmark = MARKS


def test_the_example_of_a_new_key_names_this_server(page: Any, server: Served) -> None:
    page.goto("/keys/")
    page.fill("#name", f"till {page.size}")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_text(f"photo=@photo.jpg {server.url}/api/v1/recognize").wait_for()


def test_a_key_is_rotated_while_a_program_uses_it(page: Any, server: Served) -> None:
    def ask(secret: str) -> httpx.Response:
        return httpx.post(f"{server.url}/api/v1/recognize", headers={"Authorization": f"Bearer {secret}"}, content=b"")

    page.goto("/keys/")
    page.fill("#name", f"ERP {page.size}")
    page.check("#scope-3")
    page.fill("#ends", "2099-12-31")
    page.fill("#rate", "many")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_text("is no limit").wait_for()
    fits(page)
    accessible(page, "a key with a wrong limit")
    assert page.input_value("#ends") == "2099-12-31" and page.is_checked("#scope-3")
    page.fill("#rate", "600/minute")
    page.get_by_role("button", name="Make a key").click()
    first = page.inner_text("[data-key]")
    fits(page)
    page.get_by_role("link", name=f"ERP {page.size}").click()
    fits(page)
    accessible(page, "a key")
    page.get_by_role("button", name="Make a new secret").click()
    second = page.inner_text("[data-key]")
    assert page.get_by_text("The old one works meanwhile.").is_visible()
    fits(page)
    accessible(page, "a key with two secrets")
    for secret in (first, second):
        assert (ask(secret).status_code, ask(secret).headers["RateLimit-Limit"]) == (422, "600")
    page.goto("/overview/")
    page.get_by_text(f"ERP {page.size}").wait_for()
    fits(page)
    accessible(page, "the overview with a secret that ends")
    page.get_by_role("link", name=f"ERP {page.size}").click()
    page.get_by_text("End the old one …").click()
    fits(page)
    page.get_by_role("button", name="Yes, end the old secret").click()
    page.get_by_text("The old secret has ended.").wait_for()
    assert [ask(secret).status_code for secret in (first, second)] == [401, 422]


def test_somebody_is_invited_by_a_link_and_switched_off(page: Any, browser: Any, server: Served) -> None:
    name = f"berta {page.size}"
    page.goto("/people/")
    page.fill("#name", name)
    page.check("#role-viewer")
    page.get_by_role("button", name="Make a link").click()
    page.get_by_text(f"A link for {name}").wait_for()
    fits(page)
    link = page.inner_text("#secret")
    assert link.startswith(f"{server.url}/invite/")
    page.reload()
    assert page.locator("#secret").count() == 0

    theirs = browser.new_context(base_url=server.url, **SIZES[page.size]).new_page()
    theirs.goto(link)
    accessible(theirs, "an invitation")
    theirs.fill("#password", "another battery")
    theirs.get_by_role("button", name="Sign in").click()
    theirs.wait_for_url("**/products/")
    assert theirs.get_by_text("Add a product").count() == 0
    theirs.goto("/keys/")
    theirs.get_by_text("ask an admin").wait_for()
    accessible(theirs, "a refusal")

    page.get_by_role("link", name=name).click()
    accessible(page, "a person")
    page.get_by_text("Switch off …").click()
    page.get_by_role("button", name="Yes, switch off").click()
    page.get_by_text("Switched off, and signed out everywhere.").wait_for()
    theirs.goto("/products/")
    theirs.wait_for_url("**/login**")
    theirs.context.close()


def test_a_new_catalog_begins_with_a_link(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "log", environment(CATALOG_DATA=str(tmp_path / "data"))) as fresh:
        context = browser.new_context(base_url=fresh.url, **SIZES["phone"])
        page = context.new_page()
        page.goto("/")
        page.get_by_text("open the link that the server printed").wait_for()
        page.goto(fresh.first_start)
        accessible(page, "the first start")
        page.fill("#name", "anna")
        page.fill("#password", "correct horse battery")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("link", name="Add your first product").wait_for()
        fits(page)
        accessible(page, "welcome")
        page.get_by_role("link", name="Add your first product").click()
        page.wait_for_url("**/add/")
        assert page.goto(fresh.first_start).status == 404
        context.close()

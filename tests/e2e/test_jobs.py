"""Runs from their button to their end, and the photo that is missing, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.browsing import MARKS, accessible, add, fits, photo

pytestmark = MARKS


def seed(page: Any, number: int) -> int:
    return number + (10 if page.size == "phone" else 0)


def test_a_check_is_followed_to_its_end_by_the_page_itself(page: Any, tmp_path: Path) -> None:
    add(page, tmp_path, f"JOBS-{page.size}", seed(page, 501))
    page.goto("/overview/")
    with page.expect_navigation():
        page.click("text=Check now")
    page.locator("text=Check now").wait_for()  # again, when it is done
    assert page.locator("text=All is well.").count()
    fits(page)
    page.goto("/jobs/")
    page.locator(".jobs .decision.match", has_text="done").first.wait_for()
    fits(page)
    accessible(page, "jobs")
    page.click("text=Check the catalog >> nth=0")
    assert "Nothing is amiss" in page.inner_text("main")
    fits(page)
    accessible(page, "a run")


def test_examined_and_the_missing_photo_taken(page: Any, tmp_path: Path) -> None:
    sku = f"TAKE-{page.size}"
    add(page, tmp_path, sku, seed(page, 531))
    page.goto("/needs-work/")
    with page.expect_navigation():
        page.click("text=Examine now")
    page.locator("#examined ~ p small", has_text="Examined").wait_for()
    page.locator("text=Examine now").wait_for()
    fits(page)
    accessible(page, "needs work")
    link = page.locator(f'a[href^="/needs-work/{sku}/photo"]')
    for _ in range(30):  # until the background has seen that it has one photo
        if link.count():
            break
        page.wait_for_timeout(500)
        page.reload()
    link.click()
    assert "another side" in page.inner_text(".wanted-view")
    fits(page)
    accessible(page, "the photo that is missing")
    page.set_input_files("[data-camera]", photo(tmp_path, seed(page, 551)))
    page.locator(".previews img").wait_for()
    page.click("[data-submit]")
    page.locator("[data-anyway], .alert-success").first.wait_for()
    if page.locator("[data-anyway]").count():  # drawn photos are near to one another
        fits(page)
        page.click("[data-anyway]")
    page.locator("text=is kept, and found").wait_for()
    assert page.url.endswith("/needs-work/")


#: A page whose job the test says how far it is, with the scripts of every page.
FOLLOWED = """<!doctype html><details data-menu><summary>Menu</summary><form></form></details>
<span data-user>admin</span>
<div data-refresh="/jobs/one/progress">%s</div>
<script src="/static/leaving.js"></script>
<script src="/static/session.js"></script><script src="/static/layout.js"></script>
<script src="/static/jobs.js"></script>"""
AT_WORK = """<div data-open><form method="post" action="/jobs/one/stop"><input type="hidden" name="csrf_token">
<button id="stop">Stop</button></form></div>"""


def test_a_click_is_sent_though_the_page_follows_meanwhile(page: Any) -> None:
    looks, sent = [], []

    def told(route: Any) -> None:
        looks.append(route.request.url)
        route.fulfill(body=AT_WORK)

    def stopped(route: Any) -> None:
        sent.append(route.request.method)
        route.fulfill(body="stopped", content_type="text/html")

    page.route("**/jobs/one/", lambda route: route.fulfill(body=FOLLOWED % AT_WORK, content_type="text/html"))
    page.route("**/jobs/one/progress", told)
    page.route("**/jobs/one/stop", stopped)
    held: list[Any] = []
    page.route("**/session", lambda route: held.append(route))  # it is slow
    page.goto("/jobs/one/")
    page.click("#stop")
    while len(looks) < 2:
        page.wait_for_timeout(100)
    held[0].fulfill(json={"name": "admin", "csrf_token": "x"})
    page.locator("text=stopped").wait_for()
    assert sent == ["POST"]


def test_a_page_at_rest_is_left_as_it_is(page: Any) -> None:
    looks = []
    over = "<div><details open><summary>What it found</summary>much</details></div>"
    page.route("**/jobs/one/", lambda route: route.fulfill(body=FOLLOWED % over, content_type="text/html"))
    page.route("**/jobs/one/progress", lambda route: (looks.append(route), route.fulfill(body=over)))
    page.clock.install()
    page.goto("/jobs/one/")
    page.clock.run_for(60_000)
    assert looks == [] and page.locator("details[open]").count() == 1

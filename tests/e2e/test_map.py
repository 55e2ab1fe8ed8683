"""The gallery map in a real browser: made, looked at by mouse, touch and keys, filtered, and read as lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog.catalog import Catalog
from catalog.config import Settings
from tests.support import pictures
from tests.support.browsing import MARKS, accessible, fits
from tests.support.maps import fill
from tests.support.margins import APPLE, APPLE_1, APPLE_2, PEAR, PEAR_1, PEAR_2, put
from tests.support.served import Served, environment, served

pytestmark = MARKS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Of a catalog with two products that look alike, among others."""
    folder = tmp_path_factory.mktemp("map")
    with closing(Catalog.open(Settings.from_env({"CATALOG_DATA": str(folder / "data")}))) as catalog:
        fill(catalog, 30, shown=True)
        put(catalog, APPLE, (APPLE_1, APPLE_2), pictures=[pictures.jpeg(9001), pictures.jpeg(9002)])
        put(catalog, PEAR, (PEAR_1, PEAR_2), pictures=[pictures.jpeg(9003), pictures.jpeg(9004)])
    with served(folder / "log", environment(CATALOG_DATA=str(folder / "data"))) as running:
        yield running


def open_map(page: Any) -> Any:
    """The page with a map, made if it wasn't yet; its canvas."""
    page.goto("/map/")
    if page.get_by_role("button", name="Make the map").count():
        page.get_by_role("button", name="Make the map").click()
        page.get_by_text("The map is being made").first.wait_for()
    page.locator("[data-map][data-ready]").wait_for(timeout=90_000)
    page.wait_for_function("document.querySelector('[data-map] canvas').dataset.drawn > 0")
    canvas = page.locator("[data-map] canvas").first
    canvas.scroll_into_view_if_needed()
    return canvas


def ink(page: Any) -> int:
    """How many pixels of the canvas are drawn upon."""
    count: int = page.evaluate(
        """() => { const canvas = document.querySelector(".map-frame canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let drawn = 0; for (let i = 3; i < data.length; i += 4) drawn += data[i] > 0; return drawn; }"""
    )
    return count


def settle(page: Any) -> None:
    """Wait until what was to be drawn is drawn: a frame that was asked for comes before the next two."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def after(page: Any, act: Any) -> None:
    """Do something, and wait until the map is drawn anew."""
    settle(page)
    drawn = page.locator(".map-frame canvas").get_attribute("data-drawn")
    act()
    page.wait_for_function("(n) => document.querySelector('.map-frame canvas').dataset.drawn !== n", arg=drawn)
    settle(page)


def test_the_map_shows_all_photos_and_fits(page: Any) -> None:
    open_map(page)
    assert "94 photos" in page.locator(".page-head").inner_text()
    assert ink(page) > 94 * 10
    fits(page)
    accessible(page, "/map/")
    legend = page.locator(".map-legend li").all_inner_texts()
    wanted = ["Category 0 (30)", "Category 1 (30)", "Category 2 (30)", "No category (4)"]
    assert [text.strip() for text in legend] == wanted


def test_a_photo_is_chosen_by_keys(page: Any) -> None:
    canvas = open_map(page)
    canvas.focus()
    page.keyboard.press("ArrowRight")
    card = page.locator("[data-card]")
    first = card.locator("a").first.inner_text()
    assert first.startswith("Name of ")
    assert card.locator("img").get_attribute("src").endswith("/thumbnail")
    seen = {card.locator("img").get_attribute("src")}
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        for _ in range(4):
            page.keyboard.press(key)
            seen.add(card.locator("img").get_attribute("src"))
    assert len(seen) > 8, "each key goes on to another photo"
    accessible(page, "/map/, a photo chosen")
    last = card.locator("a").first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/products/*")
    assert last in page.locator("h1").inner_text()


def test_zooming_by_keys_buttons_and_wheel(page: Any) -> None:
    canvas = open_map(page)
    whole = ink(page)
    canvas.focus()
    after(page, lambda: [page.keyboard.press("+") for _ in range(12)])
    assert ink(page) < whole, "fewer photos are in view"
    after(page, lambda: page.keyboard.press("0"))
    assert ink(page) == whole
    after(page, lambda: page.get_by_role("button", name="Zoom in").click())
    assert ink(page) != whole
    after(page, lambda: page.get_by_role("button", name="Show all photos").click())
    assert ink(page) == whole
    if page.size == "laptop":
        canvas.hover()
        after(page, lambda: page.mouse.wheel(0, -1500))
        assert ink(page) < whole


def test_a_product_leads_to_its_place_on_the_map(page: Any) -> None:
    open_map(page)
    page.goto(f"/products/{PEAR}")
    fits(page)
    page.get_by_role("link", name="On the map").click()
    card = page.locator("[data-card]")
    card.get_by_text(f"Name of {PEAR}").first.wait_for()
    page.goto("/map/")  # of a photo that is on no map
    page.goto(f"/map/#{'a' * 64}")
    card.get_by_text("This photo is not on the map yet").wait_for()
    page.goto("/needs-work/")
    fits(page)
    page.get_by_role("link", name="On the map").first.click()  # that of the most urgent one
    card.get_by_text(f"Name of {PEAR}").first.wait_for()


def test_a_photo_of_the_list_is_shown_on_the_map_and_found_there_by_a_tap(page: Any) -> None:
    canvas = open_map(page)
    row = page.locator(".map-table tbody tr").first
    assert f"Name of {PEAR}" in row.inner_text() and f"Name of {APPLE}" in row.inner_text()
    row.locator("[data-jump]").first.click()
    card = page.locator("[data-card]")
    card.get_by_text(f"Name of {PEAR}").first.wait_for()
    assert f"The product looks like Name of {APPLE}" in card.inner_text()
    assert "Nearer to another product" in card.inner_text()
    canvas.focus()
    page.keyboard.press("Escape")
    assert card.inner_text() == "Choose a point to see its photo."
    row.locator("[data-jump]").first.click()
    card.get_by_text(f"Name of {PEAR}").first.wait_for()
    assert card.locator("bdi").count() > 1
    canvas.focus()
    page.keyboard.press("Escape")
    box = canvas.bounding_box()
    middle = {"x": box["width"] / 2, "y": box["height"] / 2}
    if page.size == "phone":
        canvas.tap(position=middle)
    else:
        canvas.click(position=middle)
    card.get_by_text(f"Name of {PEAR}").first.wait_for()


def test_dragging_and_pinching(page: Any) -> None:
    canvas = open_map(page)
    before = page.evaluate("document.querySelector('.map-frame canvas').toDataURL()")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    if page.size == "laptop":
        page.mouse.move(x, y)
        page.mouse.down()
        after(page, lambda: page.mouse.move(x + 80, y + 40, steps=4))
        page.mouse.up()
    else:
        touch = page.context.new_cdp_session(page)

        def fingers(kind: str, apart: float) -> None:
            points = [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [] if kind == "touchEnd" else points})

        fingers("touchStart", 20)
        after(page, lambda: [fingers("touchMove", apart) for apart in (40, 70, 110)])
        fingers("touchEnd", 110)
    assert page.evaluate("document.querySelector('.map-frame canvas').toDataURL()") != before
    fits(page)


def test_words_category_and_those_apart_narrow_it(page: Any) -> None:
    open_map(page)
    found = page.locator("[data-found]")
    page.fill("[data-words]", "name OF s0-07")
    page.wait_for_function("document.querySelector('[data-found]').textContent.startsWith('3 of 94')")
    page.fill("[data-words]", "")
    page.select_option("[data-category]", label="Category 1")
    assert found.inner_text() == "30 of 94 photos"
    page.check("[data-only]")
    assert found.inner_text() == "0 of 94 photos"
    page.select_option("[data-category]", label="All")
    assert found.inner_text() == "1 of 94 photos"


def test_without_a_script_the_lists_say_the_same(
    browser: Any, server: Served, session: dict[str, Any], page: Any
) -> None:
    open_map(page)
    plain = browser.new_context(base_url=server.url, storage_state=session, java_script_enabled=False)
    other = plain.new_page()
    other.goto("/map/")
    assert not other.locator("[data-map]").is_visible()
    assert f"Name of {PEAR}" in other.locator(".map-table").inner_text()
    other.get_by_role("link", name="Photos that lie apart (1)").click()
    assert "Nearer to another product (0.85)" in other.locator(".map-table").inner_text()
    other.get_by_role("button", name="Lay out anew").click()
    assert "The map is being made" in other.locator("main").inner_text()
    other.get_by_role("button", name="Stop").click()
    for _ in range(60):
        other.goto("/map/")
        if other.get_by_role("button", name="Lay out anew").count():
            break
        other.wait_for_timeout(500)
    assert other.get_by_role("button", name="Lay out anew").is_visible()
    plain.close()

"""Products in a real browser: the list, a product's photos, deleting, merging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import pictures
from tests.support.browsing import MARKS, accessible, add, fits, keep, make_key, photo
from tests.support.served import Served

pytestmark = MARKS


def test_products_are_found_ticked_changed_and_put_back(page: Any, tmp_path: Path) -> None:
    """The list as a person uses it; axe-core looks at each state."""
    brand, seed = f"Ünïque {page.size}", 710 if page.size == "phone" else 720
    for number in range(2):
        page.goto("/add/")
        page.set_input_files("[data-choose]", photo(tmp_path, seed + number))
        page.fill("#sku", f"LIST-{page.size}-{number}")
        page.fill("#brand", brand)
        keep(page)
    page.goto("/products/")
    page.click("text=Filters and order")
    page.select_option("#by-brand", brand)
    page.select_option("#by-sort", "newest")
    page.click("text=Show")
    assert page.url.endswith("&sort=newest") and "search=" not in page.url and page.locator("[name=sku]").count() == 2
    fits(page)
    accessible(page, "a filtered list")
    page.click("text=Table")
    page.get_by_role("button", name="Tick all", exact=True).click()
    assert page.inner_text("[data-ticked]") == "2 ticked"
    fits(page)
    accessible(page, "the table, ticked")
    page.click("text=Change ticked")
    page.fill("#add_labels", f"shelf {page.size}")
    fits(page)
    accessible(page, "the form for many")
    page.click("button:has-text('Change 2 products')")
    page.locator("text=2 products changed.").wait_for()
    accessible(page, "changed")
    page.click("text=Undo")
    page.locator("text=Undone: 2 products as before.").wait_for()
    page.fill("[name=search]", f"list-{page.size} uniqeu")  # not as it is spelled
    page.press("[name=search]", "Enter")
    assert "2 found, some by forgiving typing errors" in page.inner_text(".found")
    page.click("text=Search by a photo")
    page.set_input_files("[data-choose]", photo(tmp_path, seed + 1))
    page.locator(".matches li").first.wait_for()
    assert f"LIST-{page.size}-1" in page.locator(".matches li").first.inner_text()
    fits(page)
    accessible(page, "products like a photo")


@pytest.fixture(scope="module")
def many(browser: Any, server: Served, session: dict[str, Any]) -> str:
    """Products of more than one page, all of this brand."""
    context = browser.new_context(base_url=server.url, storage_state=session)
    page = context.new_page()
    key = make_key(page, "maker of many")
    context.close()
    for number in range(50):
        photo_of = pictures.jpeg(8000 + number, (120, 90))
        made = httpx.post(
            f"{server.url}/api/v1/products",
            data={"sku": f"MANY-{number:02}", "brand": "Many"},
            files={"photos": (f"{number}.jpg", photo_of)},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )
        assert made.status_code == 201
    return "Many"


def test_ranges_are_ticked_counted_and_kept_on_other_pages(page: Any, many: str) -> None:
    page.goto(f"/products/?brand={many}")
    boxes = page.locator("[name=sku]:not([type=hidden])")
    said = page.locator("[data-ticked]")
    assert boxes.count() == 48 and said.get_attribute("role") == "status" and said.inner_text() == ""
    boxes.nth(3).click()
    boxes.nth(9).click(modifiers=["Shift"])
    assert said.inner_text() == "7 ticked"
    boxes.nth(7).click()
    boxes.nth(5).click(modifiers=["Shift"])  # unticks 5, 6 and 7
    assert said.inner_text() == "4 ticked"
    boxes.nth(3).focus()
    page.keyboard.press("Space")
    assert said.inner_text() == "3 ticked"
    page.click("a[rel=next]")
    page.wait_for_url("**after=**")
    assert said.inner_text() == "3 ticked, 3 on other pages" and boxes.count() == 2
    boxes.first.check()
    assert said.inner_text() == "4 ticked, 3 on other pages"
    fits(page)
    accessible(page, "ticked on two pages")
    page.reload()
    assert boxes.first.is_checked() and said.inner_text() == "4 ticked, 3 on other pages"
    page.goto("/products/")
    assert said.inner_text() == "", "another list"
    page.goto(f"/products/?sort=newest&brand={many}&view=table")
    assert said.inner_text().startswith("4 ticked"), "the same in another order"
    page.get_by_role("button", name="Change ticked").click()
    page.locator("h1", has_text="Change 4 products").wait_for()
    page.go_back()
    page.get_by_role("button", name="Untick all").click()
    assert said.inner_text() == "" and page.locator("[name=sku]:checked").count() == 0
    page.get_by_role("button", name="Tick all", exact=True).click()
    assert said.inner_text() == "48 ticked"
    page.get_by_role("button", name="Change ticked").click()
    page.fill("#add_labels", f"many {page.size}")
    page.get_by_role("button", name="Change 48 products").click()
    page.get_by_text("48 products changed.").wait_for()
    assert said.inner_text() == "", "done"


def test_photos_of_a_product_are_chosen_by_ranges(page: Any, tmp_path: Path) -> None:
    sku = f"RANGE-{page.size}"
    add(page, tmp_path, sku, *(range(8101, 8105) if page.size == "phone" else range(8111, 8115)))
    page.goto(f"/products/{sku}")
    boxes = page.locator("input[name=photo]")
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    assert page.inner_text(".chosen .hint") == "Chosen photos (3):"
    assert boxes.nth(1).is_checked() and not boxes.nth(3).is_checked()
    fits(page)
    page.locator(".chosen").get_by_role("button", name="Delete").click()
    page.get_by_text("3 photos are deleted").wait_for()
    assert page.inner_text(".chosen .hint") == "Chosen photos:"


def test_what_counts_of_a_photo_is_drawn_with_the_pointer(page: Any, tmp_path: Path) -> None:
    sku = f"CROP-{page.size}"
    add(page, tmp_path, sku, 5001 if page.size == "phone" else 5002)
    page.goto(f"/products/{sku}")
    page.click(".photos a")
    area = page.locator("[data-overlay]").bounding_box()

    def drag(*places: tuple[float, float]) -> None:
        points = [(area["x"] + area["width"] * x, area["y"] + area["height"] * y) for x, y in places]
        page.mouse.move(*points[0])
        page.mouse.down()
        page.mouse.move(*points[1], steps=4)
        page.mouse.up()

    def edges() -> list[float]:
        return [float(page.input_value(f"#{edge}")) for edge in ("left", "top", "right", "bottom")]

    drag((0.8, 0.7), (0.3, 0.2))  # a new part, from any corner
    assert edges() == pytest.approx([30, 20, 80, 70], abs=1)
    drag((0.5, 0.5), (0.6, 0.5))  # all of it
    assert edges() == pytest.approx([40, 20, 90, 70], abs=1)
    drag((0.4, 0.2), (0.2, 0.1))  # a corner
    assert edges() == pytest.approx([20, 10, 90, 70], abs=1)
    page.fill("#bottom", "90")
    assert float(page.get_attribute("[data-overlay] rect", "height")) == pytest.approx(80, abs=1)
    fits(page)
    page.get_by_role("button", name="Crop").click()
    page.get_by_text("Only that part counts now.").wait_for()
    width, height = (int(page.get_attribute(".cropper img", name)) for name in ("width", "height"))
    assert (width, height) == (pytest.approx(224, abs=4), pytest.approx(192, abs=4))
    page.get_by_role("button", name="The whole photo again").click()
    page.get_by_text("The whole photo is back.").wait_for()
    (tmp_path / "broken.jpg").write_bytes(b"no picture at all")
    page.set_input_files("[data-choose]", tmp_path / "broken.jpg")
    page.get_by_role("button", name="Replace").click()
    page.get_by_role("alert").filter(has_text="broken.jpg").wait_for()
    page.set_input_files("[data-choose]", photo(tmp_path, 5003))
    page.get_by_role("button", name="Replace").click()
    page.get_by_text("Replaced. The old photo is in the bin.").wait_for()


def test_a_photo_is_moved_to_a_product_that_is_searched(page: Any, tmp_path: Path) -> None:
    sku, other = f"MOVE-{page.size}", f"TARGET-{page.size}"
    seed = 5010 if page.size == "phone" else 5020
    add(page, tmp_path, other, seed)
    add(page, tmp_path, sku, seed + 1, seed + 2)
    page.goto(f"/products/{sku}")
    assert page.get_by_role("button", name="Move to another product").is_disabled(), "no photo is chosen"
    page.check("input[name=photo] >> nth=1")
    page.get_by_role("button", name="Move to another product").click()
    page.fill("[type=search]", other)
    page.keyboard.press("Enter")
    page.wait_for_url("**search=**")
    fits(page)
    accessible(page, "the search for another product")
    page.get_by_role("button", name=f"Move to {other}").click()
    page.get_by_text(f"The photo is with {other} now.").wait_for()
    assert page.locator(".photos img").count() == 1
    fits(page)


def test_a_product_is_deleted_and_that_is_undone(page: Any, tmp_path: Path) -> None:
    sku, seed = (f"UNDO-{page.size}", 5030 if page.size == "phone" else 5040)
    add(page, tmp_path, sku, seed)
    page.goto(f"/products/{sku}")
    page.fill("#new_labels", "store 12, bakery")
    page.keyboard.press("Enter")
    page.fill("[name=attribute] >> nth=0", "size")
    page.fill("[name=value] >> nth=0", "330 ml")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    fits(page)
    page.get_by_text("Delete this product").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("button", name="Undo").wait_for()
    fits(page)
    accessible(page, "the message with Undo")
    with page.context.new_page() as other:
        other.goto("/bin/")
        accessible(other, "the bin")
        fits(other)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(f"{sku} is back, with 1 photo.").wait_for()
    assert page.locator(".chips input").evaluate_all("all => all.map((each) => each.value)") == ["bakery", "store 12"]
    assert page.input_value("[name=value] >> nth=0") == "330 ml"
    assert page.locator(".state.ok").count() == 1
    page.goto("/try/")
    page.set_input_files("[data-choose]", photo(tmp_path, seed))
    page.locator("[data-done]").wait_for()
    assert page.locator(".matches li a").first.inner_text() == sku


def test_what_is_in_the_bin_is_deleted_for_good_after_a_question(page: Any, tmp_path: Path) -> None:
    sku = f"GOOD-{page.size}"
    add(page, tmp_path, sku, 8201 if page.size == "phone" else 8202)
    page.goto(f"/products/{sku}")
    page.get_by_text("Delete this product").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text(f"The product {sku} is deleted").wait_for()
    page.goto("/bin/")
    entry = page.locator(".binned", has_text=sku)
    entry.locator("summary").click()
    fits(page)
    accessible(page, "the bin, asking")
    entry.get_by_role("button", name="Yes, delete for good").click()
    page.get_by_text("It is deleted for good.").wait_for()
    assert page.locator(".binned", has_text=sku).count() == 0
    page.goto("/audit/")
    assert f"{sku}: Deleted for good from the bin" in page.inner_text(".log")
    fits(page)


def test_a_list_is_gone_through_from_product_to_product(page: Any, many: str) -> None:
    page.goto(f"/products/?brand={many}&view=table")
    page.locator(".products tbody a").nth(1).click()
    heading = page.locator("h1")
    heading.get_by_text("MANY-01").wait_for()
    fits(page)
    accessible(page, "a product in a list")
    page.get_by_role("link", name="Next product").click()
    heading.get_by_text("MANY-02").wait_for()
    page.fill("#name", f"MANY-02 {page.size}")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    page.get_by_role("link", name="Next product").click()
    heading.get_by_text("MANY-03").wait_for()
    page.get_by_role("link", name="Previous product").click()
    heading.get_by_text("MANY-02").wait_for()
    page.get_by_role("link", name="Back to the list").click()
    page.wait_for_url(f"**/products/?brand={many}&view=table")


def test_two_products_are_merged_by_choosing_what_stays(page: Any, tmp_path: Path) -> None:
    one, other = f"ONE-{page.size}", f"OTHER-{page.size}"
    seed = 4101 if page.size == "phone" else 4102
    for sku, name in ((one, "Tea in tins"), (other, "Tea")):
        page.goto("/add/")
        page.set_input_files("[data-choose]", photo(tmp_path, seed))
        page.fill("#sku", sku)
        page.fill("#name", name)
        keep(page)
    page.click("[data-done] >> text=Merge them")
    page.locator("[data-preview]").wait_for()
    fits(page)
    assert "Tea in tins" in page.inner_text("[data-preview]")
    page.get_by_role("radio", name="Tea", exact=True).check()
    page.get_by_role("radio", name=other, exact=True).check()
    page.get_by_role("button", name=f"Merge into {other}").wait_for()
    assert "Tea in tins" not in page.inner_text("[data-preview]")
    page.get_by_role("button", name=f"Merge into {other}").click()
    page.wait_for_url(f"**/products/{other}")
    assert page.inner_text("h1") == "Tea" and "one product now" in page.inner_text("[role=status]")
    assert page.goto(f"/products/{one}").status == 404
    page.goto("/duplicates/")
    fits(page)
    assert page.locator("h1").count() == 1

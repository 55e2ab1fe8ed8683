"""Adding a product in a real browser, at two widths: questions, barcodes, drops, and nothing that is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import bars, pictures
from tests.support.browsing import MARKS, drop, fits, keep, photo
from tests.support.served import Served

pytestmark = MARKS


def test_a_photo_is_questioned_before_it_is_kept(page: Any, tmp_path: Path) -> None:
    dark = tmp_path / "dark.jpg"
    dark.write_bytes(pictures.encode(pictures.picture(91).point(lambda value: value * 0.2)))
    sku = f"DARK-{page.size}"
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 92), dark])
    page.fill("#sku", sku)
    page.click("[data-submit]")
    page.locator("[data-anyway]").wait_for()
    assert "dark.jpg: It is too dark" in page.inner_text("[data-questions]")
    fits(page)
    page.click("[aria-label='Remove dark.jpg']")  # the question goes with its photo
    assert page.locator("[data-anyway]").count() == 0 and page.locator(".drop .previews img").count() == 1
    assert page.goto(f"/products/{sku}").status == 404, "nothing was kept"
    page.goto("/add/")
    page.set_input_files("[data-choose]", dark)
    page.fill("#sku", sku)
    keep(page)
    assert "It is too dark" in page.inner_text("[data-done]")
    page.goto(f"/products/{sku}")
    assert "too dark" in page.locator(".state.wait").all_inner_texts()
    fits(page)


def test_add_a_product_and_try_it(page: Any, tmp_path: Path) -> None:
    sku = f"E2E-{page.size}"
    seed = 10 if page.size == "phone" else 20
    page.goto("/add/")
    files = [photo(tmp_path, seed + i) for i in range(3)]
    page.set_input_files("[data-choose]", files[:2])
    page.set_input_files("[data-choose]", files[2])  # a second choice adds to the first
    page.locator(".previews img").nth(2).wait_for()
    fits(page)
    page.fill("#sku", sku)
    page.fill("#name", "A drawn product")
    keep(page)
    page.locator("[data-done]").wait_for()
    assert page.locator(".state.ok").count() == 3
    assert "searchable" in page.inner_text("[data-done] h2") and " ms" in page.inner_text("[data-done]")
    fits(page)

    page.goto("/try/")
    page.set_input_files("[data-choose]", photo(tmp_path, seed))
    page.locator("[data-done]").wait_for()
    assert page.locator(".matches li a").first.inner_text() == f"A drawn product {sku}"
    fits(page)

    page.goto(f"/products/?search={sku}")
    page.click(".tile")
    page.wait_for_url(f"**/products/{sku}?list=**")
    assert page.locator(".photos .state.ok").count() == 3
    fits(page)


def test_a_barcode_that_was_read_is_kept_by_a_click(page: Any, tmp_path: Path) -> None:
    number, typed = (bars.EAN13, bars.EAN8) if page.size == "phone" else (bars.OTHER, bars.UPCA)
    (tmp_path / "pack.jpg").write_bytes(bars.photo(71, number))
    page.goto("/add/")
    page.set_input_files("[data-choose]", tmp_path / "pack.jpg")
    page.fill("#sku", f"BARCODE-{page.size}")
    page.fill("#barcode", typed)
    keep(page)
    page.locator(".offer").wait_for()
    assert number in page.inner_text(".offer")
    fits(page)
    page.click(".offer button")
    page.wait_for_url(f"**/products/BARCODE-{page.size}*")
    assert sorted(page.locator(".barcodes code").all_inner_texts()) == sorted([number, typed])
    fits(page)
    page.on("dialog", lambda dialog: dialog.accept())
    page.click(f"[aria-label='Remove {typed}']")
    page.locator(".barcodes li").nth(1).wait_for(state="detached")
    assert page.locator(".barcodes code").all_inner_texts() == [number]


def test_a_removed_preview_is_not_sent(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 31), photo(tmp_path, 32)])
    page.click("[aria-label='Remove 31.jpg']")
    page.fill("#sku", f"REMOVED-{page.size}")
    keep(page)
    page.locator("[data-done]").wait_for()
    assert page.locator("[data-done] .previews img").count() == 1


def test_photos_can_be_dropped(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    drop(page, photo(tmp_path, 41))
    page.locator(".previews img").wait_for()
    page.fill("#sku", f"DROPPED-{page.size}")
    keep(page)
    assert page.locator("[data-done] .state.ok").inner_text().startswith("✓ searchable in ")


def test_a_large_photo_is_made_smaller_before_it_is_sent(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    with page.expect_request("**/uploads/") as sent:
        page.set_input_files("[data-choose]", photo(tmp_path, 51, (4000, 3000)))
    page.fill("#sku", f"LARGE-{page.size}")
    keep(page)
    page.locator("[data-done]").wait_for()
    whole = (tmp_path / "51.jpg").stat().st_size
    assert int(sent.value.all_headers()["content-length"]) < whole


def test_a_broken_photo_is_told_and_nothing_typed_is_lost(page: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture at all")
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 61), broken])
    page.fill("#sku", f"BROKEN-{page.size}")
    page.click("[data-submit]")
    page.locator("[data-problem]").wait_for()
    assert "broken.jpg" in page.inner_text("[data-problem]")
    assert page.input_value("#sku") == f"BROKEN-{page.size}" and page.locator(".drop .previews img").count() == 2
    page.click("[aria-label='Remove broken.jpg']")
    keep(page)
    page.locator("[data-done]").wait_for()


def test_a_phone_offers_its_camera(page: Any) -> None:
    page.goto("/add/")
    assert page.locator(".camera").is_visible() == (page.size == "phone")
    assert page.get_attribute("[data-camera]", "capture") == "environment"


def test_what_was_chosen_and_typed_outlives_the_session(page: Any, server: Served, tmp_path: Path) -> None:
    sku = f"AGAIN-{page.size}"
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 51))
    page.fill("#sku", sku)
    page.context.clear_cookies()
    page.click("[data-submit]")
    page.locator("dialog[open]").wait_for()
    assert page.input_value("#again-name") == "admin"
    fits(page)
    page.fill("#again-password", "not the password")
    page.click("dialog .btn-primary")
    page.get_by_text("Name or password is wrong.").wait_for()
    page.fill("#again-password", server.password)
    page.click("dialog .btn-primary")
    page.locator("[data-done], [data-anyway]").first.wait_for()
    if page.locator("[data-anyway]").count():
        page.click("[data-anyway]")
        page.locator("[data-done]").wait_for()
    assert page.goto(f"/products/{sku}").status == 200


def test_a_closed_tab_loses_nothing(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 52), photo(tmp_path, 53)])
    page.fill("#sku", "DRAFT")
    page.locator(".previews img").nth(1).wait_for()
    page.fill("#brand", "Acme")
    page.locator("form[data-kept=yes]").wait_for()
    page.goto("/products/")
    page.goto("/add/")
    page.locator(".draft").wait_for()
    page.locator(".previews img").nth(1).wait_for()
    assert (page.input_value("#sku"), page.input_value("#brand")) == ("DRAFT", "Acme")
    fits(page)
    page.click("text=Begin anew")
    assert page.input_value("#sku") == "" and page.locator(".previews img").count() == 0
    page.locator("form[data-draft]:not([data-kept])").wait_for()
    page.wait_for_timeout(500)
    page.goto("/add/")
    page.wait_for_timeout(300)
    assert page.locator(".draft").count() == 0
    page.set_input_files("[data-choose]", photo(tmp_path, 57))
    page.fill("#sku", f"DRAFT-{page.size}")
    page.locator("form[data-kept=yes]").wait_for()
    keep(page)
    page.goto("/products/")  # which hides the page
    page.goto("/add/")
    page.wait_for_timeout(300)
    assert page.locator(".draft").count() == 0 and page.input_value("#sku") == ""


def test_all_that_is_wrong_is_named_at_once_where_it_is(page: Any, tmp_path: Path) -> None:
    sku = f"WRONG-{page.size}"
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "other.png").write_bytes(b"")
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 54), tmp_path / "text.jpg", tmp_path / "other.png"])
    page.fill("#sku", sku)
    page.click("[data-submit]")
    page.locator("[data-problem] li").nth(1).wait_for()
    assert "text.jpg" in page.inner_text("[data-problem]") and "other.png" in page.inner_text("[data-problem]")
    fits(page)
    page.click("[data-problem] button")
    assert page.locator(".drop .previews li").count() == 1
    keep(page)
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 55))
    page.fill("#sku", sku)
    page.click("[data-submit]")
    page.locator("#sku-problem").wait_for()
    assert page.get_attribute("#sku", "aria-invalid") == "true" and sku in page.inner_text("#sku-problem")
    page.fill("#sku", f"{sku}-2")
    assert page.locator("#sku-problem").count() == 0


def test_an_avif_is_kept_and_one_of_a_phone_becomes_a_smaller_jpeg(page: Any, tmp_path: Path) -> None:
    for name, seed, size in (("pack", 56, (320, 240)), ("phone", 57, (2_500, 1_500))):
        pictures.picture(seed, size).save(tmp_path / f"{name}.avif")
    page.goto("/add/")
    page.set_input_files("[data-choose]", [tmp_path / "pack.avif", tmp_path / "phone.avif"])
    page.fill("#sku", f"AVIF-{page.size}")
    keep(page)
    kept = page.locator("[data-done] .previews img")
    assert [kept.nth(place).get_attribute("alt") for place in range(2)] == ["pack.avif", "phone.jpg"]
    for place in range(2):
        assert kept.nth(place).evaluate("async (one) => { await one.decode(); return one.naturalWidth; }") > 0


def test_photos_are_sent_one_by_one_while_the_rest_is_typed(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 61), photo(tmp_path, 62)])
    page.locator(".previews li.sent").nth(1).wait_for()
    fits(page)
    page.fill("#sku", f"EARLY-{page.size}")
    with page.expect_request("**/add/") as sent:
        keep(page)
    page.locator("[data-done]").wait_for()
    assert int(sent.value.all_headers()["content-length"]) < 3_000
    assert page.locator("[data-done] .state.ok").count() == 2


def test_a_photo_that_could_not_be_sent_is_sent_again(page: Any, tmp_path: Path) -> None:
    page.route("**/uploads/", lambda route: route.abort())
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 63))
    again = page.locator(".previews button", has_text="Send again")
    again.wait_for()  # it was tried three times in four seconds
    assert again.get_attribute("aria-label") == "Send 63.jpg again"
    fits(page)
    page.fill("#sku", f"UNSENT-{page.size}")
    page.click("[data-submit]")
    page.locator("[data-problem]").wait_for()
    assert "Nothing is lost" in page.inner_text("[data-problem]")
    page.unroute("**/uploads/")
    again.click()
    page.locator(".previews li.sent").wait_for()
    keep(page)
    assert page.locator("[data-done] .state.ok").count() == 1


def test_sending_is_cancelled_and_goes_on(page: Any, tmp_path: Path) -> None:
    waiting: list[Any] = []
    page.route("**/uploads/", lambda route: waiting.append(route))
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(tmp_path, 64), photo(tmp_path, 65)])
    page.locator(".previews progress").wait_for()
    page.fill("#sku", f"CANCELLED-{page.size}")
    page.click("[data-submit]")
    page.click("text=Cancel")
    page.locator("[data-problem]").wait_for()
    assert page.inner_text("[data-problem]").startswith("Cancelled.")
    assert page.locator(".previews progress").count() == 0
    page.locator("form[data-kept=yes]").wait_for()
    assert page.goto(f"/products/CANCELLED-{page.size}").status == 404
    page.unroute("**/uploads/")
    page.goto("/add/")
    page.locator(".previews li.sent").nth(1).wait_for()  # the draft
    keep(page)
    assert page.locator("[data-done] .state.ok").count() == 2


def test_a_photo_that_the_server_no_longer_has_is_brought_by_the_form(page: Any, tmp_path: Path) -> None:
    bodies: list[str] = []

    def forget(route: Any) -> None:
        """As hours later, or with a clock that is wrong: no id is good, the second time either."""
        route.fulfill(status=201, json={"id": "00000000-0000-4000-8000-000000000000"})

    page.route("**/uploads/", forget)
    page.on(
        "request",
        lambda request: (
            bodies.append(request.url) if request.url.endswith("/add/") and request.method == "POST" else None
        ),
    )
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 66))
    page.locator(".previews li.sent").wait_for()
    page.fill("#sku", f"LOST-{page.size}")
    keep(page)
    assert page.locator("[data-done] .state.ok").count() == 1
    assert len(bodies) in (2, 4), "named, then brought; and both once more where there was a question"

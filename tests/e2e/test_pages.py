"""The staff's pages in a real browser, at the width of a laptop and of a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.support import bars, pictures
from tests.support.served import Served, environment, served

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright (extra `dev`) is not installed")
from axe_playwright_python.sync_playwright import Axe

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

SIZES = {
    "laptop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("e2e")
    with served(folder / "log", environment(CATALOG_DATA=str(folder / "data"))) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    # No request leaves the machine: Chromium's own background services are off.
    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*quiet, "--disable-component-update", "--disable-sync"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def session(browser: Any, server: Served) -> dict[str, Any]:
    """The cookies of a person who signed in."""
    return signed_in(browser, server)


def signed_in(browser: Any, server: Served) -> dict[str, Any]:
    """The cookies of a new session."""
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/")
    page.fill("#name", "admin")
    page.fill("#password", server.password)
    page.click("button")
    page.wait_for_url("**/products/")
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


@pytest.fixture(params=SIZES)
def page(request: pytest.FixtureRequest, browser: Any, server: Served, session: dict[str, Any]) -> Iterator[Any]:
    """Signed in; at the end the console must be free of errors."""
    context = browser.new_context(base_url=server.url, storage_state=session, **SIZES[request.param])
    page = context.new_page()
    page.set_default_timeout(30_000)
    errors: list[str] = []
    expected = "Failed to load resource"  # Chromium's own line for a 4xx reply, which some tests provoke
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" and expected not in m.text else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.size = request.param
    yield page
    context.close()
    assert errors == []


def photo(folder: Path, seed: int, size: tuple[int, int] = (320, 240)) -> Path:
    path = folder / f"{seed}.jpg"
    path.write_bytes(pictures.jpeg(seed, size))
    return path


def fits(page: Any) -> None:
    """Nothing sticks out at the side."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def keep(page: Any) -> None:
    """Send, and save anyway where a photo has warnings: drawn ones are near to one another."""
    page.click("[data-submit]")
    page.locator("[data-done], [data-anyway]").first.wait_for()
    if page.locator("[data-anyway]").count():
        fits(page)
        page.click("[data-anyway]")
        page.locator("[data-done]").wait_for()


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
    assert page.locator(".matches li a").first.inner_text() == "A drawn product"
    fits(page)

    page.goto(f"/products/?search={sku}")
    page.click(".tile")
    page.wait_for_url(f"**/products/{sku}")
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
    data = list(photo(tmp_path, 41).read_bytes())
    page.evaluate(
        """(data) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(data)], "dropped.jpg", { type: "image/jpeg" }));
          document.querySelector("[data-photos]").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
        }""",
        data,
    )
    page.locator(".previews img").wait_for()
    page.fill("#sku", f"DROPPED-{page.size}")
    keep(page)
    assert page.locator("[data-done] .state.ok").inner_text().startswith("✓ searchable in ")


def test_a_large_photo_is_made_smaller_before_it_is_sent(page: Any, tmp_path: Path) -> None:
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 51, (4000, 3000)))
    page.fill("#sku", f"LARGE-{page.size}")
    with page.expect_request("**/add/") as sent:
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


def test_what_the_browser_reads_and_the_server_does_not_is_sent_as_jpeg(page: Any, tmp_path: Path) -> None:
    pictures.picture(56, (320, 240)).save(tmp_path / "pack.avif")
    page.goto("/add/")
    page.set_input_files("[data-choose]", tmp_path / "pack.avif")
    page.fill("#sku", f"AVIF-{page.size}")
    keep(page)
    assert page.get_attribute("[data-done] .previews img", "alt") == "pack.jpg"


def test_times_are_in_the_readers_zone(browser: Any, server: Served, session: dict[str, Any]) -> None:
    zone = browser.new_context(base_url=server.url, storage_state=session, timezone_id="Asia/Tokyo", locale="en-GB")
    page = zone.new_page()
    page.goto("/audit/")
    time = page.locator("time").first
    utc = datetime.fromisoformat(time.get_attribute("datetime"))
    assert f"{utc.astimezone(ZoneInfo('Asia/Tokyo')):%H:%M}" in time.inner_text()
    assert f"{utc:%H:%M}" in time.get_attribute("title")
    zone.close()


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


def test_a_list_with_photos_is_imported_after_a_look_at_each_line(page: Any, tmp_path: Path) -> None:
    sku, seed = (f"IMPORT-{page.size}-{'x' * 30}", 71 if page.size == "phone" else 73)
    lines = ["Artikel;photos;Bezeichnung", f"{sku};{seed}.jpg;Tea", f"W-{page.size};gone.jpg;Wrong"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    page.goto("/import/")
    page.set_input_files("#files", [photo(tmp_path, seed), tmp_path / "list.csv"])
    page.click("[data-submit]")
    page.select_option("#column_sku", "Artikel")
    page.select_option("#column_name", "Bezeichnung")
    fits(page)
    accessible(page, "columns of an import")
    page.click("text=Check the lines")
    page.locator(".import-lines").wait_for()
    assert "gone.jpg" in page.inner_text(".import-lines")
    fits(page)
    accessible(page, "preview of an import")
    page.click("text=Import what is right")
    page.locator("text=1 products and 1 photos added").wait_for()
    fits(page)
    accessible(page, "an import that is done")
    page.goto("/import/")
    assert "list.csv (2 files)" in page.inner_text(".imports")
    page.goto(f"/products/{sku}")
    assert "Tea" in page.inner_text("h1")


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
    page.click("text=Tick all")
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


def accessible(page: Any, what: str) -> None:
    """No finding of axe-core that it calls serious or critical, and one h1."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {node['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert serious == [], what
    assert page.locator("h1").count() == 1, what


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


def add(page: Any, folder: Path, sku: str, *seeds: int) -> None:
    """A product with photos, by the form."""
    page.goto("/add/")
    page.set_input_files("[data-choose]", [photo(folder, seed) for seed in seeds])
    page.locator(".previews img").nth(len(seeds) - 1).wait_for()
    page.fill("#sku", sku)
    keep(page)


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
    page.get_by_text("broken.jpg").first.wait_for()
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


def test_the_example_of_a_new_key_names_this_server(page: Any, server: Served) -> None:
    page.goto("/keys/")
    page.fill("#name", f"till {page.size}")
    page.get_by_role("button", name="Make a key").click()
    page.get_by_text(f"photo=@photo.jpg {server.url}/api/v1/recognize").wait_for()


def test_signing_out(page: Any, browser: Any, server: Served) -> None:
    page.context.clear_cookies()
    page.context.add_cookies(signed_in(browser, server)["cookies"])  # its own session, which then ends
    page.goto("/products/")
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.goto("/products/")
    page.wait_for_url("**/login**")


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
    page.get_by_text("signed out everywhere").wait_for()
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

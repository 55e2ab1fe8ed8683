"""What goes wrong while somebody works, in a real browser at two widths: nothing that was typed or chosen is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support import pictures
from tests.support.browsing import MARKS, SIZES, add, drop, end_session, fits, keep, make_key, photo, sign_in_again
from tests.support.served import Served

pytestmark = MARKS


def test_a_plain_form_goes_on_after_signing_in_again(page: Any, server: Served, tmp_path: Path) -> None:
    """With the button that was pressed; and nothing is lost by one who does not sign in, or has no connection."""
    sku = f"PLAIN-{page.size}"
    add(page, tmp_path, sku, 6031)
    page.goto(f"/products/{sku}")
    save = page.get_by_role("button", name="Save", exact=True)
    page.fill("#name", "Typed before")
    end_session(page)
    save.click()
    page.get_by_role("button", name="Not now").click()
    page.get_by_text("You are signed out, and nothing was sent. Send it again to sign in.").wait_for()
    assert page.input_value("#name") == "Typed before"
    page.context.set_offline(True)
    save.click()
    page.get_by_text("The server can't be reached. Nothing is lost: send it again.").wait_for()
    page.context.set_offline(False)
    save.click()
    sign_in_again(page, server)
    page.get_by_text("Saved.").wait_for()
    assert page.inner_text("h1") == "Typed before"
    page.click(".photos a")
    page.wait_for_url("**/photos/**")
    end_session(page)
    page.get_by_role("button", name="Move to another product").click()  # a button with an address of its own
    sign_in_again(page, server)
    page.wait_for_url("**/photos/move**")
    page.goto(f"/products/{sku}")
    page.click(".photos a")
    before = page.locator(".cropper img").bounding_box()
    end_session(page)
    page.get_by_role("button", name="Rotate left").click()  # a button with a value
    sign_in_again(page, server)
    page.get_by_text("Rotated.").wait_for()
    after = page.locator(".cropper img").bounding_box()
    assert (before["width"] > before["height"]) != (after["width"] > after["height"])
    page.goto("/keys/")
    page.fill("#name", f"till of the faults, {page.size}")
    end_session(page)
    page.get_by_role("button", name="Make a key").click()  # a form that is good once
    page.get_by_role("button", name="Not now").click()
    page.get_by_role("button", name="Make a key").click()
    sign_in_again(page, server)
    page.locator("[data-key]").wait_for()


def test_why_a_photo_can_not_be_sent_is_said(page: Any, tmp_path: Path) -> None:
    problem = {"status": 503, "code": "storage_error", "detail": "The disk is full."}
    page.route(
        "**/uploads/", lambda route: route.fulfill(status=503, json=problem, content_type="application/problem+json")
    )
    page.goto("/add/")
    page.set_input_files("[data-choose]", photo(tmp_path, 6096))
    page.fill("#sku", f"WHY-{page.size}")
    page.click("[data-submit]")
    page.get_by_text("The disk is full. Nothing is lost: send it again.").wait_for()
    assert "The disk is full." in page.inner_text(".drop .previews")
    fits(page)
    page.unroute("**/uploads/")
    keep(page)


def test_a_second_click_sends_nothing_twice(page: Any, tmp_path: Path) -> None:
    """Nor does a reload of the page that follows; and the page before is still of use."""
    sku = f"TWICE-{page.size}"
    add(page, tmp_path, sku, 6041, 6042)
    page.goto(f"/products/{sku}")
    save, saved = page.get_by_role("button", name="Save", exact=True), page.get_by_text("Saved.")
    page.fill("#barcode", "4006381333931" if page.size == "phone" else "96385074")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    slow: list[Any] = []
    page.route("**/barcodes", lambda route: slow.append(route))
    add_barcode = page.get_by_role("button", name="Add the barcode")
    add_barcode.evaluate("(button) => { setTimeout(() => button.click(), 2000); }")  # the answer takes its time
    add_barcode.dblclick(no_wait_after=True)
    page.wait_for_timeout(3_000)
    assert len(slow) == 1
    slow[0].continue_()
    page.get_by_text("The barcode is kept.").wait_for()
    assert len(sent) == 1
    page.reload()
    assert page.locator(".barcodes li").count() == 1 and page.locator("[role=status] .alert").count() == 0
    page.fill("#name", "First")
    save.click()
    saved.wait_for()
    page.go_back()
    assert page.input_value("#name") == "First", "the page as it is now, not as it was"
    page.fill("#name", "Second")
    save.click()
    saved.wait_for()
    assert page.inner_text("h1") == "Second"
    page.goto(f"/products/{sku}/history")
    said = page.locator(".log li").all_inner_texts()
    assert sum("Barcode added" in text for text in said) == 1 and sum("Changed" in text for text in said) == 2


def test_two_tabs_of_one_product(page: Any, tmp_path: Path) -> None:
    """A photo that another tab has deleted, and facts that it has saved: said plainly, and nothing typed is lost."""
    sku = f"TABS-{page.size}"
    add(page, tmp_path, sku, 6051, 6052)
    page.goto(f"/products/{sku}")
    page.fill("#brand", "of this tab")
    other, save = page.context.new_page(), "Save"
    other.goto(f"/products/{sku}")
    other.locator(".photos a").last.click()
    other.wait_for_url("**/photos/**")
    acts = ("Rotate left", "Crop", "Show it first", "Delete", "Move to another product")
    stale = [page.context.new_page() for _ in acts]
    for tab in stale:
        tab.goto(other.url)
    other.get_by_role("button", name="Delete", exact=True).click()
    other.get_by_text("The photo is deleted").wait_for()
    other.fill("#category", "of the other tab")
    other.get_by_role("button", name=save, exact=True).click()
    other.get_by_text("Saved.").wait_for()
    for act, tab in zip(acts, stale, strict=True):
        tab.get_by_role("button", name=act, exact=True).click()
        tab.wait_for_url(f"**/products/{sku}")
        assert "is not there any more" in tab.inner_text("[role=status]"), act
        fits(tab)
        tab.close()
    page.get_by_role("button", name=save, exact=True).click()
    page.get_by_text("Somebody else changed this product").wait_for()
    assert page.input_value("#brand") == "of this tab" and page.input_value("#category") == "of the other tab"
    page.get_by_role("button", name=save, exact=True).click()
    page.get_by_text("Saved.").wait_for()


def test_a_photo_chosen_before_the_scripts_have_come_is_not_lost(page: Any, tmp_path: Path) -> None:
    """A slow phone: the form can be used at once, its scripts come later."""
    scripts, waiting = "**/static/photos.js", list[Any]()
    page.route(scripts, lambda route: waiting.append(route))
    page.goto("/add/", wait_until="commit")
    page.set_input_files("[data-choose]", photo(tmp_path, 6001))
    page.fill("#sku", f"EARLY-{page.size}")
    assert page.locator(".previews img").count() == 0
    waiting.pop().continue_()
    page.unroute(scripts)
    page.locator(".previews img").wait_for()
    page.locator("form[data-kept=yes]").wait_for()  # as a draft, too
    keep(page)
    assert page.locator("[data-done] .previews img").count() == 1
    page.goto(f"/products/EARLY-{page.size}")
    page.click(".photos a")
    page.wait_for_url("**/photos/**")
    page.route(scripts, lambda route: waiting.append(route))
    page.reload(wait_until="commit")
    page.set_input_files("[data-choose]", photo(tmp_path, 6002))
    waiting.pop().continue_()
    page.unroute(scripts)
    page.locator(".previews img").wait_for()
    page.get_by_role("button", name="Replace").click()
    page.get_by_text("Replaced. The old photo is in the bin.").wait_for()


def test_sending_shows_how_far_it_is_and_can_be_cancelled(page: Any, tmp_path: Path) -> None:
    """On a slow line; what was chosen and typed stays, and what is cancelled is not kept."""
    sku = f"SLOW-{page.size}"
    page.goto("/add/")
    (tmp_path / "large.jpg").write_bytes(pictures.encode(pictures.picture(6011, (2000, 1500)), quality=100))
    line = page.context.new_cdp_session(page)
    fast = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", {**fast, "uploadThroughput": 100_000})
    page.set_input_files("[data-choose]", tmp_path / "large.jpg")
    page.fill("#sku", sku)
    bar = page.locator(".previews progress")
    while not 0.05 < float(bar.evaluate("(bar) => bar.value")) < 1:
        page.wait_for_timeout(100)
    button = page.locator("[data-submit]")
    button.click()
    page.get_by_text("Sending photo 1 of 1").wait_for()
    assert page.locator("[data-choose]").is_disabled() and page.locator(".remove").is_disabled()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled. Nothing was added.").wait_for()
    assert button.inner_text() == "Add product" and page.input_value("#sku") == sku
    assert page.locator(".previews img").count() == 1
    line.send("Network.emulateNetworkConditions", {**fast, "offline": True})
    button.click()
    page.get_by_text("The server can't be reached. Nothing is lost: send it again.").wait_for()
    line.send("Network.emulateNetworkConditions", fast)
    keep(page)
    page.goto(f"/products/{sku}/history")
    assert page.locator(".log li").count() == 1


def test_another_photo_is_asked_before_the_first_is_answered(page: Any, tmp_path: Path) -> None:
    """Dropped on the product list, which is then ordered by likeness; the answer is that of the photo shown."""
    sku = f"LIKE-{page.size}"
    add(page, tmp_path, sku, 6021 if page.size == "phone" else 6022)
    page.goto("/products/")
    waiting: list[Any] = []
    page.route("**/alike/", lambda route: route.continue_() if waiting else waiting.append(route))
    drop(page, photo(tmp_path, 6023), "#list")
    page.locator("[data-submit]:disabled").wait_for()
    while not waiting:
        page.wait_for_timeout(20)
    drop(page, photo(tmp_path, 6021 if page.size == "phone" else 6022), "h1")
    page.locator(".matches li").first.wait_for()
    assert sku in page.locator(".matches li").first.inner_text()
    assert page.locator(".drop .previews img").count() == 1
    assert page.locator("[data-submit]").is_enabled() and page.locator("[data-problem]:visible").count() == 0
    fits(page)


@pytest.fixture
def plain(browser: Any, server: Served, page: Any) -> Iterator[Any]:
    """The same size, without JavaScript, and not signed in."""
    context = browser.new_context(base_url=server.url, java_script_enabled=False, **SIZES[page.size])
    yield context.new_page()
    context.close()


def test_without_javascript(plain: Any, page: Any, server: Served, tmp_path: Path) -> None:
    """Sign in, browse, add a photo in spite of a question, keep a form when the session ended, sign out."""
    sku, name, password = f"NOJS-{page.size}", f"walter {page.size}", "a password of his own"
    page.goto("/people/")
    page.fill("#name", name)
    page.check("#role-editor")
    page.get_by_role("button", name="Make a link").click()
    page.locator("#secret", has_text=server.url).wait_for()
    plain.goto(page.inner_text("#secret"))
    fits(plain)
    plain.fill("#password", password)
    plain.get_by_role("button", name="Sign in").click()
    plain.wait_for_url("**/products/")
    plain.get_by_text("Menu", exact=True).click()
    plain.get_by_role("button", name="Sign out").click()
    plain.goto("/products/")
    fits(plain)
    plain.fill("#name", name)
    plain.fill("#password", password)
    plain.get_by_role("button", name="Sign in").click()
    plain.wait_for_url("**/products/")
    fits(plain)
    plain.goto("/add/")
    chosen = photo(tmp_path, 6061)
    plain.set_input_files("[data-choose]", chosen)
    assert plain.locator("[data-choose]").evaluate("input => getComputedStyle(input).opacity") == "1", (
        "its name is seen"
    )
    fits(plain)
    plain.fill("#sku", sku)
    plain.get_by_role("button", name="Add product").click()
    plain.locator("[data-done], [data-anyway]").first.wait_for()
    if plain.locator("[data-anyway]").count():
        fits(plain)
        assert plain.input_value("#sku") == sku
        plain.set_input_files("[data-choose]", chosen)
        plain.get_by_role("button", name="Save anyway").click()
    plain.locator("[data-done]").wait_for()
    assert f"{sku} is searchable" in plain.inner_text("h2")
    fits(plain)
    plain.get_by_role("link", name="Show the product").click()
    plain.wait_for_url(f"**/products/{sku}")
    plain.fill("#name", "Typed without a script")
    plain.context.clear_cookies()
    plain.get_by_role("button", name="Save", exact=True).click()
    plain.get_by_text("What you typed is still here: sign in to go on.").wait_for()
    fits(plain)
    plain.fill("#name", name)
    plain.fill("#password", password)
    plain.get_by_role("button", name="Sign in").click()
    plain.get_by_role("heading", name="You are signed in").wait_for()
    fits(plain)
    plain.get_by_role("button", name="Send it now").click()
    plain.get_by_text("Saved.").wait_for()
    assert plain.inner_text("h1") == "Typed without a script"
    plain.get_by_text("Menu", exact=True).click()
    plain.get_by_role("button", name="Sign out").click()
    plain.wait_for_url("**/login")
    plain.goto(f"/products/{sku}")
    plain.wait_for_url("**/login**")


def test_long_and_foreign_names_fit(page: Any, server: Served) -> None:
    """A SKU of 64 signs without a break, names from right to left, emoji: on every page that shows them."""
    key = make_key(page, f"till of the names, {page.size}")
    long, right, emoji = ("W" * 63 + page.size[0], f"שוקולד {page.size}", f"🍫🍓👩‍👩‍👧‍👦 {page.size}")
    names = {long: "M" * 200, right: "حليب كامل الدسم (1 л) 3.5 %", emoji: "🍫" * 60}
    for number, (sku, name) in enumerate(names.items()):
        form = {"sku": sku, "name": name, "brand": name[:100], "category": sku}
        data = pictures.jpeg((7300 if page.size == "phone" else 7310) + number)
        files = [("photos", ("n" * 200 + ".jpg", data))]
        sent = {"data": form, "files": files, "headers": {"Authorization": f"Bearer {key}"}, "timeout": 60}
        assert httpx.post(f"{server.url}/api/v1/products", **sent).status_code == 201
    for sku in names:
        page.goto(f"/products/?search={quote(sku)}")
        fits(page)
        page.goto(f"/products/?view=table&search={quote(sku)}")
        fits(page)
        page.locator(".products tbody a").first.click()
        page.wait_for_url(f"**/products/{quote(sku)}?list=**")
        fits(page)
        assert page.locator("h1 bdi").inner_text() == names[sku]
        page.fill("#new_labels", f"{sku[:40]},{'L' * 50}")
        page.fill("[name=attribute] >> nth=0", "A" * 50)
        page.fill("[name=value] >> nth=0", "V" * 200)
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved.").wait_for()
        fits(page)
        page.goto(f"/products/{quote(sku)}/history")
        fits(page)
        page.goto(f"/products/{quote(sku)}")
        page.locator(".photos a").first.click()
        page.wait_for_url("**/photos/**")
        fits(page)
        page.get_by_role("button", name="Move to another product").click()
        page.wait_for_url("**/photos/move**")
        page.fill("input[type=search]", "")
        page.goto(f"{page.url}&search={quote(long)}")
        fits(page)
        page.goto(f"/merge/?sku={quote(sku)}&other={quote(long if sku != long else right)}")
        fits(page)
    for listed in ("/products/", "/duplicates/", "/needs-work/", "/audit/", "/overview/"):
        page.goto(listed)
        fits(page)
    page.goto(f"/products/{quote(long)}")
    page.get_by_text("Delete this product").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("is deleted and no longer recognized").wait_for()
    fits(page)
    page.goto("/bin/")
    fits(page)


def test_markup_in_what_is_typed_and_in_names_of_files(page: Any, tmp_path: Path) -> None:
    """Shown as text by the page's scripts, too: previews, refusals, questions, labels, the dialog."""
    ran: list[str] = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.accept()))
    markup = '"><img src=x onerror=alert(1)>'
    (tmp_path / f"{markup}.jpg").write_bytes(pictures.jpeg(6071))
    (tmp_path / f"no {markup}.jpg").write_bytes(b"no picture at all")
    page.goto("/add/")
    page.set_input_files("[data-choose]", [tmp_path / f"{markup}.jpg", tmp_path / f"no {markup}.jpg"])
    page.fill("#sku", f"{markup}{page.size}")
    page.fill("#name", "<script>alert(1)</script>")
    page.click("[data-submit]")
    page.locator("[data-problem] li").wait_for()
    assert f"no {markup}.jpg" in page.inner_text("[data-problem]")
    fits(page)
    page.click("[data-problem] button")
    keep(page)
    fits(page)
    assert "<script>alert(1)</script>" in page.inner_text("[data-done] h2")
    page.get_by_role("link", name="Show the product").click()
    page.locator("#new_labels").fill(markup)
    page.locator("#new_labels").press("Enter")
    assert page.locator(".chips label").last.inner_text().strip() == markup
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved.").wait_for()
    for address in ("/products/", "/audit/", f"{page.url}/history", page.url):
        page.goto(address)
        page.wait_for_timeout(50)
    assert ran == [] and page.locator("img[src=x]").count() == 0


def test_more_than_can_be_sent_at_once(page: Any, tmp_path: Path) -> None:
    """60 photos, or 286 MB: said before anything is sent, with what was chosen still there."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    small = pictures.jpeg(6081, (64, 48))
    for number in range(60):
        (tmp_path / f"{number}.jpg").write_bytes(small)
    page.goto("/add/")
    page.set_input_files("[data-choose]", [tmp_path / f"{number}.jpg" for number in range(60)])
    page.fill("#sku", "TOO-MANY")
    page.click("[data-submit]")
    page.get_by_text("60 photos are chosen; at most 50 can be sent at once.").wait_for()
    fits(page)
    for number in range(13):
        with (tmp_path / f"large {number}.jpg").open("wb") as file:
            file.truncate(22 * 1024 * 1024)
    page.goto("/products/")
    page.goto("/add/")
    if page.locator(".draft").count():
        page.click("text=Begin anew")
    page.set_input_files("[data-choose]", [tmp_path / f"large {number}.jpg" for number in range(13)])
    page.fill("#sku", "TOO-LARGE")
    page.click("[data-submit]")
    page.get_by_text("The photos have 286 MB; at most 255 MB can be sent at once.").wait_for()
    fits(page)
    assert page.locator(".drop .previews li").count() == 13 and page.input_value("#sku") == "TOO-LARGE"
    assert sent == []
    page.get_by_role("button", name="Remove large 0.jpg").click()
    assert page.locator("[data-problem]").is_hidden()


def test_heic_that_the_browser_does_not_read(page: Any, tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))
    page.goto("/add/")
    page.set_input_files("[data-choose]", tmp_path / "IMG_1.HEIC")
    page.fill("#sku", f"HEIC-{page.size}")
    page.click("[data-submit]")
    page.locator("[data-problem] li").wait_for()
    said = page.inner_text("[data-problem]")
    assert "IMG_1.HEIC" in said and "Save it as JPEG, or set the phone's camera to the most compatible format" in said
    fits(page)

"""Barcodes on the staff's pages and in the API's replies."""

from __future__ import annotations

import io
import re

from flask.testing import FlaskClient
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.products import barcode_owners
from catalog.storage.tables import AuditEntry
from tests.support import bars, pictures
from tests.support.bars import EAN8, EAN13, OTHER, UPCA
from tests.support.staff import Staff, csrf_of
from web.api import schemas

NOVEL, ISBN, PEN = "9783161484100", "9780306406157", "5000159407236"


def files(*photos: bytes) -> list[tuple[io.BytesIO, str]]:
    return [(io.BytesIO(data), f"{number}.jpg") for number, data in enumerate(photos)]


def of(catalog: Catalog, sku: str) -> list[str]:
    return [barcode.gtin for barcode in products.get(catalog.database, sku).barcodes]


def follow(staff: Staff, html: str, button: str) -> str:
    """Send the one form that has this button, as a browser does; returns the page that it leads to."""
    (form,) = [form for form in re.findall(r"<form.*?</form>", html, re.DOTALL) if button in form]
    action = re.search(r'action="([^"]+)"', form)
    assert action
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        fields.setdefault(name, []).append(value)
    return staff.client.post(action.group(1), data=fields, follow_redirects=True).get_data(as_text=True)


def test_what_was_read_is_kept_by_one_click(staff: Staff, catalog: Catalog) -> None:
    photos = [bars.photo(601, EAN13, NOVEL), pictures.jpeg(602)]
    for script in (True, False):
        sku = f"BAR-{script}"
        reply = staff.send("/add/", {"sku": sku, "photos": files(*photos)}, script=script, page="/add/")
        html = reply.get_data(as_text=True)
        assert reply.status_code == 201
        assert html.count("Keep it as this product's GTIN") == 2 and EAN13 in html and NOVEL in html
        assert of(catalog, sku) == [], "never without a click"
    first = html[html.index('<div class="offer">') : html.rindex('<div class="offer">')]
    shown = follow(staff, first, "Keep it")
    assert "The barcode is kept." in shown
    assert len(of(catalog, sku)) == 1
    assert shown.count("Keep it as this product's GTIN") == 1, "the other one is offered still"
    shown = follow(staff, shown, "Keep it")
    assert of(catalog, sku) == [f"0{EAN13}", f"0{NOVEL}"]
    assert "Keep it" not in shown
    with catalog.database.read() as session:
        mine = select(AuditEntry.action).where(AuditEntry.subject == sku, AuditEntry.actor == "anna")
        assert list(session.scalars(mine)).count("barcode.add") == 2


def test_what_was_read_may_be_anothers(staff: Staff, catalog: Catalog) -> None:
    staff.send("/add/", {"sku": "BAR-OWNER", "barcode": OTHER, "photos": files(pictures.jpeg(611))})
    assert of(catalog, "BAR-OWNER") == [f"0{OTHER}"]
    form = {"sku": "BAR-2ND", "barcode": EAN8, "photos": files(bars.photo(612, OTHER))}
    html = staff.send("/add/", form).get_data(as_text=True)
    assert re.search(rf'{OTHER}</code> was read from a photo, but belongs to\s+<a href="/products/BAR-OWNER">', html)
    assert "Keep it" not in html
    taken = staff.send("/add/", {"sku": "BAR-3RD", "barcode": f"{EAN8} {OTHER}", "photos": files(pictures.jpeg(613))})
    html = taken.get_data(as_text=True)
    assert taken.status_code == 409 and "belongs to the product" in html
    assert f'value="{EAN8} {OTHER}"' in html, "nothing typed is lost"


def test_the_products_page(staff: Staff, catalog: Catalog) -> None:
    page = "/products/BAR-PAGE"
    staff.send("/add/", {"sku": "BAR-PAGE", "photos": files(pictures.jpeg(621))})
    assert "None yet." in staff.get(page).get_data(as_text=True)
    staff.send(f"{page}/barcodes", {"barcode": "0 36000 29145 2"}, page=page)
    html = staff.get(page).get_data(as_text=True)
    assert f"<code>{UPCA}</code>" in html, "as it is printed"
    assert "BAR-PAGE" in staff.get(f"/products/?search=0{UPCA}").get_data(as_text=True)
    for wrong, words in (("123", "has 3 digits"), (OTHER[:-1] + "0", "last digit"), ("", "digits only")):
        reply = staff.send(f"{page}/barcodes", {"barcode": wrong}, page=page)
        assert reply.status_code == 422 and words in reply.get_data(as_text=True)
    staff.send(f"{page}/photos", {"photos": files(bars.photo(622, ISBN))}, page=page)
    shown = staff.get(f"{page}?read={ISBN}").get_data(as_text=True)
    assert ISBN in shown and "Keep it" in shown
    assert "None yet." in follow(staff, html, f"Remove {UPCA}")
    assert of(catalog, "BAR-PAGE") == []
    assert staff.get(f"{page}?read=nonsense").status_code == 422


def test_more_photos_lead_to_what_was_read_from_them(staff: Staff) -> None:
    page = "/products/BAR-MORE"
    staff.send("/add/", {"sku": "BAR-MORE", "photos": files(pictures.jpeg(631))})
    reply = staff.send(f"{page}/photos", {"photos": files(bars.photo(632, ISBN))}, page=page)
    assert reply.location == f"{page}?read=0{ISBN}"
    reply = staff.send(f"{page}/photos", {"photos": files(pictures.jpeg(633))}, page=page)
    assert reply.location == page


def test_a_change_needs_the_token_of_the_page(staff: Staff, catalog: Catalog) -> None:
    staff.send("/add/", {"sku": "BAR-CSRF", "photos": files(pictures.jpeg(641))})
    barcode_owners.add(catalog.database, "BAR-CSRF", "4000417025005", actor="test")
    for target in ("barcodes", "barcodes/04000417025005/remove"):
        reply = staff.client.post(f"/products/BAR-CSRF/{target}", data={"barcode": "4000417025005"})
        assert reply.status_code == 400
    assert of(catalog, "BAR-CSRF") == ["04000417025005"]


def test_nobody_adds_without_signing_in(anybody: FlaskClient) -> None:
    form = {"barcode": EAN13, "csrf_token": csrf_of(anybody, "/login")}
    for target in ("barcodes", f"barcodes/{EAN13}/remove"):
        assert anybody.post(f"/products/ANY/{target}", data=form).status_code == 401


def test_the_api_takes_and_tells_barcodes(till: FlaskClient) -> None:
    def send(sku: str, barcode: list[str], photo: bytes):
        form = {"sku": sku, "barcode": barcode, "photos": files(photo)}
        return till.post("/api/v1/products", data=form)

    reply = send("BAR-API", ["5 000159 461122", f"{PEN}; 40004174"], bars.photo(651, PEN, "4014400400007"))
    body = reply.get_json()
    assert reply.status_code == 201
    assert schemas.Added.model_validate(body, extra="forbid").model_dump(mode="json") == body
    assert body["barcodes"] == ["00000040004174", f"0{PEN}", "05000159461122"]
    assert sorted(body["barcodes_found"], key=lambda found: found["gtin"]) == [
        {"gtin": "04014400400007", "sku": None},
        {"gtin": f"0{PEN}", "sku": "BAR-API"},
    ]
    taken = send("BAR-API-2", [PEN], pictures.jpeg(653))
    problem = taken.get_json(force=True)
    assert (taken.status_code, problem["code"]) == (409, "barcode_taken")
    assert "'BAR-API'" in problem["detail"]
    wrong = send("BAR-API-3", [f"{PEN[:-1]}7"], pictures.jpeg(654))
    problem = wrong.get_json(force=True)
    assert (wrong.status_code, problem["code"], problem["field"]) == (422, "invalid_input", "barcode")

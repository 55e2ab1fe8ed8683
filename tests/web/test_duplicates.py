"""Duplicates and merging in the pages: what looks like one product, what stays of each, and what they become."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import delete, select

from catalog import products
from catalog.catalog import Catalog
from catalog.products import Facts, Intake
from catalog.storage.tables import AuditEntry, Product
from tests.support.apps import open_app
from tests.support.pictures import jpeg
from tests.support.staff import NAME, Staff
from tests.support.steps import create, shots
from web.security import limiter


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with open_app(tmp_path_factory.mktemp("duplicates")) as app:
        yield app


@pytest.fixture
def catalog(app: Flask) -> Catalog:
    """With A and B, which are one product, and C, which is none of them."""
    found: Catalog = app.config["CATALOG"]
    with found.database.write() as session:
        session.execute(delete(Product))
    intake = Intake("anna", check="off")
    products.create(found, Facts("A", "Tea <i>", "Leaf", attributes={"size": "250 g"}), shots(1), intake)
    products.create(found, Facts("B", "Green tea", "", "Drinks"), shots(1, 2), intake)
    create(found, "C", 3)
    products.compare_all(found)
    return found


@pytest.fixture
def staff(app: Flask, catalog: Catalog) -> Staff:
    limiter.reset()
    return Staff(app.test_client())


def form_of(page: str) -> dict[str, str]:
    """What the button below the preview sends."""
    section = page.partition('class="panel becomes"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', section))
    fields.pop("csrf_token")
    return fields


def test_a_pair_is_listed_with_its_reason_until_a_person_says_that_they_differ(staff: Staff, catalog: Catalog) -> None:
    page = staff.get("/duplicates/").get_data(as_text=True)
    assert "1 pair that" in page and "The same picture is in both" in page and "Tea &lt;i&gt;" in page
    assert "/merge/?sku=B&amp;other=A" in page
    reply = staff.send("/duplicates/different", {"sku": "A", "other": "B"}, page="/duplicates/")
    assert (reply.status_code, reply.location) == (302, "/duplicates/")
    page = staff.get("/duplicates/").get_data(as_text=True)
    assert "A and B differ" in page and "No two products look like one" in page
    staff.send("/duplicates/different", {"sku": "A", "other": "B"}, page="/products/B")
    assert "It was said already" in staff.get("/duplicates/").get_data(as_text=True)
    for number, said in ((0, "No two products"), (10**9, "No two products"), (-1, "No two products")):
        assert said in staff.get(f"/duplicates/?page={number}").get_data(as_text=True)


def test_what_the_preview_shows_is_what_the_button_makes(staff: Staff, catalog: Catalog) -> None:
    page = staff.get("/merge/?sku=A&other=B").get_data(as_text=True)
    assert form_of(page)["stays"] == "other" and "Merge into B" in page
    page = staff.get("/merge/?sku=A&other=B&stays=one&name=one&category=one").get_data(as_text=True)
    sent = form_of(page)
    assert (sent["stays"], sent["name"], sent["attribute:size"]) == ("one", "one", "one") and "Merge into A" in page
    reply = staff.send("/merge/", sent, page="/merge/?sku=A&other=B")
    assert (reply.status_code, reply.location) == (302, "/products/A")
    product = products.get(catalog.database, "A")
    facts = (product.name, product.brand, product.category, product.attributes, len(product.photos))
    assert facts == ("Tea <i>", "Leaf", "", {"size": "250 g"}, 2)
    assert "Both are one product now" in staff.get("/products/A").get_data(as_text=True)
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action, entry.subject) == (NAME, "product.merge", "A")


def test_the_script_gets_the_preview_alone(staff: Staff, catalog: Catalog) -> None:
    reply = staff.client.get("/merge/?sku=A&other=B&stays=one", headers={"X-Requested-With": "fetch"})
    page = reply.get_data(as_text=True)
    assert "<html" not in page and "Merge into A" in page and form_of(page)["stays"] == "one"


def test_what_was_changed_meanwhile_is_shown_before_it_is_merged(staff: Staff, catalog: Catalog) -> None:
    sent = form_of(staff.get("/merge/?sku=A&other=B&name=one").get_data(as_text=True))
    products.change(catalog.database, Facts("B", "Green tea of 2026"), actor="ben")
    reply = staff.send("/merge/", sent, page="/merge/?sku=A&other=B")
    page = reply.get_data(as_text=True)
    assert reply.status_code == 409 and "was changed by somebody else" in page and "Green tea of 2026" in page
    assert form_of(page)["name"] == "one", "the choice is kept"
    assert staff.send("/merge/", form_of(page), page="/merge/?sku=A&other=B").location == "/products/B"
    reply = staff.send("/merge/", sent, page="/products/B")
    assert (reply.status_code, reply.location) == (302, "/duplicates/")
    assert "There is no product" in staff.get("/duplicates/").get_data(as_text=True)
    del sent["version_one"]
    assert staff.send("/merge/", {**sent, "sku": "C", "other": "B"}, page="/products/B").status_code == 409


def test_the_other_product_is_searched_from_a_products_page(staff: Staff, catalog: Catalog) -> None:
    assert 'href="/merge/?sku=A"' in staff.get("/products/A").get_data(as_text=True)
    page = staff.get("/merge/?sku=A&search=tea").get_data(as_text=True)
    assert "/merge/?sku=A&amp;other=B" in page and "other=A" not in page
    assert "No other product" in staff.get("/merge/?sku=A&search=nothing").get_data(as_text=True)
    assert staff.get("/merge/?sku=A&other=A").location == "/merge/?sku=A"
    for target in ("/merge/", "/merge/?sku=X", "/merge/?sku=A&other=X"):
        assert staff.get(target).status_code == 404, target


def test_the_warning_after_adding_leads_there(staff: Staff, catalog: Catalog) -> None:
    given = {"sku": "D", "photos": (io.BytesIO(jpeg(1)), "1.jpg")}
    page = staff.send("/add/", given, script=True).get_data(as_text=True)
    assert re.search(r"/merge/\?sku=D&amp;other=[AB]", page), page
    given = {"sku": "E", "photos": (io.BytesIO(jpeg(1)), "1.jpg")}
    page = staff.send("/add/", given, script=True, anyway=False).get_data(as_text=True)
    assert "Is it the same product as" in page and "/merge/?sku=" in page


def test_nobody_sees_it_without_signing_in(app: Flask, catalog: Catalog) -> None:
    for path in ("/duplicates/", "/merge/?sku=A&other=B"):
        assert app.test_client().get(path).status_code == 302
    assert app.test_client().post("/merge/", data={"sku": "A", "other": "B"}).status_code == 401
    assert len(products.list_page(catalog.database).products) == 3

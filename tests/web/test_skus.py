"""Any SKU in pages, addresses and forms."""

from __future__ import annotations

import html
import io
import re

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg
from tests.support.staff import Staff, facts_shown

SKUS = [
    *("W/1", "/w", "w//1", "w/photos", "w#1", "w&1", "(w)", "w,1", "w:1", "w;1", "w'1", 'w"1', "100% w", "w*", "=w+1"),
    *("@w", "w\\1", "w|1", "-w", "w%2F1", "w?a=b", "<script>w</script>", "चाय-1", "w.", "...", "w+1", "add"),
]


@pytest.mark.parametrize("sku", SKUS)
def test_its_page_opens_and_its_forms_work(app: Flask, staff: Staff, catalog: Catalog, sku: str) -> None:
    products.create(catalog, Facts(sku), [NewPhoto("1.jpg", jpeg(1))], Intake("test", check="off"))
    with app.test_request_context():
        page = url_for("products.show", sku=sku)
    assert re.fullmatch(r"/products/[^/\\?#\s\"'<>&;]+", page), "one part of a path"
    shown = staff.get(page)
    text = shown.get_data(as_text=True)
    assert shown.status_code == 200
    assert html.escape(sku).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    assert "<script>w" not in text
    assert page in staff.get(f"/products/?search={sku[:2]}").get_data(as_text=True) or sku == "..."
    reply = staff.send(f"{page}/facts", {**facts_shown(staff, page), "name": f"Name of {sku}"}, page=page)
    assert reply.status_code == 302 and reply.headers["Location"] == page
    assert products.get(catalog.database, sku).name == f"Name of {sku}"
    reply = staff.send(f"{page}/photos", {"photos": (io.BytesIO(jpeg(2)), "2.jpg")}, page=page)
    (first, _) = products.get(catalog.database, sku).photos
    assert staff.send(f"{page}/photos/delete", {"photo": first.id}, page=page).status_code == 302
    assert len(products.get(catalog.database, sku).photos) == 1
    assert staff.send(f"{page}/active", {"active": "0"}, page=page).status_code == 302
    assert not products.get(catalog.database, sku).active


def test_an_address_that_was_typed_is_understood(staff: Staff, catalog: Catalog) -> None:
    products.create(catalog, Facts("typed/1 50%"), [NewPhoto("1.jpg", jpeg(1))], Intake("test", check="off"))
    for page in ("/products/typed/1 50%25", "/products/typed%2F1%2050%25", "/products/typed%252F1%2050%2525"):
        assert staff.get(page).status_code == 200
    assert staff.get("/products/typed/2").status_code == 404


def test_a_sku_like_another_is_told_by_api_and_page(staff: Staff, till: FlaskClient, catalog: Catalog) -> None:
    products.create(catalog, Facts("Alike-1"), [NewPhoto("1.jpg", jpeg(1))], Intake("test", check="off"))
    form = {"sku": "ALIKE-1", "photos": (io.BytesIO(jpeg(2)), "2.jpg")}
    reply = till.post("/api/v1/products", data=form)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (409, "sku_alike")
    reply = staff.send("/add/", {"sku": "ALIKE-1", "photos": (io.BytesIO(jpeg(2)), "2.jpg")})
    assert reply.status_code == 409 and "Alike-1" in reply.get_data(as_text=True)
    query = {"photo": (io.BytesIO(jpeg(1)), "q.jpg"), "sku": "Alike-1\u200b"}
    reply = till.post("/api/v1/recognize", data=query)
    assert reply.get_json()["matches"][0]["sku"] == "Alike-1"


def test_a_method_that_a_part_of_a_product_has_not_is_none_of_another_product(till: FlaskClient) -> None:
    """`PUT /products/A/photos` must not make a product `A/photos`."""
    for part in ("photos", "recognitions", "rename", "photos/1/file"):
        reply = till.put(f"/api/v1/products/SKU-1/{part}", json={"name": "Tea"})
        assert reply.status_code in (404, 405), part
    assert "PUT" not in till.put("/api/v1/products/SKU-1/photos", json={}).headers["Allow"]


def test_an_empty_tag_is_none_of_a_product(till: FlaskClient) -> None:
    reply = till.delete("/api/v1/products/SKU-NONE", headers={"If-Match": '""'})
    assert reply.status_code in (404, 412)

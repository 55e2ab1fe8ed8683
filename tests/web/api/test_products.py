"""Products over the API: list, show, add, put, change, rename, delete, restore."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from catalog import accounts, enrollment, products
from catalog.catalog import Catalog
from catalog.products import Facts, Filter, Intake
from catalog.storage import audit_log
from catalog.storage.tables import Enrollment
from tests.support.sending import files, problem, sent, wrong_fields
from tests.support.steps import create, shots
from web.api import schemas

PATH = "/api/v1/products"
EAN = "05012345678900"


def shown(reply: Any, status: int = 200) -> dict[str, Any]:
    """A product as it is shown, which is as the schema says, and has its ETag."""
    assert reply.status_code == status, reply.get_data(as_text=True)
    body: dict[str, Any] = reply.get_json()
    schemas.Product.model_validate(body, extra="forbid")
    assert reply.headers["ETag"] == body["etag"]
    return body


def entries(catalog: Catalog, sku: str) -> list[tuple[str, str]]:
    found = audit_log.entries(catalog.database, sku).entries
    return [(entry.actor, entry.action) for entry in found if entry.subject == sku]


def test_a_product_is_added_by_json_and_shown(till: FlaskClient, catalog: Catalog) -> None:
    facts = {"name": "Tea", "brand": "B", "category": "C", "variant_group": "tea", "labels": ["y", "x"]}
    body = {"sku": "J-1", "photos": [sent(1001)], "attributes": {"size": "20"}, "barcodes": ["96385074"], **facts}
    reply = till.post(PATH, json=body)
    assert reply.status_code == 201 and reply.headers["Location"] == f"{PATH}/J-1"
    added = reply.get_json()
    schemas.Added.model_validate(added, extra="forbid")
    assert added["searchable"] and added["photos"][0]["filename"] == "1001.jpg"
    product = shown(till.get(f"{PATH}/J-1"))
    assert product["etag"] == reply.headers["ETag"] and product["searchable"] and product["active"]
    assert {name: product[name] for name in facts} == {**facts, "labels": ["x", "y"]}
    assert (product["attributes"], product["barcodes"]) == ({"size": "20"}, ["00000096385074"])
    (photo,) = product["photos"]
    assert (photo["width"], photo["source"], photo["cover"], photo["state"]) == (320, "api", True, "searchable")
    assert entries(catalog, "J-1") == [("key till of the tests", "product.create")]


def test_a_form_has_labels_and_a_variant_group(till: FlaskClient) -> None:
    form = {"sku": "F-1", "photos": files(1002), "label": ["a", "b"], "variant_group": "g", "barcode": "4006381333948"}
    assert till.post(PATH, data=form).status_code == 201
    product = shown(till.get(f"{PATH}/F-1"))
    assert (product["labels"], product["variant_group"], product["barcodes"]) == (["a", "b"], "g", ["04006381333948"])


def test_every_field_at_fault_is_named(till: FlaskClient, catalog: Catalog) -> None:
    wrong = {
        "sku": "a/../b",
        "name": "x" * 201,
        "brand": "\x00",
        "labels": ["good", "a|b", "x" * 65],
        "barcodes": ["5012345678900", "12", "4006381333930"],
        "attributes": {"": "v", "k": "v" * 501, "fine": "v"},
        "active": "perhaps",
        "photos": [sent(1), {"filename": "x"}, {"data": "no base 64!", "other": 1}],
        "naem": "x",
    }
    fields = wrong_fields(till.post(PATH, json=wrong))
    assert {"sku", "name", "brand", "labels.1", "labels.2", "barcodes.1", "barcodes.2", "active", "naem"} <= set(fields)
    assert {"photos.1.data", "photos.2.data", "photos.2.other"} <= set(fields)
    assert not {"labels.0", "barcodes.0", "photos.0.data"} & set(fields)
    assert any(field.startswith("attributes.k") for field in fields)
    assert not [field for field in fields if field.startswith("attributes.fine")]
    for method in (till.put, till.patch):
        fields = wrong_fields(method(f"{PATH}/ANY", json={"labels": ["a;b", 1], "brand": 5}))
        assert {"labels.0", "labels.1", "brand"} == set(fields)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", "\xff", '{"name": "\\ud800"}'])
def test_what_is_no_json_is_refused(till: FlaskClient, body: str) -> None:
    for send, path in ((till.post, PATH), (till.put, f"{PATH}/NO"), (till.patch, f"{PATH}/NO")):
        reply = send(path, data=body.encode("latin-1"), content_type="application/json")
        problem(reply, 422, "invalid_input")
        reply = send(path, data=b"x", content_type="text/plain")
        assert reply.status_code == (422 if send == till.post else 415)


def test_a_json_body_that_is_too_large(till: FlaskClient) -> None:
    body = b'{"name": "' + b"x" * (33 << 20) + b'"}'
    for kind in ("application/json", "application/merge-patch+json"):
        problem(till.put(f"{PATH}/NO", data=body, content_type=kind), 413, "request_entity_too_large")
        zipped, coding = gzip.compress(body, 1), {"Content-Encoding": "gzip"}
        reply = till.put(f"{PATH}/NO", data=zipped, content_type=kind, headers=coding)
        problem(reply, 413, "request_entity_too_large")


def test_a_product_needs_a_photo(till: FlaskClient) -> None:
    assert wrong_fields(till.post(PATH, json={"sku": "NO-PHOTO", "photos": []})) == ["photos"]
    assert problem(till.put(f"{PATH}/NO-PHOTO", json={"name": "x"}), 422, "invalid_input")["field"] == "photos"
    bad = {"filename": "bad.jpg", "data": "bm8gcGhvdG8="}
    reply = till.post(PATH, json={"sku": "NO-PHOTO", "photos": [sent(1), bad]})
    assert problem(reply, 415, "not_an_image")["photos"][0]["filename"] == "bad.jpg"
    problem(till.get(f"{PATH}/NO-PHOTO"), 404, "not_found")


def test_a_put_adds_then_makes_equal_then_does_nothing(till: FlaskClient, catalog: Catalog) -> None:
    body = {"name": "Tea", "labels": ["shelf"], "attributes": {"size": "20"}, "barcodes": [EAN], "photos": [sent(1010)]}
    reply = till.put(f"{PATH}/PUT-1", json=body)
    product = shown(reply, 201)
    assert reply.headers["Location"] == f"{PATH}/PUT-1" and product["searchable"]
    assert shown(till.put(f"{PATH}/PUT-1", json=body)) == product, "the same again"
    assert entries(catalog, "PUT-1") == [("key till of the tests", "product.create")]
    product = shown(till.put(f"{PATH}/PUT-1", json={"brand": "B", "labels": [], "attributes": {}, "active": False}))
    assert (product["name"], product["brand"], product["labels"], product["attributes"]) == ("Tea", "B", [], {})
    assert (product["active"], product["searchable"], product["barcodes"]) == (False, False, [EAN])
    assert product["photos"][0]["state"] == "pending" and product["photos"][0]["reason"] == "the product is retired"
    assert entries(catalog, "PUT-1")[0] == ("key till of the tests", "product.change")
    product = shown(till.put(f"{PATH}/PUT-1", json={"active": True, "photos": [sent(1010), sent(1011)]}))
    assert product["searchable"] and len(product["photos"]) == 2
    problem(till.put(f"{PATH}/put-1", json={"photos": [sent(1)]}), 409, "sku_alike")
    create(catalog, "PUT-2", 1012)
    problem(till.put(f"{PATH}/PUT-2", json={"name": "x", "barcodes": [EAN]}), 409, "barcode_taken")
    assert shown(till.get(f"{PATH}/PUT-2"))["name"] == "PUT-2"


def test_a_patch_is_a_merge_patch(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "P-1", 1020, name="Tea", brand="B")
    first = {"attributes": {"a": "1", "b": "2"}, "labels": ["x"], "variant_group": "g"}
    shown(till.patch(f"{PATH}/P-1", json=first))
    merge = {"name": None, "attributes": {"a": None, "c": "3"}, "category": "C", "barcodes": ["4006381333962"]}
    kind = "application/merge-patch+json"
    product = shown(till.patch(f"{PATH}/P-1", json=merge, content_type=kind))
    assert product["attributes"] == {"b": "2", "c": "3"} and product["barcodes"] == ["04006381333962"]
    assert [product[name] for name in ("name", "brand", "category", "variant_group")] == ["P-1", "B", "C", "g"]
    product = shown(till.patch(f"{PATH}/P-1", json={"labels": None, "attributes": None, "barcodes": None}))
    assert (product["labels"], product["attributes"], product["barcodes"]) == ([], {}, [])
    before = entries(catalog, "P-1")
    assert shown(till.patch(f"{PATH}/P-1", json={})) == product and entries(catalog, "P-1") == before
    assert wrong_fields(till.patch(f"{PATH}/P-1", json={"active": None, "sku": "other"})) == ["active", "sku"]
    problem(till.patch(f"{PATH}/NOBODY", json={"name": "x"}), 404, "not_found")


def test_retired_and_restored_by_its_state(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "STATE-1", 1030)
    assert shown(till.patch(f"{PATH}/STATE-1", json={"active": False}))["searchable"] is False
    assert entries(catalog, "STATE-1")[0][1] == "product.retire"
    assert shown(till.patch(f"{PATH}/STATE-1", json={"active": True}))["searchable"] is True
    assert entries(catalog, "STATE-1")[0][1] == "product.restore"


def test_what_was_changed_meanwhile_is_not_overwritten(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "TAG-1", 1040)
    seen = shown(till.get(f"{PATH}/TAG-1"))["etag"]
    now = shown(till.patch(f"{PATH}/TAG-1", json={"name": "mine"}, headers={"If-Match": seen}))["etag"]
    assert now != seen
    for stale in (seen, f"W/{now}", '"nonsense"', "nonsense"):
        reply = till.patch(f"{PATH}/TAG-1", json={"name": "theirs"}, headers={"If-Match": stale})
        problem(reply, 412, "precondition_failed")
    for send in (
        lambda headers: till.put(f"{PATH}/TAG-1", json={"name": "theirs"}, headers=headers),
        lambda headers: till.put(f"{PATH}/TAG-1", json={"name": "theirs", "photos": [sent(1041)]}, headers=headers),
        lambda headers: till.post(f"{PATH}/TAG-1/rename", json={"sku": "TAG-2"}, headers=headers),
        lambda headers: till.delete(f"{PATH}/TAG-1", headers=headers),
    ):
        problem(send({"If-Match": seen}), 412, "precondition_failed")
    for fresh in (now, "*", f'"other", {now}'):
        headers = {"If-Match": fresh}
        assert shown(till.patch(f"{PATH}/TAG-1", json={"name": "mine"}, headers=headers))["name"] == "mine"
    assert len(shown(till.get(f"{PATH}/TAG-1"))["photos"]) == 1
    problem(
        till.put(f"{PATH}/TAG-NEW", json={"photos": [sent(1)]}, headers={"If-Match": now}), 412, "precondition_failed"
    )
    new = {"If-None-Match": "*"}
    problem(till.put(f"{PATH}/TAG-1", json={"name": "theirs"}, headers=new), 412, "precondition_failed")
    shown(till.put(f"{PATH}/TAG-3", json={"photos": [sent(1042)]}, headers=new), 201)


def test_what_is_known_is_not_sent_again(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "KNOWN-1", 1050)
    reply = till.get(f"{PATH}/KNOWN-1")
    known = {"If-None-Match": f'"other", W/{reply.headers["ETag"]}'}
    again = till.get(f"{PATH}/KNOWN-1", headers=known)
    assert (again.status_code, again.get_data()) == (304, b"")
    assert again.headers["ETag"] == reply.headers["ETag"] and "no-cache" in again.headers["Cache-Control"]
    products.barcode_owners.add(catalog.database, "KNOWN-1", "4006381333979", actor="staff")
    assert till.get(f"{PATH}/KNOWN-1", headers=known).status_code == 200


def test_pending_photos_change_what_is_shown_and_no_precondition(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "WAIT-1", 1060)
    with catalog.database.write() as session:
        photo = products.get(catalog.database, "WAIT-1").photos[0].id
        mine = Enrollment.photo_id == photo
        session.execute(update(Enrollment).where(mine).values(done=False, error="the gallery is away"))
    waiting = shown(till.get(f"{PATH}/WAIT-1"))
    assert (waiting["searchable"], waiting["photos"][0]["reason"]) == (False, "the gallery is away")
    enrollment.run_pending(catalog)
    there = shown(till.get(f"{PATH}/WAIT-1"))
    assert there["searchable"] and there["etag"] != waiting["etag"]
    shown(till.patch(f"{PATH}/WAIT-1", json={"name": "x"}, headers={"If-Match": waiting["etag"]}))


def test_a_deleted_product_is_restored(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "GONE-1", 1070, name="Tea")
    reply = till.delete(f"{PATH}/GONE-1")
    gone = reply.get_json()
    schemas.Deleted.model_validate(gone, extra="forbid")
    assert reply.status_code == 200 and gone["sku"] == "GONE-1"
    problem(till.get(f"{PATH}/GONE-1"), 404, "not_found")
    problem(till.delete(f"{PATH}/GONE-1"), 404, "not_found")
    restored = shown(till.post(gone["restore_url"]))
    assert (restored["name"], restored["searchable"]) == ("Tea", True)
    problem(till.post(gone["restore_url"]), 404, "not_found")
    assert [action for _, action in entries(catalog, "GONE-1")[:2]] == ["product.undelete", "product.delete"]


def test_a_product_is_renamed(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "OLD-1", 1080)
    create(catalog, "OLD-2", 1081)
    assert shown(till.post(f"{PATH}/OLD-1/rename", json={"sku": "NEW/1"}))["url"] == f"{PATH}/NEW%252F1"
    problem(till.get(f"{PATH}/OLD-1"), 404, "not_found")
    problem(till.post(f"{PATH}/OLD-2/rename", json={"sku": "NEW/1"}), 409, "sku_exists")
    problem(till.post(f"{PATH}/OLD-2/rename", json={"sku": "new/1"}), 409, "sku_alike")
    assert wrong_fields(till.post(f"{PATH}/OLD-2/rename", json={"sku": ""})) == ["sku"]


@pytest.mark.parametrize(
    "sku",
    [
        *("a/1", "a//1", "a/photos", "a#1", "a?x=1", "100% a", "a%2F1", "a\\1", "é", "चाय", "茶 1", "a.", "...", "a+b"),
        *("a&b", "a;b", "a,b", "a'b", 'a"b', "<a>", "rename", "a/rename", "a/photos/file", "%"),
    ],
)
def test_any_sku_is_an_address(till: FlaskClient, catalog: Catalog, sku: str) -> None:
    create(catalog, sku, 1090)
    listed = till.get(PATH, query_string={"search": sku, "limit": 200}).get_json()["products"]
    (url,) = [product["url"] for product in listed if product["sku"] == sku]
    assert re.fullmatch(rf"{PATH}/[^/\\?#\s\"'<>&;]+", url), "one part of a path"
    assert shown(till.patch(url, json={"name": "named"}))["sku"] == sku
    assert shown(till.put(url, json={"brand": "B"}))["name"] == "named"
    (photo,) = shown(till.get(url))["photos"]
    assert till.get(photo["url"]).get_json()["id"] == photo["id"]
    assert till.delete(url).status_code == 200
    problem(till.get(url), 404, "not_found")


def test_a_list_is_read_to_its_end_while_products_are_added(till: FlaskClient, catalog: Catalog) -> None:
    for number in range(7):
        create(catalog, f"L{number}", 1100 + number, brand="List", category=f"C{number % 2}")
    products.set_active(catalog, "L6", False, actor="test")
    skus, query = [], {"brand": "List", "state": "all", "limit": 2}
    for part in range(10):
        body = till.get(PATH, query_string=query).get_json()
        schemas.ProductList.model_validate(body, extra="forbid")
        skus += [product["sku"] for product in body["products"]]
        create(catalog, f"K{part}", 1120 + part, brand="List")
        if body["next"] is None:
            break
        query["cursor"] = body["next"]
    assert skus == [f"L{number}" for number in range(7)]
    first = till.get(PATH, query_string={"brand": "List", "limit": 1}).get_json()
    assert shown(till.get(first["products"][0]["url"])) == first["products"][0]
    assert first["total"] == len(products.list_page(catalog.database, Filter(brand="List")).products)


@pytest.mark.parametrize(
    ("query", "skus"),
    [
        ({"search": "green"}, ["Q1"]),
        ({"category": "Tea"}, ["Q1", "Q2"]),
        ({"label": "shelf"}, ["Q2"]),
        ({"variant_group": "g"}, ["Q1"]),
        ({"few_photos": "2"}, ["Q1", "Q2"]),
        ({"state": "retired"}, ["Q4"]),
        ({"state": "all", "sort": "newest"}, ["Q4", "Q3", "Q2", "Q1"]),
        ({"sort": "name"}, ["Q3", "Q1", "Q2"]),
        ({"with_warnings": "true"}, []),
        ({"pending": "true"}, []),
        ({"never_recognized": "true"}, ["Q1", "Q2", "Q3"]),
        ({"search": "nobody"}, []),
    ],
)
def test_the_filters_of_the_pages(till: FlaskClient, catalog: Catalog, query: dict[str, str], skus: list[str]) -> None:
    if not products.list_page(catalog.database, Filter(brand="Filters")).products:
        unchecked = Intake("test", check="off")  # other tests' photos may look alike
        tea = {"brand": "Filters", "category": "Tea"}
        products.create(catalog, Facts("Q1", "Green tea", variant_group="g", **tea), shots(1140), unchecked)
        products.create(catalog, Facts("Q2", "Red tea", labels=("shelf",), **tea), shots(1141), unchecked)
        products.create(catalog, Facts("Q3", "Coffee", "Filters"), shots(1142, 1143), unchecked)
        products.create(catalog, Facts("Q4", "Old", "Filters"), shots(1144), unchecked)
        products.set_active(catalog, "Q4", False, actor="test")
    body = till.get(PATH, query_string={"brand": "Filters", **query}).get_json()
    assert [product["sku"] for product in body["products"]] == skus
    assert body["total"] == len(skus) and body["next"] is None


def test_every_parameter_at_fault_is_named(till: FlaskClient) -> None:
    query = {"limit": "0", "few_photos": "x", "state": "gone", "sort": "price", "pending": "perhaps"}
    assert set(wrong_fields(till.get(PATH, query_string=query))) == set(query)
    assert wrong_fields(till.get(f"{PATH}?serch=x&label=y")) == ["serch"]
    assert problem(till.get(f"{PATH}?cursor=xyz"), 422, "invalid_input")["field"] == "cursor"


def test_each_operation_needs_its_scope(app: Flask, catalog: Catalog) -> None:
    create(catalog, "SCOPE-1", 1150)
    for scope, reads, writes in (("catalog:read", 200, 403), ("catalog:write", 403, 200), ("recognize", 403, 403)):
        client = app.test_client()
        key = accounts.add_key(catalog.database, scope, [scope], actor="test").key
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        assert client.get(PATH).status_code == reads and client.get(f"{PATH}/SCOPE-1").status_code == reads
        assert client.patch(f"{PATH}/SCOPE-1", json={}).status_code == writes
        assert client.put(f"{PATH}/SCOPE-1", json={}).status_code == writes


@pytest.mark.parametrize(
    ("below", "allowed"),
    [
        ("photos", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("photos/21a29a10-a8e0-556b-80c8-5dd85e66eb9a", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("photos/21a29a10-a8e0-556b-80c8-5dd85e66eb9a/file", {"GET", "HEAD", "OPTIONS"}),
        ("rename", {"POST", "OPTIONS"}),
    ],
)
def test_what_is_below_a_product_is_no_product(till: FlaskClient, below: str, allowed: set[str]) -> None:
    reply = till.patch(f"{PATH}/ANY/{below}", json={})
    problem(reply, 405, "method_not_allowed")
    assert set(reply.headers["Allow"].split(", ")) == allowed

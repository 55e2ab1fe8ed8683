"""What staff do with one product: its facts, SKU and photos, its history, the bin."""

from __future__ import annotations

import html
import io
import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from werkzeug.test import TestResponse

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake, barcode_owners
from catalog.recognition import recognize
from catalog.storage import content_hash
from catalog.storage.tables import RecognitionEntry, now
from tests.support.pictures import jpeg
from tests.support.staff import PASSWORD, Staff, csrf_of, facts_shown
from web.security import limiter

EAN = "5901234123457"


def add(catalog: Catalog, sku: str, *seeds: int, **facts: Any) -> list[uuid.UUID]:
    """A product with these photos; their ids."""
    photos = [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in seeds]
    added = products.create(catalog, Facts(sku, **facts), photos, Intake("test", check="off", read_barcodes=False))
    return [photo.id for photo in added.photos]


def get(catalog: Catalog, sku: str) -> Any:
    return products.get(catalog.database, sku)


def hashes(catalog: Catalog, sku: str) -> list[str]:
    return [photo.sha256 for photo in get(catalog, sku).photos]


def text(reply: TestResponse) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", reply.get_data(as_text=True)).split()))


def field_of(reply: TestResponse, name: str) -> str:
    """The tag of a form's field."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*>', reply.get_data(as_text=True))
    assert found
    return html.unescape(found[0])


def follow(staff: Staff, reply: TestResponse) -> str:
    assert reply.status_code == 302, text(reply)
    return text(staff.get(reply.location))


def test_all_facts_are_edited_in_one_form(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-1", 801, brand="Acme", labels=("a, b", "x"), attributes={"size": "20"}, variant_group="teas")
    page = "/products/PP-1"
    shown = facts_shown(staff, page)
    assert (shown["variant_group"], shown["label"]) == ("teas", ["a, b", "x"])
    form = {**shown, "name": "Tea", "category": "Drinks", "label": ["a, b"], "new_labels": "store 12,\n bakery ,"}
    form |= {"attribute": ["size", " color ", "", ""], "value": ["", "green", "", ""]}
    assert "Saved." in follow(staff, staff.send(f"{page}/facts", form, page=page))
    product = get(catalog, "PP-1")
    assert (product.name, product.brand, product.category, product.variant_group) == ("Tea", "Acme", "Drinks", "teas")
    assert [label.name for label in product.labels] == ["a, b", "bakery", "store 12"]
    assert product.attributes == {"color": "green"}
    known = staff.get(page).get_data(as_text=True)
    assert '<datalist id="known-brand">' in known and '<option value="Acme">' in known


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": "x" * 201}, "name", "201 characters"),
        ({"new_labels": "a|b"}, "new_labels", "neither | nor ;"),
        ({"attribute": ["size", "size"], "value": ["1", "2"]}, "attribute", "two attributes"),
        ({"attribute": ["", "size"], "value": ["typed", "2"]}, "value", "has no name"),
    ],
)
def test_an_error_is_told_beside_its_field_and_nothing_typed_is_lost(
    staff: Staff, catalog: Catalog, wrong: dict[str, Any], field: str, words: str
) -> None:
    sku = f"PP-2-{field}"
    add(catalog, sku, 802, labels=("x",))
    page = f"/products/{sku}"
    typed = {**facts_shown(staff, page), "brand": "Typed", "label": [], **wrong}
    reply = staff.send(f"{page}/facts", typed, page=page)
    assert reply.status_code == 422 and words in text(reply)
    assert reply.get_data(as_text=True).count('aria-invalid="true"') >= (field != "value")
    if field != "value":
        described = re.search(r'aria-describedby="([\w-]+)"', field_of(reply, field))
        assert described and f'id="{described[1]}"' in reply.get_data(as_text=True)
    value = wrong[field][0] if isinstance(wrong[field], list) else wrong[field]
    assert f'value="{value}"' in reply.get_data(as_text=True) and 'value="Typed"' in field_of(reply, "brand")
    assert "checked" not in field_of(reply, "label"), "an unticked label stays so"
    assert (get(catalog, sku).brand, len(get(catalog, sku).labels)) == ("", 1)


def test_who_was_second_sees_both_and_saves_on_top(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-3", 803, name="Tea", labels=("x",), attributes={"size": "20"})
    page = "/products/PP-3"
    mine = {**facts_shown(staff, page), "name": "Green tea", "new_labels": "mine"}
    theirs = Facts("PP-3", "Black tea", "Acme", labels=("x", "theirs"), attributes={"size": "30"})
    products.change(catalog.database, theirs, actor="ben")
    reply = staff.send(f"{page}/facts", mine, page=page)
    assert reply.status_code == 409 and get(catalog, "PP-3").name == "Black tea"
    said = text(reply)
    assert "Both of you changed it. Before: Tea , theirs: Black tea , yours: Green tea" in said
    assert "size : Changed meanwhile. Before: 20 , theirs: 30" in said
    assert 'value="Green tea"' in field_of(reply, "name") and 'value="Acme"' in field_of(reply, "brand")
    form = reply.get_data(as_text=True)
    assert re.findall(r'name="label" value="(\w+)" checked', form) == ["mine", "theirs", "x"]
    again = dict(re.findall(r'name="(version|was|name|brand)" value="([^"]*)"', form[form.index('id="facts"') :]))
    sent = {name: html.unescape(value) for name, value in again.items()}
    sent |= {"label": ["mine", "theirs", "x"], "attribute": ["size"], "value": ["30"]}
    assert "Saved." in follow(staff, staff.send(f"{page}/facts", sent, page=page))
    product = get(catalog, "PP-3")
    assert (product.name, product.brand, len(product.labels)) == ("Green tea", "Acme", 3)


def test_a_form_that_does_not_say_what_it_showed_changes_nothing(staff: Staff, catalog: Catalog) -> None:
    """As one of a page that was open while a newer version was installed."""
    add(catalog, "PP-4", 804, labels=("x",), attributes={"size": "20"})
    for was in ({}, {"was": "[" * 5000}, {"was": "3"}, {"was": '{"name": "\\udfff"}'}):
        form = {"name": "Tea", "version": get(catalog, "PP-4").version - 1, **was}
        reply = staff.send("/products/PP-4/facts", form, page="/products/PP-4")
        assert reply.status_code == 409 and 'value="Tea"' in field_of(reply, "name")
    product = get(catalog, "PP-4")
    assert (product.name, len(product.labels), product.attributes) == ("PP-4", 1, {"size": "20"})


def test_a_product_is_renamed_or_told_why_not(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-5", 805)
    add(catalog, "PP-5-TAKEN", 806)
    page = "/products/PP-5"
    for new, status in (("PP-5-TAKEN", 409), ("pp-5-taken", 409), ("a/../b", 422)):
        reply = staff.send(f"{page}/rename", {"sku": new, "version": get(catalog, "PP-5").version}, page=page)
        assert reply.status_code == status and f'value="{new}"' in field_of(reply, "sku")
        assert 'aria-describedby="sku-problem"' in field_of(reply, "sku")
    reply = staff.send(f"{page}/rename", {"sku": " PP-5/new ", "version": get(catalog, "PP-5").version}, page=page)
    assert "The SKU is PP-5/new now." in follow(staff, reply)
    assert recognize(catalog, jpeg(805)).matches[0].sku == "PP-5/new"


def test_a_barcode_that_is_taken_is_told_beside_the_field(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-6", 807)
    add(catalog, "PP-6-OWNER", 808, barcodes=("40170725",))
    reply = staff.send("/products/PP-6/barcodes", {"barcode": "4017 0725"}, page="/products/PP-6")
    assert reply.status_code == 409 and "belongs to the product" in text(reply)
    assert 'value="4017 0725"' in field_of(reply, "barcode") and "aria-invalid" in field_of(reply, "barcode")


def test_a_photo_is_cropped_rotated_replaced_and_shown_first(staff: Staff, catalog: Catalog) -> None:
    ids = add(catalog, "PP-7", 811, 812)
    page = f"/products/PP-7/photos/{ids[1]}"
    assert "Photo 2 of 2" in text(staff.get(page))
    follow(staff, staff.send(f"{page}/cover", {}, page=page))
    assert hashes(catalog, "PP-7")[0] == content_hash(jpeg(812))
    box = {"left": "50", "top": "0", "right": "100", "bottom": "100"}
    for wrong in ({**box, "left": "x"}, {**box, "left": "100"}, {**box, "right": "nan"}):
        reply = staff.send(f"{page}/crop", wrong, page=page)
        assert reply.status_code == 422 and f'value="{wrong["left"]}"' in field_of(reply, "left")
    reply = staff.send(f"{page}/crop", box, page=page)
    assert "Only that part counts now." in follow(staff, reply)
    cropped = get(catalog, "PP-7").photos[0]
    assert (cropped.width, cropped.height, cropped.crop) == (160, 240, [0.5, 0.0, 1.0, 1.0])
    reply = staff.send(f"{reply.location}/rotate", {"turns": "1"}, page=page.replace(str(ids[1]), str(cropped.id)))
    follow(staff, reply)
    assert get(catalog, "PP-7").photos[0].width == 240
    whole = staff.send(f"{reply.location}/uncrop", {}, page=reply.location)
    assert "whole photo" in follow(staff, whole) and get(catalog, "PP-7").photos[0].height == 320
    assert staff.send(f"{whole.location}/uncrop", {}, page=whole.location).status_code == 409
    for wrong in ({}, {"photo": (io.BytesIO(b"no photo"), "a.jpg")}):
        assert staff.send(f"{whole.location}/replace", wrong, page=whole.location).status_code in (415, 422)
    other = {"photo": (io.BytesIO(jpeg(813)), "813.jpg")}
    assert "Replaced" in follow(staff, staff.send(f"{whole.location}/replace", other, page=whole.location))
    assert hashes(catalog, "PP-7") == [content_hash(jpeg(813)), content_hash(jpeg(811))]
    assert recognize(catalog, jpeg(813)).matches[0].sku == "PP-7"
    large = staff.get(f"/photos/{content_hash(jpeg(813))}/large")
    assert Image.open(io.BytesIO(large.data)).size == (320, 240)


def test_photos_are_chosen_and_moved_to_a_product_that_is_searched(staff: Staff, catalog: Catalog) -> None:
    ids = add(catalog, "PP-8", 821, 822, 823)
    add(catalog, "PP-8-OTHER", 824, name="Another tea")
    page = "/products/PP-8"
    reply = staff.send(f"{page}/photos/move", {"photo": ids[:2]}, page=page)
    choose = reply.location
    assert "Move 2 photos" in follow(staff, reply)
    found = staff.get(f"{choose}&search=pp-8").get_data(as_text=True)
    assert 'value="PP-8-OTHER"' in found and 'name="to" value="PP-8"' not in found, "not to itself"
    assert f"/photos/{content_hash(jpeg(824))}/thumbnail" in found
    assert "No other product found" in text(staff.get(f"{choose}&search=nothing-like-it"))
    reply = staff.send(f"{page}/photos/move", {"photo": ids[:2], "to": "PP-8-OTHER"}, page=choose)
    assert "2 photos are with PP-8-OTHER now." in follow(staff, reply)
    assert [recognize(catalog, jpeg(seed)).matches[0].sku for seed in (821, 823)] == ["PP-8-OTHER", "PP-8"]
    for nothing in ("delete", "move"):
        assert "Choose a photo first." in follow(staff, staff.send(f"{page}/photos/{nothing}", {}, page=page))


def undo(staff: Staff, reply: TestResponse) -> TestResponse:
    """Press the button in the message of a deletion."""
    shown = staff.get(reply.location).get_data(as_text=True)
    action = re.search(r'action="(/bin/[0-9a-f-]+/restore)"', shown)
    assert action, shown
    return staff.send(action[1], {}, page="/bin/")


def test_deleted_photos_are_undone_from_the_message(staff: Staff, catalog: Catalog) -> None:
    ids = add(catalog, "PP-9", 831, 832, 833)
    add(catalog, "PP-9-OTHER", 834)
    page = "/products/PP-9"
    reply = staff.send(f"{page}/photos/delete", {"photo": ids[:2]}, page=page)
    assert hashes(catalog, "PP-9") == [content_hash(jpeg(833))]
    assert recognize(catalog, jpeg(831)).matches[0].score < 0.999
    assert "2 photos restored." in follow(staff, undo(staff, reply))
    assert len(hashes(catalog, "PP-9")) == 3 and recognize(catalog, jpeg(831)).matches[0].sku == "PP-9"


def test_a_deleted_product_is_restored_from_the_bin(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-10", 841, name="Bin tea", barcodes=(EAN,))
    reply = staff.send("/products/PP-10/delete", {}, page="/products/PP-10")
    add(catalog, "PP-10-OTHER", 842, barcodes=(EAN,))
    shown = follow(staff, undo(staff, reply))
    assert "belongs to the product 'PP-10-OTHER'" in shown and "Bin tea PP-10 product Deleted by anna" in shown
    assert staff.get("/products/PP-10").status_code == 404
    barcode_owners.remove(catalog.database, "PP-10-OTHER", EAN, actor="test")
    entry = products.list_deleted(catalog.database).entries[0]
    reply = staff.send(f"/bin/{entry.id}/restore", {}, page="/bin/")
    assert "Bin tea is back, with 1 photo." in follow(staff, reply)
    assert recognize(catalog, jpeg(841)).matches[0].sku == "PP-10"
    again = staff.send(f"/bin/{entry.id}/restore", {}, page="/keys/")
    assert "has left the bin" in follow(staff, again)


def test_an_admin_deletes_for_good_what_is_in_the_bin(app: Flask, staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-13", 845)
    staff.send("/products/PP-13/delete", {}, page="/products/PP-13")
    entry = products.list_deleted(catalog.database).entries[0]
    shown = staff.get("/bin/").get_data(as_text=True)
    assert f'action="/bin/{entry.id}/delete"' in shown and "Nothing brings this product back" in shown
    limiter.reset()
    accounts.add_user(catalog.database, "editor of the bin", PASSWORD, role="editor", actor="test")
    editor = Staff(app.test_client(), "editor of the bin", PASSWORD)
    assert "for good" not in editor.get("/bin/").get_data(as_text=True)
    assert editor.send(f"/bin/{entry.id}/delete", {}, page="/bin/").status_code == 403
    reply = staff.send(f"/bin/{entry.id}/delete", {"page": "1"}, page="/bin/")
    assert reply.location == "/bin/?page=1"
    assert "It is deleted for good." in follow(staff, reply)
    assert entry.id not in [left.id for left in products.list_deleted(catalog.database).entries]
    assert "has left the bin" in follow(staff, staff.send(f"/bin/{entry.id}/delete", {}, page="/bin/"))
    assert "PP-13 : Deleted for good from the bin by" in text(staff.get("/audit/?search=for+good+from"))


def test_the_history_tells_differences_and_reverts_them(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-11", 851, name="Tea")
    products.change(catalog.database, Facts("PP-11", "Coffee"), actor="ben")
    page = "/products/PP-11/history"
    shown = staff.get(page)
    assert "Changed by ben" in text(shown) and "name Tea Coffee" in text(shown) and "Added by test" in text(shown)
    revert = re.findall(r'action="([^"]+/revert)"', shown.get_data(as_text=True))
    assert len(revert) == 1
    assert "as it was before" in follow(staff, staff.send(revert[0], {}, page=page))
    assert get(catalog, "PP-11").name == "Tea"
    assert "changed again" in follow(staff, staff.send(revert[0], {}, page=page))
    assert staff.send(f"{page}/99999999999999999999/revert", {}, page=page).status_code == 404


def test_the_page_tells_how_often_tills_recognize_it(staff: Staff, catalog: Catalog) -> None:
    add(catalog, "PP-12", 861)
    assert "Never yet" in text(staff.get("/products/PP-12"))
    facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "x", "milliseconds": 1.0}
    with catalog.database.write() as session:
        for days in (0, 0, 3, 40):
            at = now() - timedelta(days=days)
            owner = get(catalog, "PP-12").id
            session.add(RecognitionEntry(id=uuid.uuid4(), at=at, product_id=owner, sku="PP-12", **facts))
    shown = staff.get("/products/PP-12")
    assert "3 times in 30 days, last on " in text(shown)
    assert shown.get_data(as_text=True).count("<rect") == 30 and 'aria-label="By day: most 2, today 2"' in shown.text


def test_every_form_needs_its_token_and_a_sign_in(staff: Staff, anybody: Any, catalog: Catalog) -> None:
    (photo,) = add(catalog, "PP-13", 871)
    page = "/products/PP-13"
    one = f"{page}/photos/{photo}"
    targets = [f"{page}/{end}" for end in ("rename", "delete", "photos/delete", "photos/move", "history/1/revert")]
    targets += [f"{one}/{end}" for end in ("crop", "uncrop", "rotate", "replace", "cover")]
    for target in (*targets, f"/bin/{uuid.uuid4()}/restore"):
        assert staff.client.post(target, data={}).status_code == 400, target
        token = {"csrf_token": csrf_of(anybody, "/login")}
        assert anybody.post(target, data=token).status_code == 401, target
    assert hashes(catalog, "PP-13") == [content_hash(jpeg(871))]

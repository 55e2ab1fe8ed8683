"""The product list in the browser's terms: addresses, changes of many, downloads, a photo as the search."""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from catalog import products
from catalog.catalog import Catalog
from catalog.products import Facts, Intake
from catalog.storage.tables import InboxPhoto, Photo, Product, RecognitionEntry
from tests.support.pictures import jpeg
from tests.support.staff import Staff, facts_shown
from tests.support.steps import shots


@pytest.fixture
def filled(catalog: Catalog) -> Iterator[Catalog]:
    """Six products of the category List."""
    for number in range(6):
        brand, group = ("Übel", "")[number % 2], "Crème" if 0 < number < 4 else ""
        labels = ("s 1",) * (number < 2)
        facts = Facts(f"L-{number}", f"Crème {number}", brand, "List", variant_group=group, labels=labels)
        products.create(catalog, facts, shots(200 + number), Intake("test"))
    with catalog.database.write() as session:  # drawn photos are near to one another
        mine = select(Product.id).where(Product.sku.startswith("L-"))
        session.execute(update(Photo).where(Photo.product_id.in_(mine)).values(status="accepted"))
        mine = mine.where(Product.sku == "L-5")
        session.execute(update(Photo).where(Photo.product_id.in_(mine)).values(status="overruled"))
    yield catalog
    for number in range(6):
        products.purge(catalog, f"L-{number}", actor="test")


def text(reply: TestResponse) -> str:
    return html.unescape(reply.get_data(as_text=True))


def listed(reply: TestResponse) -> list[str]:
    assert reply.status_code == 200
    return [f"L-{number}" for number in re.findall(r'value="L-(\d)"', text(reply))]


def test_every_filter_is_in_the_address_and_in_the_form(filled: Catalog, staff: Staff) -> None:
    for query, expected in (
        ("search=creme+list", "012345"),
        ("category=List&brand=%C3%9Cbel", "024"),
        ("category=List&label=s+1", "01"),
        ("category=List&label=s+1&brand=%C3%9Cbel", "0"),
        ("category=List&group=Cr%C3%A8me", "123"),
        ("group=Cr%C3%A8me&sort=newest&label=s+1", "1"),
        ("category=List&group=none", ""),
        ("category=List&few=2&never=1", "012345"),
        ("category=List&few=1", ""),
        ("category=List&warned=1", "5"),
        ("category=List&state=pending", ""),
        ("category=List&state=retired", ""),
        ("category=List&sort=newest", "543210"),
        ("category=List&sort=newest&view=table", "543210"),
        ("category=List&sort=none&few=x&view=none&state=none&never=yes", "012345"),
    ):
        assert listed(staff.get(f"/products/?{query}")) == [f"L-{number}" for number in expected], query
    page = text(staff.get("/products/?category=List&brand=%C3%9Cbel&few=3&never=1&sort=name&view=table"))
    for chosen in ('value="List" selected', 'value="Übel" selected', 'value="name" selected', 'value="3"'):
        assert chosen in page, chosen
    assert "3 found" in page and 'name="never" value="1" checked' in page
    page = text(staff.get("/products/?group=Cr%C3%A8me"))
    assert 'name="group" dir="auto" value="Crème"' in page and '<option value="Crème">' in page
    assert "variant group Crème" in page and 'href="/products/?group=Cr%C3%A8me' in text(staff.get("/products/L-1"))


def test_nothing_found_says_what_to_take_away(filled: Catalog, staff: Staff) -> None:
    page = text(staff.get("/products/?category=List&brand=none&few=1"))
    ways = re.findall(r'class="condition" href="([^"]+)"', page)
    assert [len(listed(staff.get(way))) for way in ways] == [0, 0, 0]
    assert 'aria-label="Without no photo"' in page
    ways = re.findall(r'class="condition" href="([^"]+)"', text(staff.get("/products/?category=List&brand=none")))
    assert [len(listed(staff.get(way))) for way in ways] == [0, 6]


def test_many_are_changed_and_that_is_undone(filled: Catalog, staff: Staff) -> None:
    where = "/products/?category=List&brand=%C3%9Cbel"
    chosen = {"category": "List", "brand": "Übel", "sku": ["L-0", "L-2"]}
    page = staff.send("/bulk/", chosen, page=where)
    assert page.status_code == 200 and "Change 2 products" in text(page)
    refused = staff.send("/bulk/change", {**chosen, "add_labels": "a|b", "new_brand": "Neu"}, page=where)
    assert refused.status_code == 422 and 'value="a|b"' in text(refused) and 'value="Neu"' in text(refused)
    done = staff.send("/bulk/change", {**chosen, "add_labels": "new; s 2", "new_brand": "Neu"}, page=where)
    assert done.status_code == 302
    changed = products.get(filled.database, "L-2")
    assert ([label.name for label in changed.labels], changed.brand, changed.category) == (
        ["new", "s 2"],
        "Neu",
        "List",
    )
    shown = text(staff.get(done.location))
    (target,) = re.findall(r'action="(/bulk/\d+/undo)"', shown)
    assert "2 products changed" in shown and listed(staff.get(done.location)) == ["L-4"], "the list is the same one"
    products.change(filled.database, Facts("L-0", "Crème 0", "Other", "List"), actor="ben")
    assert staff.send(target, {"from": "audit"}, page="/audit/").location == "/audit/"
    log = text(staff.get("/audit/"))
    assert "Undone: 1 product as before" in log and "left as they are: L-0" in log
    assert products.get(filled.database, "L-2").brand == "Übel"
    assert "undone already" in text(staff.client.get(staff.send(target, {}, page="/audit/").location))


def test_all_that_is_found_is_retired_and_restored(filled: Catalog, staff: Staff) -> None:
    where, chosen = "/products/?category=List", {"category": "List", "search": "creme", "all": "1"}
    assert "Retire 6 products" in text(staff.send("/bulk/", chosen, page=where))
    staff.send("/bulk/change", {**chosen, "do": "retire"}, page=where)
    assert len(listed(staff.get(where + "&state=retired"))) == 6
    chosen["state"] = "retired"
    assert "Restore 6 products" in text(staff.send("/bulk/", chosen, page=where))
    staff.send("/bulk/change", {**chosen, "do": "restore"}, page=where)
    assert len(listed(staff.get(where))) == 6


def test_nothing_ticked_leads_back(filled: Catalog, staff: Staff) -> None:
    for ticked in ({}, {"sku": "none"}, {"sku": "a\x00b"}):
        reply = staff.send("/bulk/", {"category": "List", "sort": "name", **ticked}, page="/products/")
        assert (reply.status_code, reply.location) == (302, "/products/?category=List&sort=name")
        assert "Tick products first." in text(staff.get(reply.location))


def test_exactly_these_are_downloaded(filled: Catalog, staff: Staff) -> None:
    chosen = {"category": "List", "label": "s 1", "all": "1"}
    reply = staff.send("/bulk/export", chosen, page="/products/")
    assert reply.headers["Content-Disposition"] == "attachment; filename=products.csv"
    rows = list(csv.DictReader(io.StringIO(reply.get_data().decode("utf-8-sig"))))
    assert [(row["sku"], row["brand"]) for row in rows] == [("L-0", "Übel"), ("L-1", "")]
    reply = staff.send("/bulk/export", {"sku": ["L-3"], "photos": "1"}, page="/products/")
    with zipfile.ZipFile(io.BytesIO(reply.get_data())) as archive:
        assert sorted(archive.namelist())[0] == "catalog.csv" and len(archive.namelist()) == 2
    reply.close()


def test_a_download_says_what_is_left_out(filled: Catalog, staff: Staff) -> None:
    (photo,) = products.get(filled.database, "L-3").photos
    path = next((filled.settings.data / "photos").rglob(photo.sha256))
    aside = path.rename(path.with_name("aside"))
    try:
        with staff.send("/bulk/export", {"sku": ["L-3"], "photos": "1"}, page="/products/") as reply:
            assert reply.status_code == 200
    finally:
        aside.rename(path)
    shown = text(staff.get("/products/"))
    assert f"Not in the download, since they can't be read: L-3: {photo.filename}" in shown


def test_a_photo_finds_products_and_is_kept_nowhere(filled: Catalog, staff: Staff) -> None:
    def kept() -> list[int | None]:
        filled.answers.flush()
        with filled.database.read() as session:
            return [session.scalar(select(func.count()).select_from(table)) for table in (InboxPhoto, RecognitionEntry)]

    before = kept()
    for script in (True, False):
        sent = {"photo": (io.BytesIO(jpeg(203)), "a.jpg")}
        reply = staff.send("/alike/", sent, page="/products/", script=script)
        assert reply.status_code == 200
        found = re.findall(r'href="/products/([^"?]+)"', text(reply))
        assert found[0] == "L-3" and len(found) == len(set(found)) > 3
        assert "score 1.000" in text(reply)
    for bad in ({}, {"photo": (io.BytesIO(b"none"), "a.jpg")}):
        assert staff.send("/alike/", bad, page="/products/").status_code in (415, 422)
    assert staff.get("/alike/").location == "/products/"
    assert kept() == before


def ways(page: str) -> dict[str, str]:
    """Where the links to the previous and the next product lead."""
    return dict(re.findall(r'rel="(prev|next)" href="([^"]+)"', page))


def shown_as(page: str) -> str:
    found = re.search(r"<h1><bdi>([^<]+)", page)
    assert found
    return found[1]


@pytest.mark.parametrize(("order", "expected"), [("sku", "024"), ("newest", "420"), ("name", "024")])
def test_one_goes_through_a_list_from_product_to_product(
    filled: Catalog, staff: Staff, order: str, expected: str
) -> None:
    listed_at = text(staff.get(f"/products/?category=List&brand=%C3%9Cbel&sort={order}"))
    (way,) = re.findall(rf'class="tile" href="(/products/L-{expected[0]}\?[^"]+)"', listed_at)
    page, seen = text(staff.get(way)), [way]
    assert "prev" not in ways(page) and "/products/?category=List&brand=%C3%9Cbel" in page
    for number in expected[1:]:
        seen.append(ways(page)["next"])
        page = text(staff.get(seen[-1]))
        assert shown_as(page) == f"Crème {number}"
    assert "next" not in ways(page)
    back = text(staff.get(ways(page)["prev"]))
    assert shown_as(back) == f"Crème {expected[1]}" and ways(back)["prev"].startswith(f"/products/L-{expected[0]}?")


def test_the_place_in_a_list_outlives_forms_and_what_leaves_the_list(filled: Catalog, staff: Staff) -> None:
    listed_at = text(staff.get("/products/?category=List&label=s+1&view=table"))
    (way,) = re.findall(r'href="(/products/L-0\?[^"]+)"', listed_at)
    page = text(staff.get(way))
    (form,) = re.findall(r'action="(/products/L-0/facts\?[^"]+)#facts"', page)
    facts = {**facts_shown(staff, "/products/L-0"), "label": [], "new_labels": "other"}
    reply = staff.send(form, facts, page=way)
    assert reply.status_code == 302 and "list=" in reply.location
    page = text(staff.get(reply.location))
    assert "Saved." in page and listed(staff.get("/products/?category=List&label=s+1")) == ["L-1"]
    assert ways(page)["next"].startswith("/products/L-1?") and "prev" not in ways(page)
    (rename,) = re.findall(r'action="(/products/L-0/rename\?[^"]+)#sku-panel"', page)
    reply = staff.send(rename, {"sku": "L-0-NEW"}, page=way)
    assert "L-0-NEW?list=" in reply.location and "next" in ways(text(staff.get(reply.location)))
    products.rename(filled, "L-0-NEW", "L-0", actor="test")
    for cut in ("at=", "sort=newest&at=[1]", "at=%00&sort=name", "x" * 9000, "at=" + "[" * 3000 + "&sort=most"):
        assert ways(text(staff.get(f"/products/L-1?list={quote(cut)}"))) == {}, cut[:20]
    assert "Back to the list" not in text(staff.get("/products/L-1"))

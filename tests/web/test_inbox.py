"""The inbox in the pages: a till fails, a click, and the next till recognizes the product."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from catalog import accounts, inbox, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.recognition import recognize
from catalog.storage.tables import InboxPhoto
from tests.support.bars import bars
from tests.support.catalogs import open_catalog
from tests.support.pictures import encode, jpeg, picture
from tests.support.staff import NAME, PASSWORD, Staff
from tests.support.steps import create
from web import create_app
from web.gate import Gate
from web.security import limiter
from web.serving import Head

#: Pictures that the photo of TEA does not match, and that are unlike one another (see tests/catalog/inbox).
SEEDS = (4003, 4007, 4041, 4196)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(tmp_path_factory.mktemp("inbox"))}))
    accounts.add_user(catalog.database, NAME, PASSWORD, actor="test")
    create(catalog, "TEA", 1)
    yield create_app(catalog, "a key for tests only, long enough")
    catalog.close()


@pytest.fixture
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    with found.database.write() as session:
        session.execute(delete(InboxPhoto))
    return found


@pytest.fixture
def till(app: Flask, catalog: Catalog) -> FlaskClient:
    client = app.test_client()
    key = accounts.add_key(catalog.database, "till 3", accounts.SCOPES, actor="test").key
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def staff(app: Flask, catalog: Catalog) -> Staff:
    limiter.reset()
    return Staff(app.test_client())


def ask(till: FlaskClient, catalog: Catalog, data: bytes) -> uuid.UUID:
    answer = till.post("/api/v1/recognize", data=data, content_type="image/jpeg").get_json()
    catalog.unanswered.flush()
    return uuid.UUID(answer["id"])


def shown(staff: Staff) -> str:
    return staff.get("/inbox/").get_data(as_text=True)


def test_from_a_tills_failure_to_the_next_tills_match(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    assert "Nothing is waiting" in shown(staff)
    photo = ask(till, catalog, jpeg(SEEDS[0]))
    page = shown(staff)
    assert "Asked once" in page and "key till 3" in page and str(photo) in page
    picture_of = staff.get(f"/inbox/photos/{photo}")
    assert (picture_of.status_code, picture_of.content_type) == (200, "image/jpeg")
    reply = staff.send(f"/inbox/photos/{photo}/product", {"sku": "TEA"}, page="/inbox/")
    assert (reply.status_code, reply.location) == (302, "/inbox/")
    page = shown(staff)
    assert "Added to TEA (TEA), searchable" in page
    assert "Nothing is waiting" in page
    answer = till.post("/api/v1/recognize", data=jpeg(SEEDS[0]), content_type="image/jpeg").get_json()
    assert (answer["decision"], answer["matches"][0]["sku"]) == ("match", "TEA")
    products.delete_photos(catalog, "TEA", [products.get(catalog.database, "TEA").photos[1].id], actor="test")


def test_a_warning_is_asked_first_and_the_answer_is_one_click(
    till: FlaskClient, staff: Staff, catalog: Catalog
) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[1]))
    create(catalog, "COFFEE", SEEDS[1])
    reply = staff.send(f"/inbox/photos/{photo}/product", {"sku": "TEA"}, page="/inbox/", anyway=False)
    asked = reply.get_data(as_text=True)
    assert reply.status_code == 422
    assert "The same picture is in the catalog as COFFEE" in asked
    assert 'name="sku" value="TEA"' in asked and 'name="anyway"' in asked
    assert len(products.get(catalog.database, "TEA").photos) == 1
    staff.send(f"/inbox/photos/{photo}/product", {"sku": "TEA"}, page="/inbox/")
    assert len(products.get(catalog.database, "TEA").photos) == 2
    products.purge(catalog, "COFFEE", actor="test")
    products.delete_photos(catalog, "TEA", [products.get(catalog.database, "TEA").photos[1].id], actor="test")


def test_a_new_product_has_its_photos_and_the_barcode_on_them(
    till: FlaskClient, staff: Staff, catalog: Catalog
) -> None:
    scene = picture(SEEDS[2], (640, 480))
    scene.paste(bars("4006381333931"), (40, 60))
    first = ask(till, catalog, encode(scene, quality=92))
    second = ask(till, catalog, encode(scene, quality=70))
    (group,) = inbox.groups(catalog.database).groups
    assert {item.id for item in group.items} == {first, second}
    link = re.search(r'href="(/add/\?inbox=[^"]+)"', shown(staff))
    assert link is not None
    form = staff.get(link[1].replace("&amp;", "&")).get_data(as_text=True)
    assert 'value="4006381333931"' in form
    assert re.findall(r'name="inbox" value="([^"]+)" checked', form) == [str(second), str(first)]
    given = {"sku": "JUICE", "barcode": "4006381333931", "inbox": [str(second)]}
    reply = staff.send("/add/", given, script=True)
    assert reply.status_code == 201, reply.get_data(as_text=True)
    added = products.get(catalog.database, "JUICE")
    assert ([photo.filename[:5] for photo in added.photos], [code.gtin for code in added.barcodes]) == (
        ["till-"],
        ["04006381333931"],
    )
    assert inbox.ask_again(catalog) == 1
    assert inbox.groups(catalog.database).total == 0


def test_photos_that_left_meanwhile_are_said(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[3]))
    page = f"/add/?inbox={photo}"
    assert staff.get(page).status_code == 200
    inbox.discard(catalog.database, [photo], actor="berta")
    assert staff.get(page).status_code == 200
    assert staff.send("/add/", {"sku": "LATE", "inbox": str(photo)}, script=True).status_code == 404
    assert staff.send(f"/inbox/photos/{photo}/product", {"sku": "TEA"}, page="/inbox/").status_code == 302
    assert "It has left the inbox" in shown(staff)
    assert staff.get(f"/inbox/photos/{photo}").status_code == 404
    with pytest.raises(Exception, match="LATE"):
        products.get(catalog.database, "LATE")


def test_not_ours_and_bad_photos(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[3]))
    staff.send(f"/inbox/photos/{photo}/discard", {}, page="/inbox/")
    assert "The photo is gone." in shown(staff)
    ask(till, catalog, jpeg(SEEDS[3]))
    (group,) = inbox.groups(catalog.database).groups
    staff.send(f"/inbox/{group.id}/not-ours", {}, page="/inbox/")
    assert "not shown again" in shown(staff)
    ask(till, catalog, jpeg(SEEDS[3]))
    assert "Nothing is waiting" in shown(staff)


def test_not_ours_is_undone_by_the_message_or_on_its_page(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[3]))
    (group,) = inbox.groups(catalog.database).groups
    assert "Not ours (" not in shown(staff)
    staff.send(f"/inbox/{group.id}/not-ours", {}, page="/inbox/")
    page = shown(staff)
    undo = f"/inbox/{group.id}/ours"
    assert f'class="alert alert-success undo" method="post" action="{undo}"' in page
    assert "Nothing is waiting" in page and "Not ours (1)" in page
    listed = staff.get("/inbox/not-ours").get_data(as_text=True)
    assert f"/inbox/photos/{photo}" in listed and f"Said by {NAME}" in listed and f'action="{undo}"' in listed
    assert staff.get(f"/inbox/photos/{photo}").status_code == 200
    assert staff.send(undo, {}, page="/inbox/").location == "/inbox/"
    page = shown(staff)
    assert str(photo) in page and "are shown again" in page and "Not ours (" not in page
    staff.send(f"/inbox/{group.id}/not-ours", {}, page="/inbox/")
    reply = staff.send(undo, {"list": "1", "page": "2"}, page="/inbox/not-ours")
    assert (reply.status_code, reply.location) == (302, "/inbox/not-ours?page=2")
    assert str(photo) in shown(staff)
    for late in (group.id, uuid.uuid4()):
        assert staff.send(f"/inbox/{late}/ours", {}, page="/inbox/").status_code == 302
        assert "in the inbox again already" in shown(staff)
    assert "no group was called not ours" in staff.get("/inbox/not-ours").get_data(as_text=True)
    assert "Nothing" in staff.get("/inbox/not-ours?page=7").get_data(as_text=True)


def test_a_sku_that_there_is_not_is_said_and_the_photo_stays(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[3]))
    for sku in ("", "NOBODY", "a\0b", "4006381333931"[:-1]):
        assert staff.send(f"/inbox/photos/{photo}/product", {"sku": sku}, page="/inbox/").status_code == 302
    assert str(photo) in shown(staff)


def test_a_wrong_match_comes_in_by_feedback(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(1))
    assert "Nothing is waiting" in shown(staff)
    feedback = f"/api/v1/recognitions/{photo}/feedback"
    assert till.post(feedback, data={"correct": "false"}).status_code == 204
    catalog.unanswered.flush()
    assert "judged wrong" in shown(staff)


def test_photos_of_a_key_are_not_kept(app: Flask, staff: Staff, catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "private till", actor="test")
    page = staff.get(f"/keys/{made.id}").get_data(as_text=True)
    assert f"/keys/{made.id}/inbox" in page
    assert staff.send(f"/keys/{made.id}/inbox", {"kept": "0"}, page=f"/keys/{made.id}").status_code == 302
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.key}"
    ask(client, catalog, jpeg(SEEDS[3]))
    assert "Nothing is waiting" in shown(staff)


def test_nobody_sees_it_without_signing_in(app: Flask, till: FlaskClient, catalog: Catalog) -> None:
    photo = ask(till, catalog, jpeg(SEEDS[3]))
    for path in ("/inbox/", f"/inbox/photos/{photo}"):
        assert app.test_client().get(path).status_code == 302
    assert app.test_client().post(f"/inbox/photos/{photo}/discard").status_code == 401
    assert inbox.groups(catalog.database).photos == 1


def test_a_photo_that_is_added_does_not_wait_where_tills_and_pages_do(app: Flask) -> None:
    judge = Gate(app)
    path = f"/inbox/photos/{uuid.uuid4()}/product"
    assert judge(Head("POST", path, {}, 100)).lane == "adding"
    assert judge(Head("GET", "/inbox/", {}, 0)).lane == "pages"


def test_many_groups_are_paged(till: FlaskClient, staff: Staff, catalog: Catalog) -> None:
    answer = recognize(catalog, jpeg(SEEDS[3]))
    with catalog.database.write() as session:
        session.add_all(
            InboxPhoto(
                id=uuid.uuid4(),
                decision="unknown",
                candidates=[],
                bundle_id=answer.bundle,
                vector=answer.vector.tobytes(),
                group_id=uuid.uuid4(),
                size=3,
                data=b"123",
            )
            for _ in range(30)
        )
    assert shown(staff).count("data-group aria") == 12
    for page, groups in ((1, 12), (2, 6), (3, 0), (10**9, 0), (-5, 12)):
        text = staff.get(f"/inbox/?page={page}").get_data(as_text=True)
        assert text.count("data-group aria") == groups, page
    assert "30 groups" in staff.get("/inbox/?page=3").get_data(as_text=True)

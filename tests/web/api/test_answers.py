from __future__ import annotations

import base64
import io
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.tables import Feedback, InboxPhoto, RecognitionEntry
from tests.support.pictures import jpeg

#: A cursor of before the year 1.
TOO_EARLY = base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:00 " + b"0" * 32).decode().rstrip("=")


@pytest.fixture(scope="module", autouse=True)
def stock(catalog: Catalog) -> None:
    for seed, label in ((71, "bakery"), (72, "kiosk")):
        facts = Facts(f"SET-{seed}", labels=(label,))
        products.create(catalog, facts, [NewPhoto(f"{seed}.jpg", jpeg(seed))], Intake("test"))


def ask(till: FlaskClient, query: str = ""):
    return till.post(f"/api/v1/recognize{query}", data=jpeg(71), content_type="image/jpeg")


def judge(till: FlaskClient, answer: str, **fields: str):
    return till.post(f"/api/v1/recognitions/{answer}/feedback", data=fields)


def read(till: FlaskClient, answer: str):
    return till.get(f"/api/v1/recognitions/{answer}")


def test_an_answer_is_judged_once_and_read_back(till: FlaskClient, catalog: Catalog) -> None:
    # Among its own products: other tests add pictures to this catalog that lie close to these.
    answer = ask(till, "?label=bakery").get_json()
    before = read(till, answer["id"]).get_json()
    assert (before["decision"], before["sku"], before["key"]) == ("match", "SET-71", "till of the tests")
    assert before["feedback"] is None
    said = {"correct": "false", "sku": "SET-72", "note": "no"}
    assert [judge(till, answer["id"], **said).status_code for _ in range(3)] == [204] * 3
    refused = judge(till, answer["id"], correct="true")
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (409, "feedback_given")
    assert refused.get_json(force=True)["given"] == {"correct": False, "sku": "SET-72", "note": "no"}
    given = read(till, answer["id"]).get_json()["feedback"]
    assert given.pop("at")
    assert given == {"correct": False, "sku": "SET-72", "note": "no", "by": "key"}
    with catalog.database.read() as session:
        kept = session.get(RecognitionEntry, uuid.UUID(answer["id"]))
        assert (kept.asked_by, kept.sku, kept.decision) == ("key till of the tests", "SET-71", "match")
        assert len(session.scalars(select(Feedback).where(Feedback.recognition_id == kept.id)).all()) == 1


def test_feedback_as_json_is_the_same_as_a_form(till: FlaskClient) -> None:
    answer = ask(till, "?label=bakery").get_json()["id"]
    path = f"/api/v1/recognitions/{answer}/feedback"
    name = {"Idempotency-Key": str(uuid.uuid4())}  # which a program may send with all that it sends
    for _ in range(2):
        assert till.post(path, json={"correct": False, "sku": "SET-72"}, headers=name).status_code == 204
    assert judge(till, answer, correct="false", sku="SET-72").status_code == 204
    assert till.post(path, json={"correct": True}).status_code == 409
    for body in ({}, {"correct": "true"}, {"correct": False, "skus": "SET-72"}, {"correct": False, "sku": 3}, []):
        reply = till.post(path, json=body)
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input"), body


def test_the_answers_of_a_product_are_read_page_by_page(till: FlaskClient, anybody: FlaskClient) -> None:
    asked = [ask(till, "?label=bakery").get_json()["id"] for _ in range(3)]
    judge(till, asked[1], correct="true")
    path = "/api/v1/products/SET-71/recognitions"
    found, after = [], ""
    while after is not None:
        page = till.get(path, query_string={"limit": 2, "after": after}).get_json()
        assert len(page["recognitions"]) <= 2
        found += page["recognitions"]
        after = page["next"]
    ids = [answer["id"] for answer in found]
    assert ids[:3] == asked[::-1] and len(set(ids)) == len(ids)
    assert found[1]["feedback"]["correct"] is True
    assert till.get("/api/v1/products/NOBODY/recognitions").status_code == 404
    for query in (
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=\u0663",
        "after=x",
        "after=%00",
        "after=MjAyNi0wMS0wMSB4",
        f"after={TOO_EARLY}",
    ):
        reply = till.get(f"{path}?{query}")
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input"), query
    assert anybody.get(path).status_code == 401
    assert till.get(f"/api/v1/recognitions/{uuid.uuid4()}").status_code == 404


def test_reading_needs_its_scope(app: Flask, catalog: Catalog) -> None:
    key = accounts.add_key(catalog.database, "only asks", actor="test").key
    client = app.test_client()
    for path in (f"/api/v1/recognitions/{uuid.uuid4()}", "/api/v1/products/SET-71/recognitions"):
        reply = client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (403, "scope_missing")


def test_no_photo_is_kept_of_a_key_that_keeps_none(app: Flask, catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "keeps nothing", ["recognize", "feedback"], actor="test")
    other = accounts.add_key(catalog.database, "keeps", ["recognize", "feedback"], actor="test")
    accounts.set_inbox(catalog.database, made.id, False, actor="test")
    clients = {}
    for name, key in (("nothing", made.key), ("keeps", other.key)):
        clients[name] = app.test_client()
        clients[name].environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    for asking, judging, is_kept in (
        ("nothing", "nothing", False),
        ("nothing", "keeps", False),
        ("keeps", "nothing", False),
        ("keeps", "keeps", True),
    ):
        answer = ask(clients[asking], "?label=bakery").get_json()
        assert answer["decision"] == "match"
        assert judge(clients[judging], answer["id"], correct="false").status_code == 204
        catalog.unanswered.flush()
        with catalog.database.read() as session:
            photo = session.get(InboxPhoto, uuid.UUID(answer["id"]))
        assert (photo is not None) == is_kept, (asking, judging)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "invalid_input"),
        ({"correct": "yes"}, 422, "invalid_input"),
        ({"correct": "false", "sku": "nobody"}, 404, "not_found"),
        ({"correct": "true", "sku": "SET-72"}, 422, "invalid_input"),
        ({"correct": "false", "sku": "SET-71"}, 422, "invalid_input"),
        ({"correct": "false", "note": "x" * 501}, 422, "invalid_input"),
    ],
)
def test_feedback_that_can_not_be(till: FlaskClient, fields: dict[str, str], status: int, code: str) -> None:
    reply = judge(till, ask(till, "?label=bakery").get_json()["id"], **fields)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (status, code)


@pytest.mark.parametrize(
    ("written", "meant"), [("True", True), ("1", True), ("TRUE", True), ("False", False), ("0", False)]
)
def test_a_boolean_is_taken_as_any_program_writes_it(
    till: FlaskClient, catalog: Catalog, written: str, meant: bool
) -> None:
    answer = ask(till).get_json()["id"]
    assert judge(till, answer, correct=written).status_code == 204
    with catalog.database.read() as session:
        [judged] = session.scalars(select(Feedback).where(Feedback.recognition_id == uuid.UUID(answer)))
    assert judged.correct is meant


def test_feedback_on_an_answer_that_there_is_not(till: FlaskClient, anybody: FlaskClient) -> None:
    assert judge(till, str(uuid.uuid4()), correct="true").status_code == 404
    assert judge(till, "not-an-id", correct="true").status_code == 404
    assert judge(anybody, str(uuid.uuid4()), correct="true").status_code == 401


def test_a_till_names_its_set(till: FlaskClient) -> None:
    def skus(query: str) -> list[str]:
        return [match["sku"] for match in ask(till, query).get_json()["matches"]]

    assert skus("?label=kiosk") == ["SET-72"]
    assert skus("?label=kiosk&sku=SET-71") == ["SET-71", "SET-72"]
    form = {"photo": (io.BytesIO(jpeg(71)), "71.jpg"), "label": ["bakery", "kiosk"]}
    reply = till.post("/api/v1/recognize", data=form).get_json()
    assert [match["sku"] for match in reply["matches"]] == ["SET-71", "SET-72"]
    refused = ask(till, "?label=backery")
    assert (refused.status_code, refused.get_json(force=True)["field"]) == (422, "label")

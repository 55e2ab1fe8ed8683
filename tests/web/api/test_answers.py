from __future__ import annotations

import io
import uuid

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from catalog.storage.tables import Feedback, RecognitionEntry
from tests.support.pictures import jpeg


@pytest.fixture(scope="module", autouse=True)
def stock(catalog: Catalog) -> None:
    for seed, label in ((71, "bakery"), (72, "kiosk")):
        facts = Facts(f"SET-{seed}", labels=(label,))
        products.create(catalog, facts, [NewPhoto(f"{seed}.jpg", jpeg(seed))], Intake("test"))


def ask(till: FlaskClient, query: str = ""):
    return till.post(f"/api/v1/recognize{query}", data=jpeg(71), content_type="image/jpeg")


def judge(till: FlaskClient, answer: str, **fields: str):
    return till.post(f"/api/v1/recognitions/{answer}/feedback", data=fields)


def test_an_answer_is_logged_by_the_name_of_the_key_and_takes_feedback(till: FlaskClient, catalog: Catalog) -> None:
    # Among its own products: other tests add pictures to this catalog that lie close to these.
    answer = ask(till, "?label=bakery").get_json()
    assert judge(till, answer["id"], correct="true").status_code == 204
    assert judge(till, answer["id"], correct="false", sku="SET-72", note="no").status_code == 204
    with catalog.database.read() as session:
        kept = session.get(RecognitionEntry, uuid.UUID(answer["id"]))
        assert (kept.asked_by, kept.sku, kept.decision) == ("key till of the tests", "SET-71", "match")
        judged = session.scalars(select(Feedback).where(Feedback.recognition_id == kept.id).order_by(Feedback.id)).all()
        assert [(one.correct, one.sku, one.note, one.actor) for one in judged] == [
            (True, "", "", "key till of the tests"),
            (False, "SET-72", "no", "key till of the tests"),
        ]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 422, "invalid_input"),
        ({"correct": "yes"}, 422, "invalid_input"),
        ({"correct": "false", "sku": "nobody"}, 404, "not_found"),
        ({"correct": "false", "note": "x" * 501}, 422, "invalid_input"),
    ],
)
def test_feedback_that_can_not_be(till: FlaskClient, fields: dict[str, str], status: int, code: str) -> None:
    reply = judge(till, ask(till).get_json()["id"], **fields)
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

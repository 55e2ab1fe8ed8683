"""Answers: feedback on them, and what they were."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, g, jsonify, request

from catalog import feedback
from catalog.feedback import Judgement
from web.api import pages
from web.api.blueprint import actor, blueprint
from web.api.bodies import is_json, json_body
from web.api.operation import operation
from web.context import catalog, flag

#: Answers of a page, unless another number is asked for, and at most.
PAGE, MOST = 50, 200


@blueprint.post("/recognitions/<uuid:answer>/feedback")
@operation(
    "feedback",
    {204: ""},
    # And as multipart: not said, see test_describe.py.
    bodies={"application/x-www-form-urlencoded": "FeedbackForm", "application/json": "FeedbackBody"},
    problems=("feedback_given",),
    takes=("correct", "sku", "note"),
)
def add_feedback(answer: uuid.UUID) -> Response:
    """Say of an answer that it was right, or which SKU it was: fields `correct` (true or false), `sku`, `note`.

    With `correct` false and no `sku` the photo shows none of our products. Once an answer: the same again changes
    nothing and is answered alike; what contradicts that which was said before is refused (409 `feedback_given`).
    """
    feedback.give(catalog(), answer, _judgement(), actor=actor(), keep=g.key_keeps_photos)
    return Response(status=204)


@blueprint.get("/recognitions/<uuid:answer>")
@operation("catalog:read", {200: "LoggedRecognition"})
def get_recognition(answer: uuid.UUID) -> Response:
    """An answer and what was said of it, as long as the log keeps it."""
    return jsonify(_answer_dict(feedback.find_answer(catalog(), answer)))


@blueprint.get("/products/<sku:sku>/recognitions")
@operation(
    "catalog:read",
    {200: "LoggedRecognitions"},
    query="RecognitionsQuery",
    takes=("after", "limit"),
)
def list_recognitions(sku: str) -> Response:
    """Answers whose match was this product, the newest first, each with what was said of it."""
    place = pages.place_of(request.args.get("after", ""))
    page = feedback.answers_of(catalog(), sku, older=place, limit=pages.wanted(PAGE, MOST))
    found = [_answer_dict(answer) for answer in page.answers]
    return jsonify({"recognitions": found, "next": pages.cursor_of(page.older)})


def _judgement() -> Judgement:
    """What the body says. Raises InvalidInputError."""
    if is_json():
        from web.api.schemas import FeedbackBody

        said = json_body(FeedbackBody)
        return Judgement(said.correct, said.sku, said.note)
    given = request.form
    return Judgement(flag("correct", required=True), given.get("sku", ""), given.get("note", ""))


def _answer_dict(answer: feedback.Answer) -> dict[str, Any]:
    """An answer as in web.api.schemas.LoggedRecognition."""
    entry, said = answer.entry, answer.feedback
    return {
        "id": str(entry.id),
        "at": entry.at.isoformat(),
        "decision": entry.decision,
        "decided_by": entry.decided_by,
        "sku": entry.sku or None,
        "score": entry.score,
        "confidence": entry.confidence,
        "bundle": entry.bundle_id,
        "milliseconds": round(entry.milliseconds, 2),
        "key": entry.asked_by.removeprefix("key ") if entry.asked_by.startswith("key ") else None,
        "feedback": said
        and {
            "correct": said.correct,
            "sku": said.sku or None,
            "note": said.note,
            "at": said.at.isoformat(),
            "by": "key" if said.actor.startswith("key ") else "staff",
        },
    }

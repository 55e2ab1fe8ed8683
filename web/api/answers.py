"""Answers: feedback on them."""

from __future__ import annotations

import uuid

from flask import Response, request

from web.api.blueprint import actor, blueprint
from web.api.operation import operation
from web.context import catalog, flag


@blueprint.post("/recognitions/<uuid:answer>/feedback")
@operation(
    "feedback",
    {204: ""},
    bodies={"application/x-www-form-urlencoded": "FeedbackForm"},  # and as multipart: not said, see test_describe.py
    problems=("not_found", "invalid_input"),
    takes=("correct", "sku", "note"),
)
def add_feedback(answer: uuid.UUID) -> Response:
    """Say of an answer that it was right, or which SKU it was: form fields `correct` (true or false), `sku`, `note`.

    With `correct` false and no `sku` the photo shows none of our products.
    """
    given = request.form
    correct = flag("correct", required=True)
    catalog().answers.add_feedback(
        answer,
        correct=correct,
        sku=given.get("sku", ""),
        note=given.get("note", ""),
        actor=actor(),
    )
    if correct:
        catalog().unanswered.judged_right(answer)
    else:
        catalog().unanswered.judged_wrong(answer)
    return Response(status=204)

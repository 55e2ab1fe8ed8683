"""What programs send to the API, and what they are told."""

from __future__ import annotations

import base64
import io
from typing import Any

from tests.support.pictures import jpeg


def sent(seed: int) -> dict[str, str]:
    """A photo in JSON."""
    return {"data": base64.b64encode(jpeg(seed)).decode(), "filename": f"{seed}.jpg"}


def files(*seeds: int) -> list[tuple[io.BytesIO, str]]:
    """Photos of a form."""
    return [(io.BytesIO(jpeg(seed)), f"{seed}.jpg") for seed in seeds]


def problem(reply: Any, status: int, code: str) -> dict[str, Any]:
    """The body of a problem of this status and code."""
    from web.api import schemas

    assert reply.status_code == status, reply.get_data(as_text=True)
    assert reply.content_type == "application/problem+json"
    body: dict[str, Any] = reply.get_json(force=True)
    assert body["code"] == code, body
    schemas.Problem.model_validate(body, extra="forbid")
    return body


def wrong_fields(reply: Any) -> list[str]:
    """The fields at fault that a problem names."""
    return [error["field"] for error in problem(reply, 422, "invalid_input")["errors"]]

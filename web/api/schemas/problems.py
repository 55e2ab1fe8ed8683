"""Errors, as RFC 9457 describes them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from web.api.schemas.products import PhotoWarning


class RefusedPhoto(BaseModel):
    """A photo at fault: `code` and `detail` say why it can't be used, `warnings` why `strict` refused it."""

    index: int | None = Field(description="Which of the request's photos, from 0 on; null: it has one only.")
    filename: str
    sha256: str
    code: str | None = None
    detail: str | None = None
    warnings: list[PhotoWarning] | None = None


class FieldProblem(BaseModel):
    """A field at fault."""

    field: str = Field(description="`photos.2.filename` names the third photo's.")
    detail: str


class FeedbackGiven(BaseModel):
    """What was said of an answer before."""

    correct: bool
    sku: str | None = Field(description="What the photo shows; null: not said, or no product of the catalog.")
    note: str


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable."""

    type: str = Field(description="The path of a page on this host that says what to do.")
    title: str
    status: int
    code: str = Field(description="Stable.")
    detail: str = Field(description="For people: what is wrong with this request.")
    request_id: str = Field(description="Of this request: also in the header X-Request-Id, and in the server's log.")
    field: str | None = Field(default=None, description="The first field at fault.")
    errors: list[FieldProblem] | None = Field(default=None, description="All fields at fault, where several may be.")
    photos: list[RefusedPhoto] | None = Field(default=None, description="All photos at fault.")
    given: FeedbackGiven | None = Field(default=None, description="With `feedback_given`: what was said before.")

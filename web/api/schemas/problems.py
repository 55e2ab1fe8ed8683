"""Errors, as RFC 9457 describes them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from web.api.schemas.products import PhotoWarning


class RefusedPhoto(BaseModel):
    """A photo at fault: `code` and `detail` say why it can't be used, `warnings` why `strict` refused it."""

    filename: str
    sha256: str
    code: str | None = None
    detail: str | None = None
    warnings: list[PhotoWarning] | None = None


class FieldProblem(BaseModel):
    """A field at fault."""

    field: str = Field(description="`photos.2.filename` names the third photo's.")
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    errors: list[FieldProblem] | None = Field(default=None, description="All fields at fault, where several may be.")
    photos: list[RefusedPhoto] | None = Field(default=None, description="All photos at fault.")

"""What the API answers, as pydantic models: the source of the OpenAPI description."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Match(BaseModel):
    """A candidate, best first."""

    sku: str
    name: str
    score: float = Field(description="Cosine of the photo to the product's best reference photo, at most 1.")


class Recognition(BaseModel):
    """The answer to one photo."""

    decision: Literal["match", "ambiguous", "unknown"] = Field(
        description="match: take the first; ambiguous: ask a person which of the matches; unknown: none of ours."
    )
    matches: list[Match] = Field(description="At most five, also when the decision is not `match`.")
    bundle: str = Field(description="Which model answered.")
    milliseconds: float


class Photo(BaseModel):
    """What became of one photo."""

    id: str
    filename: str
    sha256: str
    state: Literal["searchable", "pending"]
    duplicate: bool
    reason: str


class Added(BaseModel):
    """A product that was added, and the proof that it is found."""

    sku: str
    name: str
    searchable: bool = Field(description="Every photo finds itself at rank 1, asked of the gallery after the write.")
    milliseconds: float
    photos: list[Photo]


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None

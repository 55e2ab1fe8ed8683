"""Offline tills."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from catalog.offline import TillAnswer, TillFeedback
from web.api.schemas.texts import BUNDLE

#: A whole number as JSON has it: 1.0 is one, "1" and true are none.
Whole = Annotated[
    int, BeforeValidator(lambda value: int(value) if isinstance(value, float) and value % 1 == 0 else value)
]


class OfflineBundleQuery(BaseModel):
    """Which archive a till wants."""

    since: str = Field(default="", description="The version that the till has: only what changed since, if it can be.")
    thumbnails: bool = Field(default=False, description="With a small picture (240 pixels) of every reference photo.")


class OfflineFeedback(BaseModel):
    """Whether an answer was right, as of feedback."""

    model_config = ConfigDict(extra="forbid", strict=True)

    at: AwareDatetime = Field(description="When it was given, by the till's clock.")
    correct: bool
    sku: str = Field(default="", max_length=64, description="The product that the photo shows; empty: none of ours.")
    note: str = Field(default="", max_length=500, description="For people.")
    number: Whole = Field(default=0, ge=0, description="The till's own number of it; not stored.")


class OfflineAnswer(BaseModel):
    """An answer that a till gave, and what it was told of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: uuid.UUID = Field(description="As the till's answer had it.")
    at: AwareDatetime = Field(description="When it was given, by the till's clock.")
    decision: Literal["match", "ambiguous", "unknown"]
    decided_by: Literal["embedding", "details", "barcode"]
    sku: str = Field(default="", max_length=64, description="Of the first match; empty without one.")
    score: float | None = Field(default=None, ge=-1.001, le=1.001, allow_inf_nan=False)
    confidence: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    bundle: str = Field(pattern=BUNDLE, description="Which model answered.")
    milliseconds: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    feedback: list[OfflineFeedback] = Field(default=[], max_length=20)

    def as_given(self) -> TillAnswer:
        """As the catalog takes it."""
        said = tuple(TillFeedback(one.at, one.correct, one.sku, one.note) for one in self.feedback)
        return TillAnswer(
            id=self.id,
            at=self.at,
            decision=self.decision,
            decided_by=self.decided_by,
            sku=self.sku,
            score=self.score,
            confidence=self.confidence,
            bundle_id=self.bundle,
            milliseconds=self.milliseconds,
            feedback=said,
        )


class OfflineAnswers(BaseModel):
    """Up to 100 answers of a till."""

    model_config = ConfigDict(extra="forbid")

    answers: list[OfflineAnswer] = Field(max_length=100)


class RefusedAnswer(BaseModel):
    """An answer that is not stored, or whose feedback is not."""

    id: uuid.UUID
    code: str = Field(description="As of a problem: `not_found` (a SKU that is no longer in the catalog), `conflict`.")
    detail: str


class OfflineAnswersTaken(BaseModel):
    """What became of the answers: they are stored, but for those that are refused."""

    refused: list[RefusedAnswer]

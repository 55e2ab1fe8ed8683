"""Answers that are judged, and read back."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from web.api.schemas.texts import PLAIN


class FeedbackForm(BaseModel):
    """Whether an answer was right."""

    model_config = ConfigDict(extra="forbid")

    correct: bool
    sku: str = Field(
        default="",
        max_length=64,
        pattern=PLAIN,
        description="With `correct` false: the product that the photo shows, empty for none of the catalog. "
        "With `correct` true it is empty, or that of the answer.",
    )
    note: str = Field(default="", max_length=500, pattern=PLAIN, description="For people.")


class FeedbackBody(FeedbackForm):
    """Whether an answer was right, as JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LoggedFeedback(BaseModel):
    """What was said of an answer."""

    correct: bool
    sku: str | None = Field(description="What the photo shows; null: not said, or no product of the catalog.")
    note: str
    at: AwareDatetime
    by: Literal["key", "staff"] = Field(description="A till or another program, or a person.")


class LoggedRecognition(BaseModel):
    """An answer as the log keeps it, and what was said of it."""

    id: str
    at: AwareDatetime
    decision: Literal["match", "ambiguous", "unknown"]
    decided_by: Literal["embedding", "details", "barcode"]
    sku: str | None = Field(description="The SKU of the first match, as it was then; null: there was none.")
    score: float | None = Field(description="Of the first match.")
    confidence: float | None
    bundle: str = Field(description="Which model answered.")
    milliseconds: float
    key: str | None = Field(description="The name that the key had which asked; null: it was no key.")
    feedback: LoggedFeedback | None = Field(description="null: nothing was said of it.")


class LoggedRecognitions(BaseModel):
    """A page of answers, the newest first."""

    recognitions: list[LoggedRecognition]
    next: str | None = Field(description="`after` of the next page, of older ones; null at the end.")


class RecognitionsQuery(BaseModel):
    """Which page."""

    after: str = Field(default="", max_length=200, description="`next` of the page before.")
    limit: int = Field(default=50, ge=1, le=200)

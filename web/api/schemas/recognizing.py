"""Recognizing a photo, and saying whether the answer was right."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Evidence(BaseModel):
    """What is printed on the product's reference photo and found again in the photo."""

    photo: str = Field(description="SHA-256 of the reference photo.")
    points: int = Field(description="How many of its details agree.")
    outline: list[tuple[float, float]] = Field(
        description="The reference's corners in the photo, x and y in shares of its width and height (beyond 0 to 1: "
        "outside), from its top left clockwise (in a mirrored photo counterclockwise); empty when no place can be said."
    )


class Match(BaseModel):
    """A candidate, best first."""

    sku: str
    name: str
    score: float = Field(description="Cosine of the photo to the product's best reference photo, at most 1.")
    evidence: Evidence | None = Field(description="Of the second look, where it found details that agree.")


class LookedAt(BaseModel):
    """How far the second look came."""

    photos: int = Field(description="Reference photos that were compared with the photo, the most promising first.")
    of: int = Field(description="Reference photos that came into question. It may end before when it is sure.")


class Recognition(BaseModel):
    """The answer to one photo."""

    id: str = Field(description="Names the answer, to say later whether it was right.")
    decision: Literal["match", "ambiguous", "unknown"] = Field(
        description="match: take the first; ambiguous: ask a person which of the matches; unknown: none of ours."
    )
    matches: list[Match] = Field(description="At most five, also when the decision is not `match`.")
    decided_by: Literal["embedding", "details", "barcode"] = Field(
        description="embedding: the whole look of the photo was enough; details: what is printed was matched, too; "
        "barcode: one of ours was read."
    )
    confidence: float | None = Field(description="By details: the probability that the first match is right.")
    barcodes: list[str] = Field(description="Barcodes of our products that the photo shows, 14 digits each.")
    mirrored: bool = Field(description="The photo is a mirror image, as of a front camera, and was matched as one.")
    complete: bool = Field(
        description="false: the second look was cut short (CATALOG_SECOND_LOOK_MS), and might have answered otherwise."
    )
    looked_at: LookedAt | None = Field(description="Of the second look; null: the answer needed none.")
    bundle: str = Field(description="Which model answered.")
    milliseconds: float


class RecognizeForm(BaseModel):
    """A photo, and to which products the answer is limited."""

    model_config = ConfigDict(extra="forbid")

    photo: bytes = Field(description="The image file.")
    label: list[str] = Field(default=[], description="Only products with one of these labels.")
    sku: list[str] = Field(default=[], description="Only these products.")


class RecognizeQuery(BaseModel):
    """To which products the answer is limited, if the body is the photo."""

    label: list[str] = Field(default=[], description="Only products with one of these labels.")
    sku: list[str] = Field(default=[], description="Only these products.")

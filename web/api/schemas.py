"""Responses of the API as pydantic models, from which the OpenAPI description is generated.

Their docstrings and descriptions are part of it: text for users of the API.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


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


class LookAlike(BaseModel):
    """A photo of another product."""

    sku: str
    name: str
    photo: str = Field(description="Its SHA-256.")
    points: int | None = Field(description="How many details agree; null: it is the same file.")


class PhotoWarning(BaseModel):
    """A warning about a photo."""

    code: Literal[
        "too_small", "too_dark", "too_bright", "too_blurred", "same_picture", "same_pack", "close_to_other"
    ] = Field(description="Stable.")
    message: str = Field(description="A sentence for people.")
    sku: str = Field(description="The product that it is about; empty when it is about none.")
    name: str
    photo: str = Field(description="SHA-256 of that product's photo.")
    closeness: float | None = Field(description="Cosine of the two photos, at most 1.")
    points: int | None = Field(description="How many details of the two agree.")


class Photo(BaseModel):
    """What became of one photo."""

    id: str
    filename: str
    sha256: str
    state: Literal["searchable", "pending"]
    details: int | None = Field(
        description="How many details the second look holds on to: few where nothing is printed; null: it has none."
    )
    duplicate: bool
    reason: str
    like: LookAlike | None = Field(description="Another product's photo that shows the same pack.")
    warnings: list[PhotoWarning] = Field(description="Warnings about the photo, which was accepted all the same.")


class FoundBarcode(BaseModel):
    """A barcode that was read from a photo. It is not added: a person decides whether it is the product's."""

    gtin: str = Field(description="14 digits, zeros in front.")
    sku: str | None = Field(description="The product that has this barcode, if one has.")


class Added(BaseModel):
    """A product that was added, and the proof that it is found."""

    sku: str
    name: str
    searchable: bool = Field(description="Every photo finds itself at rank 1, asked of the gallery after the write.")
    milliseconds: float
    photos: list[Photo]
    barcodes: list[str] = Field(description="GTINs of the product: 14 digits each, zeros in front.")
    barcodes_found: list[FoundBarcode]


class RefusedPhoto(BaseModel):
    """A photo at fault: `code` and `detail` say why it can't be used, `warnings` why `strict` refused it."""

    filename: str
    sha256: str
    code: str | None = None
    detail: str | None = None
    warnings: list[PhotoWarning] | None = None


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    photos: list[RefusedPhoto] | None = Field(default=None, description="All photos at fault.")

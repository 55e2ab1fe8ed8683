"""Recognizing a photo, and saying whether the answer was right."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from web.api.schemas.problems import Problem
from web.api.schemas.texts import SEEN

#: A label or SKU that names something.
Named = Annotated[str, Field(min_length=1, max_length=64, pattern=SEEN)]

_LABELS: Any = Field(default=[], description="Only products with one of these labels.")
_SKUS: Any = Field(default=[], description="Only these products.")
_K: Any = Field(default=5, ge=1, le=20, description="How many matches are answered, at most. The decision is the same.")


def _decoded(text: Any) -> bytes:
    """The bytes of a text in base64 (RFC 4648), or of a data URL (RFC 2397), as browsers make one of a picture."""
    if not isinstance(text, str):
        raise ValueError("a photo is a text in base64")
    start = re.match(r"data:[^,]{0,200};base64,", text)
    try:
        return base64.b64decode("".join(text[start.end() if start else 0 :].split()), validate=True)
    except ValueError:  # of bytes that are no ASCII, too
        raise ValueError("this is no base64") from None


#: A photo in JSON.
_Photo = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": "The image file in base64."}),
]


class Evidence(BaseModel):
    """What is printed on the product's reference photo and found again in the photo."""

    photo: str = Field(description="SHA-256 of the reference photo.")
    points: int = Field(description="How many of its details agree.")
    outline: list[tuple[float, float]] = Field(
        description="The reference's corners in the photo, x and y in shares of its width and height (beyond 0 to 1: "
        "outside), from its top left clockwise (in a mirrored photo counterclockwise); empty when no place can be said."
    )


class ShownPhoto(BaseModel):
    """A reference photo of a product."""

    id: str
    sha256: str
    thumbnail: str = Field(description="Path of a small JPEG on this server, which the same key opens.")


class Difference(BaseModel):
    """A fact in which two products differ."""

    fact: str = Field(
        description="name, brand, category, variant_group, or attribute: followed by the name of an attribute."
    )
    value: str = Field(description="This product's, empty when it has none; of a name the words that differ.")
    other: str = Field(description="The other product's.")


class Differs(BaseModel):
    """What tells a product from another one of the matches."""

    other: str = Field(description="Its SKU: of the second match for the first, of the first for any other.")
    facts: list[Difference] = Field(description="Empty: by what the catalog knows, they are the same.")
    places: list[tuple[float, float]] = Field(
        description="Where details of the photo agree with this product and not with the other, x and y in shares of "
        "its width and height, at most 20. Empty when the answer is not by details."
    )


class Match(BaseModel):
    """A candidate, best first."""

    sku: str
    name: str
    score: float = Field(description="Cosine of the photo to the product's best reference photo, at most 1.")
    evidence: Evidence | None = Field(description="Of the second look, where it found details that agree.")
    photo: ShownPhoto | None = Field(
        description="The photo that the match rests on: that of the evidence, or else the nearest. Of a match by "
        "barcode alone the product's first photo; null: it has none."
    )
    brand: str
    category: str
    variant_group: str = Field(description="Products of one group differ in size or flavor only. Empty: in none.")
    barcodes: list[str] = Field(description="GTINs of the product, 14 digits each, zeros in front.")
    differs: Differs | None = Field(description="null: the answer is not ambiguous, or there is no other match.")


class LookedAt(BaseModel):
    """How far the second look came."""

    photos: int = Field(description="Reference photos that were compared with the photo, the most promising first.")
    of: int = Field(description="Reference photos that came into question. It may end before when it is sure.")


class Timings(BaseModel):
    """Milliseconds that each step took; 0: it was not needed."""

    decode: float
    embed: float = Field(description="The vector of the whole photo.")
    search: float = Field(description="The nearest products.")
    barcodes: float
    second_look: float = Field(description="The details that are printed.")
    facts: float = Field(description="What is said of each match.")


class Recognition(BaseModel):
    """The answer to one photo."""

    id: str = Field(description="Names the answer, to say later whether it was right.")
    decision: Literal["match", "ambiguous", "unknown"] = Field(
        description="match: take the first; ambiguous: ask a person which of the matches; unknown: none of ours."
    )
    matches: list[Match] = Field(description="At most `k`, also when the decision is not `match`.")
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
    timings: Timings


class RecognizeForm(BaseModel):
    """A photo, and to which products the answer is limited."""

    model_config = ConfigDict(extra="forbid")

    photo: bytes = Field(description="The image file.")
    label: list[Named] = _LABELS
    sku: list[Named] = _SKUS
    k: int = _K


class RecognizeBody(BaseModel):
    """A photo in base64, and to which products the answer is limited."""

    model_config = ConfigDict(extra="forbid")

    photo: _Photo
    label: list[str] = _LABELS
    sku: list[str] = _SKUS
    k: int = _K


class BatchForm(BaseModel):
    """Photos, and to which products the answers are limited."""

    model_config = ConfigDict(extra="forbid")

    photos: list[bytes] = Field(min_length=1, max_length=50, description="Image files, each with a file name.")
    label: list[str] = _LABELS
    sku: list[str] = _SKUS
    k: int = _K


class BatchBody(BaseModel):
    """Photos in base64, and to which products the answers are limited."""

    model_config = ConfigDict(extra="forbid")

    photos: list[_Photo] = Field(min_length=1, max_length=50)
    label: list[str] = _LABELS
    sku: list[str] = _SKUS
    k: int = _K


class BatchAnswer(BaseModel):
    """The answer to one of many photos: a recognition, or a problem."""

    filename: str = Field(description="As it was sent; of JSON the place in the list, from 0 on.")
    recognition: Recognition | None
    problem: Problem | None = Field(description="Why this photo can't be used; `status` is what it alone would get.")


class BatchAnswers(BaseModel):
    """The answers to many photos."""

    answers: list[BatchAnswer] = Field(description="One for each photo, in their order.")


class RecognizeQuery(BaseModel):
    """To which products the answer is limited, if the body is the photo."""

    label: list[Named] = _LABELS
    sku: list[Named] = _SKUS
    k: int = _K

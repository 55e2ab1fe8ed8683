"""What the API answers. Made by `python -m web.api.client_models catalog/client/models.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Added:
    """A product that was added, and the proof that it is found."""

    sku: str
    name: str
    #: Every photo finds itself at rank 1, asked of the gallery after the write.
    searchable: bool
    milliseconds: float
    photos: list[Photo]
    #: GTINs of the product: 14 digits each, zeros in front.
    barcodes: list[str]
    barcodes_found: list[FoundBarcode]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is printed on the product's reference photo and found again in the photo."""

    #: SHA-256 of the reference photo.
    photo: str
    #: How many of its details agree.
    points: int
    #: The reference's corners in the photo, x and y in shares of its width and height (beyond 0 to 1: outside), from
    #: its top left clockwise (in a mirrored photo counterclockwise); empty when no place can be said.
    outline: list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class FieldProblem:
    """A field at fault."""

    #: `photos.2.filename` names the third photo's.
    field: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class FoundBarcode:
    """A barcode that was read from a photo. It is not added: a person decides whether it is the product's."""

    #: 14 digits, zeros in front.
    gtin: str
    #: The product that has this barcode, if one has.
    sku: str | None


@dataclass(frozen=True, kw_only=True)
class LookAlike:
    """A photo of another product."""

    sku: str
    name: str
    #: Its SHA-256.
    photo: str
    #: How many details agree; null: it is the same file.
    points: int | None


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """How far the second look came."""

    #: Reference photos that were compared with the photo, the most promising first.
    photos: int
    #: Reference photos that came into question. It may end before when it is sure.
    of: int


@dataclass(frozen=True, kw_only=True)
class Match:
    """A candidate, best first."""

    sku: str
    name: str
    #: Cosine of the photo to the product's best reference photo, at most 1.
    score: float
    #: Of the second look, where it found details that agree.
    evidence: Evidence | None


@dataclass(frozen=True, kw_only=True)
class Photo:
    """What became of one photo."""

    id: str
    filename: str
    sha256: str
    state: Literal["searchable", "pending"]
    #: How many details the second look holds on to: few where nothing is printed; null: it has none.
    details: int | None
    duplicate: bool
    reason: str
    #: Another product's photo that shows the same pack.
    like: LookAlike | None
    #: Warnings about the photo, which was accepted all the same.
    warnings: list[PhotoWarning]


@dataclass(frozen=True, kw_only=True)
class PhotoWarning:
    """A warning about a photo."""

    #: Stable.
    code: Literal["too_small", "too_dark", "too_bright", "too_blurred", "same_picture", "same_pack", "close_to_other"]
    #: A sentence for people.
    message: str
    #: The product that it is about; empty when it is about none.
    sku: str
    name: str
    #: SHA-256 of that product's photo.
    photo: str
    #: Cosine of the two photos, at most 1.
    closeness: float | None
    #: How many details of the two agree.
    points: int | None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error (RFC 9457). `code` is stable."""

    #: The path of a page on this host that says what to do.
    type: str
    title: str
    status: int
    #: Stable.
    code: str
    #: For people: what is wrong with this request.
    detail: str
    #: Of this request: also in the header X-Request-Id, and in the server's log.
    request_id: str
    #: The first field at fault.
    field: str | None = None
    #: All fields at fault, where several may be.
    errors: list[FieldProblem] | None = None
    #: All photos at fault.
    photos: list[RefusedPhoto] | None = None


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The answer to one photo."""

    #: Names the answer, to say later whether it was right.
    id: str
    #: match: take the first; ambiguous: ask a person which of the matches; unknown: none of ours.
    decision: Literal["match", "ambiguous", "unknown"]
    #: At most five, also when the decision is not `match`.
    matches: list[Match]
    #: embedding: the whole look of the photo was enough; details: what is printed was matched, too; barcode: one of
    #: ours was read.
    decided_by: Literal["embedding", "details", "barcode"]
    #: By details: the probability that the first match is right.
    confidence: float | None
    #: Barcodes of our products that the photo shows, 14 digits each.
    barcodes: list[str]
    #: The photo is a mirror image, as of a front camera, and was matched as one.
    mirrored: bool
    #: false: the second look was cut short (CATALOG_SECOND_LOOK_MS), and might have answered otherwise.
    complete: bool
    #: Of the second look; null: the answer needed none.
    looked_at: LookedAt | None
    #: Which model answered.
    bundle: str
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class RefusedPhoto:
    """A photo at fault: `code` and `detail` say why it can't be used, `warnings` why `strict` refused it."""

    #: Which of the request's photos, from 0 on; null: it has one only.
    index: int | None
    filename: str
    sha256: str
    code: str | None = None
    detail: str | None = None
    warnings: list[PhotoWarning] | None = None

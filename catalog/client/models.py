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
class BatchAnswer:
    """The answer to one of many photos: a recognition, or a problem."""

    #: As it was sent; of JSON the place in the list, from 0 on.
    filename: str
    recognition: Recognition | None
    #: Why this photo can't be used; `status` is what it alone would get.
    problem: Problem | None


@dataclass(frozen=True, kw_only=True)
class BatchAnswers:
    """The answers to many photos."""

    #: One for each photo, in their order.
    answers: list[BatchAnswer]


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that changed. It names what to read anew, and holds no values."""

    #: Names the change; also the cursor `after` it.
    id: str
    #: product.created: also one that came back out of the bin; its photos are not told one by one. product.merged:
    #: `was` is the SKU that is gone, all that it had is of `sku` now. generation.switched: another model answers.
    #: generation.held: a new one is worse than it, and a person is to decide. inbox.group_added: tills asked for
    #: something that is not recognized. night.ended: the nightly maintenance is over. New types may come: pass over
    #: those that you do not know.
    type: Literal[
        "product.created",
        "product.changed",
        "product.retired",
        "product.restored",
        "product.deleted",
        "product.renamed",
        "product.merged",
        "photo.added",
        "photo.removed",
        "photo.replaced",
        "generation.switched",
        "generation.held",
        "inbox.group_added",
        "night.ended",
    ]
    at: str
    #: What kind of actor did it: an API key, a person, or a command of an operator.
    actor: Literal["key", "staff", "command"]
    sku: str | None
    #: Of product.changed: name, brand, category, variant_group, attributes, barcodes, labels, cover.
    fields: list[str]
    #: The SKU before a renaming, or of the product that was merged; the photo that was replaced; the bundle that
    #: answered before.
    was: str | None
    #: SHA-256 of the photo.
    photo: str | None
    #: The bundle that answers now; of generation.held, the one that does not.
    bundle: str | None
    #: The group of the inbox.
    group: str | None
    #: Of night.ended: whether nobody need look at it.
    well: bool | None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A page of changes, the oldest first."""

    changes: list[Change]
    #: `after` of the next page: keep it, also when there were no changes.
    next: str
    #: Whether there are more now.
    more: bool


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """What was deleted is in the bin, for 30 days."""

    sku: str
    #: Its entry in the bin.
    entry: str
    #: POST there undoes it.
    restore_url: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A fact in which two products differ."""

    #: name, brand, category, variant_group, or attribute: followed by the name of an attribute.
    fact: str
    #: This product's, empty when it has none; of a name the words that differ.
    value: str
    #: The other product's.
    other: str


@dataclass(frozen=True, kw_only=True)
class Differs:
    """What tells a product from another one of the matches."""

    #: Its SKU: of the second match for the first, of the first for any other.
    other: str
    #: Empty: by what the catalog knows, they are the same.
    facts: list[Difference]
    #: Where details of the photo agree with this product and not with the other, x and y in shares of its width and
    #: height, at most 20. Empty when the answer is not by details.
    places: list[tuple[float, float]]


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
class FeedbackGiven:
    """What was said of an answer before."""

    correct: bool
    #: What the photo shows; null: not said, or no product of the catalog.
    sku: str | None
    note: str


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
class Import:
    """An import."""

    id: str
    name: str
    #: checking, then waiting and running, then done; or checked, if nothing is to be imported. uploading: pieces of
    #: files are awaited. columns: a person chooses columns in the pages.
    state: Literal["uploading", "columns", "checking", "checked", "waiting", "running", "done", "cancelled", "failed"]
    created_at: str
    finished_at: str | None
    update: bool
    #: It is to end, and has not ended yet.
    cancelling: bool
    #: Files that are stored.
    files: int
    #: Their size.
    bytes: int
    progress: ImportProgress
    counts: ImportCounts
    #: Why it failed, or notes.
    message: str


@dataclass(frozen=True, kw_only=True)
class ImportCounts:
    """What an import found and did."""

    #: Lines of the list, or folders.
    lines: int
    #: Products that were added.
    products: int
    #: Photos that were added.
    photos: int
    #: Products whose facts were changed.
    changed: int
    #: Photos that their products had.
    duplicates: int
    #: Lines that differ from their product, which stays as it is without `update`.
    ignored: int
    #: Photos that are not searchable yet.
    pending: int
    #: Errors: what was left out.
    left_out: int


@dataclass(frozen=True, kw_only=True)
class ImportErrors:
    """All that was left out, or would be: of the check until the import runs, then of the import itself."""

    errors: list[ImportFault]


@dataclass(frozen=True, kw_only=True)
class ImportFault:
    """What was left out, and why."""

    #: `list.csv:3`, or a folder; null: of no line.
    source: str | None
    line: int | None
    sku: str | None
    error: str


@dataclass(frozen=True, kw_only=True)
class ImportProgress:
    """How far it is with what `state` says: photos, and products without photos."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class LoggedFeedback:
    """What was said of an answer."""

    correct: bool
    #: What the photo shows; null: not said, or no product of the catalog.
    sku: str | None
    note: str
    at: str
    #: A till or another program, or a person.
    by: Literal["key", "staff"]


@dataclass(frozen=True, kw_only=True)
class LoggedRecognition:
    """An answer as the log keeps it, and what was said of it."""

    id: str
    at: str
    decision: Literal["match", "ambiguous", "unknown"]
    decided_by: Literal["embedding", "details", "barcode"]
    #: The SKU of the first match, as it was then; null: there was none.
    sku: str | None
    #: Of the first match.
    score: float | None
    confidence: float | None
    #: Which model answered.
    bundle: str
    milliseconds: float
    #: The name that the key had which asked; null: it was no key.
    key: str | None
    #: null: nothing was said of it.
    feedback: LoggedFeedback | None


@dataclass(frozen=True, kw_only=True)
class LoggedRecognitions:
    """A page of answers, the newest first."""

    recognitions: list[LoggedRecognition]
    #: `after` of the next page, of older ones; null at the end.
    next: str | None


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
    #: The photo that the match rests on: that of the evidence, or else the nearest. Of a match by barcode alone the
    #: product's first photo; null: it has none.
    photo: ShownPhoto | None
    brand: str
    category: str
    #: Products of one group differ in size or flavor only. Empty: in none.
    variant_group: str
    #: GTINs of the product, 14 digits each, zeros in front.
    barcodes: list[str]
    #: null: the answer is not ambiguous, or there is no other match.
    differs: Differs | None


@dataclass(frozen=True, kw_only=True)
class OfflineAnswersTaken:
    """What became of the answers: they are stored, but for those that are refused."""

    refused: list[RefusedAnswer]


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
class PhotoList:
    """The photos of a product, the cover first."""

    photos: list[StoredPhoto]


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
    #: With `feedback_given`: what was said before.
    given: FeedbackGiven | None = None


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product."""

    sku: str
    name: str
    brand: str
    category: str
    variant_group: str
    labels: list[str]
    attributes: dict[str, str]
    #: GTINs: 14 digits each, zeros in front.
    barcodes: list[str]
    #: false: it is retired, and not recognized.
    active: bool
    #: It is active, has photos, and each of them is searchable.
    searchable: bool
    #: The cover first.
    photos: list[StoredPhoto]
    created_at: str
    #: When facts, labels or state were last changed.
    updated_at: str
    #: For If-Match, quotes included.
    etag: str
    url: str


@dataclass(frozen=True, kw_only=True)
class ProductList:
    """A part of the list."""

    products: list[Product]
    #: The `cursor` of the next part; null at the end.
    next: str | None
    #: Products of the whole list; null: more than 1,000.
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """The answer to one photo."""

    #: Names the answer, to say later whether it was right.
    id: str
    #: match: take the first; ambiguous: ask a person which of the matches; unknown: none of ours.
    decision: Literal["match", "ambiguous", "unknown"]
    #: At most `k`, also when the decision is not `match`.
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
    timings: Timings


@dataclass(frozen=True, kw_only=True)
class RefusedAnswer:
    """An answer that is not stored, or whose feedback is not."""

    id: str
    #: As of a problem: `not_found` (a SKU that is no longer in the catalog), `conflict`.
    code: str
    detail: str


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


@dataclass(frozen=True, kw_only=True)
class ShownPhoto:
    """A reference photo of a product."""

    id: str
    sha256: str
    #: Path of a small JPEG on this server, which the same key opens.
    thumbnail: str


@dataclass(frozen=True, kw_only=True)
class StoredPhoto:
    """A reference photo of a product."""

    id: str
    sha256: str
    filename: str
    #: In pixels, as displayed.
    width: int
    height: int
    bytes: int
    #: How it came: staff, api, cli, import; empty: not known.
    source: str
    #: It is shown first of the product.
    cover: bool
    #: Codes of the warnings with which it was accepted.
    warnings: list[str]
    state: Literal["searchable", "pending"]
    #: Why it is pending.
    reason: str
    created_at: str
    url: str
    #: Its bytes, as they were sent.
    file_url: str


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Milliseconds that each step took; 0: it was not needed."""

    decode: float
    #: The vector of the whole photo.
    embed: float
    #: The nearest products.
    search: float
    barcodes: float
    #: The details that are printed.
    second_look: float
    #: What is said of each match.
    facts: float

"""Photo -> SKU: a first look by the vector, a second one by the details where that is not sure, and a decision."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog import barcodes, second_look
from catalog.answers import Entry
from catalog.barcodes import ByBarcode
from catalog.candidates import MAX_MATCHES, Among, Match, find
from catalog.errors import PhotoRejectedError
from catalog.models import now
from catalog.service import Catalog
from embedder.bundle import Thresholds
from embedder.details import Details
from embedder.errors import ImageError

Decision = Literal["match", "ambiguous", "unknown"]
#: All products of the catalog.
EVERYTHING = Among()
DecidedBy = Literal["embedding", "details", "barcode"]


@dataclass(frozen=True)
class Recognition:
    """The answer to one photo: up to five matches, best first, also when the decision is not `match`.

    `decided_by`: what the answer rests on. `confidence`: by details, the probability of the first match; None by the
    embedding alone. `barcodes`: those of our products that the photo shows, 14 digits each. `details`: the query's,
    where the second look was asked. `id` names the answer in the log.
    """

    decision: Decision
    matches: list[Match]
    bundle: str
    milliseconds: float
    id: uuid.UUID = field(default_factory=uuid.uuid4, compare=False)
    decided_by: DecidedBy = "embedding"
    confidence: float | None = None
    barcodes: tuple[str, ...] = ()
    details: Details | None = field(default=None, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The contract's form, for JSON."""
        return {
            "decision": self.decision,
            "matches": [_match_dict(match) for match in self.matches],
            "decided_by": self.decided_by,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "barcodes": list(self.barcodes),
            "bundle": self.bundle,
            "milliseconds": round(self.milliseconds, 2),
            "id": str(self.id),
        }


def _match_dict(match: Match) -> dict[str, Any]:
    evidence = match.evidence.as_dict() if match.evidence else None
    return {"sku": match.sku, "name": match.name, "score": round(match.score, 4), "evidence": evidence}


def recognize(
    catalog: Catalog, data: bytes, *, filename: str = "", among: Among = EVERYTHING, asked_by: str = ""
) -> Recognition:
    """Bytes of an image file -> which product it shows, among all or those that are named.

    `asked_by`: keep the answer in the log by that name. Raises PhotoRejectedError, a GalleryError, or InvalidInputError
    for a label or SKU to look among that nothing has.
    """
    answer = _recognize(catalog, data, filename, among)
    if asked_by:
        first = answer.matches[0] if answer.matches else None
        catalog.answers.note(
            Entry(
                id=answer.id,
                at=now(),
                asked_by=asked_by[:100],
                decision=answer.decision,
                decided_by=answer.decided_by,
                sku=first.sku if first else "",
                score=first.score if first else None,
                confidence=answer.confidence,
                bundle_id=answer.bundle,
                milliseconds=answer.milliseconds,
            )
        )
    return answer


def _recognize(catalog: Catalog, data: bytes, filename: str, among: Among) -> Recognition:
    """By a barcode of ours that the photo shows. Without one by the vector alone when that is sure, or when there is
    nothing else: CATALOG_SECOND_LOOK=off, or a bundle without visual words.
    """
    began = time.perf_counter()
    live = catalog.live()
    bundle, settings = live.embedder.bundle, catalog.settings
    products = among.products(catalog)

    def answer(decision: Decision, matches: list[Match], **more: Any) -> Recognition:
        return Recognition(decision, matches, bundle.id, (time.perf_counter() - began) * 1000, **more)

    try:
        vector = live.embedder.embed_bytes(data)
        matches = find(catalog, live, vector, products=products)
        alone = decide(matches, bundle.thresholds)
        if named := barcodes.find_product(catalog, data, products):
            numbers = tuple(each.gtin for each in named)
            decision, matches = by_barcode(named, matches, alone)
            return answer(decision, matches, decided_by="barcode", barcodes=numbers)
        weights = bundle.second_look if settings.second_look != "off" else None
        if weights is None or not matches:
            return answer(alone, matches)
        if settings.second_look == "auto" and is_sure(matches, weights.sure_score, weights.sure_margin):
            return answer("match", matches)
        details, words = live.embedder.second_look(data)
    except ImageError as error:
        raise PhotoRejectedError(error.code, filename, str(error)) from error
    deadline = began + settings.second_look_ms / 1000
    matched = matches[0].sku if alone == "match" else ""
    looked = second_look.look(
        catalog,
        live,
        weights,
        matches,
        vector,
        details,
        words,
        matched=matched,
        deadline=deadline,
        products=products,
    )
    if looked is None:
        return answer(alone, matches)
    return answer(looked.decision, looked.matches, decided_by="details", confidence=looked.confidence, details=details)


def by_barcode(named: list[ByBarcode], seen: list[Match], by_sight: Decision) -> tuple[Decision, list[Match]]:
    """Products whose barcode the photo shows, and what the vector sees in it -> decision and matches.

    A barcode decides. Where a photo shows two of them, or one on what looks like another product for sure, somebody has
    to look. A product that the photo does not come near to has a score of 0 here, and no reference photo to show.
    """
    near = {match.sku: match for match in seen}
    first = [near.get(each.sku) or Match(each.sku, each.name, 0.0, "") for each in named]
    skus = {match.sku for match in first}
    others = [match for match in seen if match.sku not in skus]
    disagree = by_sight == "match" and seen[0].sku not in skus
    return "ambiguous" if disagree or len(first) > 1 else "match", [*first, *others][:MAX_MATCHES]


def decide(matches: list[Match], thresholds: Thresholds) -> Decision:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if is_sure(matches, thresholds.score, thresholds.margin):
        return "match"
    return "ambiguous" if matches and matches[0].score >= thresholds.score else "unknown"


def is_sure(matches: list[Match], score: float, margin: float) -> bool:
    """Whether the first SKU has this score, and this margin over the second."""
    if not matches or matches[0].score < score:
        return False
    return len(matches) < 2 or matches[0].score - matches[1].score >= margin

"""The answer to one photo, as a value and as JSON."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from catalog.recognition.candidates import Match
from catalog.recognition.decision import DecidedBy, Decision
from catalog.recognition.reranking import Extent
from catalog.recognition.steps import Milliseconds
from catalog.storage import new_answer_id
from embedder.inference import Vectors
from embedder.matching import LocalFeatures


@dataclass(frozen=True)
class Recognition:
    """The answer to one photo: matches, best first, also when the decision is not `match`.

    `decided_by`: what the answer rests on. `confidence`: by details, the probability of the first match; None by the
    embedding alone. `barcodes`: those of our products that the photo shows, 14 digits each. `details`: the query's
    local features, where it was re-ranked. `id` names the answer in the log.

    `extent`: how far the second look came, None without one; the answer might be another one with more time if it is
    not complete. `mirrored`: the photo is a mirror image, and was matched as one. `vector`: the photo's, float32
    [dim]. `timings`: how much of `milliseconds` each step took.
    """

    decision: Decision
    matches: list[Match]
    bundle: str
    milliseconds: float
    vector: Vectors = field(compare=False, repr=False)
    id: uuid.UUID = field(default_factory=new_answer_id, compare=False)
    decided_by: DecidedBy = "embedding"
    confidence: float | None = None
    barcodes: tuple[str, ...] = ()
    details: LocalFeatures | None = field(default=None, compare=False, repr=False)
    extent: Extent | None = None
    mirrored: bool = False
    timings: Milliseconds = field(default_factory=dict, compare=False, repr=False)

    @property
    def complete(self) -> bool:
        """Whether no time was missing: the second look was not cut short, or there was none."""
        return self.extent is None or self.extent.complete

    def as_dict(self) -> dict[str, Any]:
        """The contract's form, for JSON."""
        return {
            "decision": self.decision,
            "matches": [_match_dict(match) for match in self.matches],
            "decided_by": self.decided_by,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "barcodes": list(self.barcodes),
            "mirrored": self.mirrored,
            "complete": self.complete,
            "looked_at": self.extent and {"photos": self.extent.photos, "of": self.extent.candidates},
            "bundle": self.bundle,
            "milliseconds": round(self.milliseconds, 2),
            "timings": {step: round(taken, 2) for step, taken in self.timings.items()},
            "id": str(self.id),
        }


def _match_dict(match: Match) -> dict[str, Any]:
    known = match.product
    return {
        "sku": match.sku,
        "name": match.name,
        "score": round(match.score, 4),
        "evidence": match.evidence.as_dict() if match.evidence else None,
        "photo": {"id": str(match.photo_id), "sha256": match.photo} if match.photo else None,
        "brand": known.brand,
        "category": known.category,
        "variant_group": known.variant_group,
        "barcodes": list(known.barcodes),
        "differs": match.differs.as_dict() if match.differs else None,
    }

"""Findings of the doctor, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "photo_missing",
    "photo_damaged",
    "details_missing",
    "file_orphaned",
    "file_unfinished",
    "photos_not_asked",
    "enrollment_missing",
    "pending_long",
    "bundle_missing",
    "collection_missing",
    "collection_mismatch",
    "collection_broken",
    "collection_orphaned",
    "point_missing",
    "point_retired",
    "point_orphaned",
    "vectors_wrong",
    "words_missing",
    "margin_wrong",
    "gallery_not_asked",
]
#: These only waste space: no answer is wrong because of them.
WASTE: frozenset[Kind] = frozenset({"file_orphaned", "file_unfinished", "collection_orphaned"})
#: A part could not be checked.
NOT_ASKED: frozenset[Kind] = frozenset({"photos_not_asked", "gallery_not_asked"})
#: How bad a finding is: a defect; a part that could not be checked; WASTE; repaired.
Severity = Literal["defect", "unchecked", "waste", "mended"]


@dataclass(frozen=True)
class Finding:
    """A defect, and what it concerns, as far as that is known.

    `sku`: a product that has it; `sha256`: a photo's content; `photo`: the id of a photo, and so of its point;
    `collection`: a generation in the gallery. `mended`: it is repaired now.
    """

    kind: Kind
    message: str
    sku: str = ""
    sha256: str = ""
    photo: str = ""
    collection: str = ""
    mended: bool = False

    @property
    def subject(self) -> str:
        """First word of a line about it."""
        return self.sku or self.collection or self.sha256[:12] or "catalog"


def severity(finding: Finding) -> Severity:
    """How bad it is."""
    if finding.mended:
        return "mended"
    if finding.kind in NOT_ASKED:
        return "unchecked"
    return "waste" if finding.kind in WASTE else "defect"


def status(findings: Iterable[Finding]) -> int:
    """Exit status. 1: an unrepaired defect, other than WASTE; else 2: a part could not be checked; else 0."""
    found = {severity(finding) for finding in findings}
    if "defect" in found:
        return 1
    return 2 if "unchecked" in found else 0

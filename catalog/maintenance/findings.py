"""What the doctor can find, and what each of it means for who watches."""

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
    "gallery_not_asked",
]
#: These only take space: no answer is wrong because of them.
WASTE: frozenset[Kind] = frozenset({"file_orphaned", "file_unfinished", "collection_orphaned"})
#: A part that could not be looked at.
NOT_ASKED: frozenset[Kind] = frozenset({"photos_not_asked", "gallery_not_asked"})


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and what it is about, as far as that is known.

    `sku`: a product that has it; `sha256`: a photo's content; `photo`: a photo's id, which is its point's;
    `collection`: a generation in the gallery. `mended`: it is as it should be now.
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
        """What a line about it begins with."""
        return self.sku or self.collection or self.sha256[:12] or "catalog"


def status(findings: Iterable[Finding]) -> int:
    """0: all is well, or mended, or only takes space; 1: something is amiss; 2: a part could not be asked, else 0."""
    left = {finding.kind for finding in findings if not finding.mended} - WASTE
    if left - NOT_ASKED:
        return 1
    return 2 if left else 0

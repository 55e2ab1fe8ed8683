"""What to do about a finding of the doctor, in the words of the pages."""

from __future__ import annotations

#: By kind (catalog/maintenance/findings.py).
WHAT_TO_DO = {
    "photo_missing": "Take the photo of this product again, or restore its file from a backup.",
    "photo_damaged": "Delete the photo and take it again, or restore its file from a backup.",
    "details_missing": "It is found by its looks alone until its details are read again, which mending does.",
    "photos_not_asked": "See whether the disk or the bucket with the photos can be reached, then check again.",
    "file_orphaned": "It may stay, or mending removes it.",
    "file_unfinished": "It may stay, or mending removes it.",
    "enrollment_missing": "Mending makes it searchable.",
    "pending_long": "It is tried again by itself. If it stays so, take the photo again.",
    "bundle_missing": "Nobody can switch back to that model until its folder is there again.",
    "collection_missing": "Mending fills it again from the photos.",
    "collection_mismatch": "Mending fills it again from the photos.",
    "collection_broken": "An admin has it filled again from the photos, below.",
    "collection_orphaned": "It may stay, or mending removes it.",
    "point_missing": "Tills may not find this product by that photo. Mending puts it into the gallery again.",
    "point_retired": "No answer names it; mending removes it.",
    "point_orphaned": "No answer names it; mending removes it.",
    "vectors_wrong": "Answers may be wrong. Mending embeds all photos again.",
    "words_missing": "Products are harder to tell apart. Mending embeds all photos again.",
    "margin_wrong": "Mending fits it again.",
    "gallery_not_asked": "Check again when nothing else has the gallery open and its server answers.",
}


def what_to_do(kind: str) -> str:
    """A sentence; "" for a kind of another version."""
    return WHAT_TO_DO.get(kind, "")

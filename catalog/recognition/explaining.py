"""Pictures that explain an answer: two photos side by side, their matching local features joined."""

from __future__ import annotations

from PIL import Image, ImageOps

from catalog.recognition.answer import Recognition
from catalog.recognition.candidates import Match
from catalog.storage import PhotoStore, feature_store
from embedder import images, matching
from embedder.matching import verify

#: Longer side to which a photo is decoded, in pixels.
SIDE = 640


def first_shown(answer: Recognition) -> Match | None:
    """The first match with evidence from re-ranking: the one that a picture shows."""
    return next((match for match in answer.matches if match.evidence), None)


def answer_picture(photos: PhotoStore, data: bytes, answer: Recognition) -> Image.Image | None:
    """The query photo (bytes of its file) beside the reference photo of `first_shown`; None without such a match.

    A mirrored photo is shown as it was matched. Raises NotFoundError or StorageError when the reference photo
    can't be read.
    """
    shown = first_shown(answer)
    if shown is None or shown.evidence is None or answer.details is None:
        return None
    query = images.decode(data, want=SIDE)
    if shown.evidence.mirrored:
        query = ImageOps.mirror(query)
    reference = images.decode(photos.get(shown.evidence.photo), want=SIDE)
    return matching.draw_agreement(query, reference, answer.details, shown.evidence.details, shown.evidence.agreement)


def stored_picture(photos: PhotoStore, sha256: str, other: str) -> Image.Image:
    """Two stored photos (SHA-256) side by side, their matching local features joined.

    Raises NotFoundError or StorageError when one can't be read, embedder.errors.ImageError when one can't be decoded.
    """
    here, there = (feature_store.load_or_extract(photos, photo) for photo in (sha256, other))
    query, reference = (images.decode(photos.get(photo), want=SIDE) for photo in (sha256, other))
    return matching.draw_agreement(query, reference, here, there, verify(here, there))

"""Recognition, the read side: photo -> features -> gallery -> decision."""

from __future__ import annotations

from catalog.recognition import candidates
from catalog.recognition.answer import Recognition
from catalog.recognition.candidates import MATCHES, MOST_MATCHES, Evidence, Match
from catalog.recognition.decision import decide, is_sure
from catalog.recognition.describing import is_reference
from catalog.recognition.explaining import answer_picture, first_shown, stored_picture
from catalog.recognition.likeness import find_alike
from catalog.recognition.recognizing import recognize, recognize_by
from catalog.recognition.recognizing_many import MOST_PHOTOS, recognize_many
from catalog.recognition.reranking import Budget
from catalog.recognition.scope import WHOLE_CATALOG, Scope

__all__ = [
    "MATCHES",
    "MOST_MATCHES",
    "MOST_PHOTOS",
    "WHOLE_CATALOG",
    "Budget",
    "Evidence",
    "Match",
    "Recognition",
    "Scope",
    "answer_picture",
    "candidates",
    "decide",
    "find_alike",
    "first_shown",
    "is_reference",
    "is_sure",
    "recognize",
    "recognize_by",
    "recognize_many",
    "stored_picture",
]

"""Recognition, the read side: photo -> features -> gallery -> decision."""

from __future__ import annotations

from catalog.recognition import candidates
from catalog.recognition.candidates import Evidence, Match
from catalog.recognition.decision import decide, is_sure
from catalog.recognition.explaining import answer_picture, first_shown, stored_picture
from catalog.recognition.likeness import find_alike
from catalog.recognition.recognizing import Recognition, recognize
from catalog.recognition.scope import WHOLE_CATALOG, Scope

__all__ = [
    "WHOLE_CATALOG",
    "Evidence",
    "Match",
    "Recognition",
    "Scope",
    "answer_picture",
    "candidates",
    "decide",
    "find_alike",
    "first_shown",
    "is_sure",
    "recognize",
    "stored_picture",
]

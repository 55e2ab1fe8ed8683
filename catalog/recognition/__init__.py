"""The read side: photo -> features -> gallery -> decision."""

from __future__ import annotations

from catalog.recognition import candidates
from catalog.recognition.candidates import Evidence, Match
from catalog.recognition.decision import decide, is_sure
from catalog.recognition.explaining import answer_picture, first_shown, stored_picture
from catalog.recognition.recognizing import Recognition, recognize
from catalog.recognition.scope import EVERYTHING, Among

__all__ = [
    "EVERYTHING",
    "Among",
    "Evidence",
    "Match",
    "Recognition",
    "answer_picture",
    "candidates",
    "decide",
    "first_shown",
    "is_sure",
    "recognize",
    "stored_picture",
]

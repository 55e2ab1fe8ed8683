"""The rules that order and decide: reciprocal rank fusion (RRF), and match, ambiguous or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass  # Only a type here: importing it would load OpenCV.

RRF_K = 2
"""Qdrant's own constant. With the classic 60 the 30th of both lists goes before the first of one; but what the
embedding can't tell apart only the words know, and the other way round."""

RRF_WEIGHTS = (1.0, 1.001)
"""Of embedding and words, all but equal: equal ones tie at every rank, and Qdrant breaks ties at random."""

"""The rules that order and decide: reciprocal rank fusion (RRF), and match, ambiguous or unknown.

Loads neither NumPy nor OpenCV; the rules take arrays all the same.
"""

from __future__ import annotations

from typing import Any, Literal

Answer = Literal["match", "ambiguous", "unknown"]

RRF_K = 2
"""Qdrant's own constant (Cormack et al. 2009 use 60). With 60 the 30th of both lists goes before the first of one; but
what the embedding can't tell apart only the words know, and the other way round."""

RRF_WEIGHTS = (1.0, 1.001)
"""Of embedding and words, all but equal: equal ones tie at every rank, and Qdrant breaks ties at random."""

PREFETCH = 2
"""How many times its limit a shortlist takes of each kind: below that in both lists, nothing can come up in it."""


def is_match(score: Any, margin: Any, least_score: Any, least_margin: Any) -> Any:
    """Whether the best SKU's score and its margin over the second SKU make a match; numbers, or arrays [queries]."""
    return (score >= least_score) & (margin >= least_margin)


def decide(score: float, margin: float, least_score: float, least_margin: float) -> Answer:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if is_match(score, margin, least_score, least_margin):
        return "match"
    return "ambiguous" if score >= least_score else "unknown"

"""Ranking and decision rules: reciprocal rank fusion (RRF), and match, ambiguous or unknown.

Imports neither NumPy nor OpenCV; the functions accept arrays all the same.
"""

from __future__ import annotations

from typing import Any, Literal

Answer = Literal["match", "ambiguous", "unknown"]

RRF_K = 2
"""RRF rank constant: Qdrant's own (Cormack et al. 2009 use 60). With 60, rank 30 in both lists beats rank 1 in one; but
what the embedding can't tell apart, only the visual words can, and vice versa."""

RRF_WEIGHTS = (1.0, 1.001)
"""Of embedding and words. Nearly equal: equal weights tie at every rank, and Qdrant breaks ties at random."""

PREFETCH = 2
"""Each ranking is cut off at this multiple of the shortlist's limit: below it in both, no photo can be shortlisted."""


def is_match(score: Any, margin: Any, least_score: Any, least_margin: Any) -> Any:
    """Whether the best SKU's score and margin over the second SKU make a match; numbers, or arrays [queries]."""
    return (score >= least_score) & (margin >= least_margin)


def decide(score: float, margin: float, least_score: float, least_margin: float) -> Answer:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if is_match(score, margin, least_score, least_margin):
        return "match"
    return "ambiguous" if score >= least_score else "unknown"

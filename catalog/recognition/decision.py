"""The decision: match, ambiguous or unknown."""

from __future__ import annotations

import math
from typing import Literal

from catalog.recognition.barcode_lookup import ByBarcode
from catalog.recognition.candidates import Match
from embedder import ranking
from embedder.bundle import Thresholds

Decision = ranking.Answer
DecidedBy = Literal["embedding", "details", "barcode"]


def by_barcode(named: list[ByBarcode], seen: list[Match], by_sight: Decision) -> tuple[Decision, list[Match]]:
    """Products found by barcode, and matches and decision by vector -> decision and matches.

    A barcode decides. Two of them, or one on what is a sure match with another product by vector, are ambiguous. A
    product that is not among the vector's matches has a score of 0 here, and no reference photo.
    """
    near = {match.sku: match for match in seen}
    first = [near.get(product.sku) or Match(product.sku, product.name, 0.0, "") for product in named]
    skus = {match.sku for match in first}
    others = [match for match in seen if match.sku not in skus]
    disagree = by_sight == "match" and seen[0].sku not in skus
    return "ambiguous" if disagree or len(first) > 1 else "match", [*first, *others]


def decide(matches: list[Match], thresholds: Thresholds) -> Decision:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`.

    The margin is the bundle's, or the first product's own where that is more.
    """
    if not matches:
        return "unknown"
    needed = max(thresholds.margin, matches[0].margin)
    return ranking.decide(matches[0].score, _margin(matches), thresholds.score, needed)


def is_sure(matches: list[Match], score: float, margin: float) -> bool:
    """Whether the first SKU has this score, and this margin (or its own, if that is more) over the second."""
    if not matches:
        return False
    return bool(ranking.is_match(matches[0].score, _margin(matches), score, max(margin, matches[0].margin)))


def _margin(matches: list[Match]) -> float:
    """Margin of the first SKU's score over the second's; infinite without a second."""
    return matches[0].score - matches[1].score if len(matches) > 1 else math.inf

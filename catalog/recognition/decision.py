"""Match, ambiguous or unknown."""

from __future__ import annotations

import math
from typing import Literal

from catalog.recognition.barcode_lookup import ByBarcode
from catalog.recognition.candidates import MAX_MATCHES, Match
from embedder import ranking
from embedder.bundle import Thresholds

Decision = ranking.Answer
DecidedBy = Literal["embedding", "details", "barcode"]


def by_barcode(named: list[ByBarcode], seen: list[Match], by_sight: Decision) -> tuple[Decision, list[Match]]:
    """Products whose barcode the photo shows, and what the vector sees in it -> decision and matches.

    A barcode decides. Where a photo shows two of them, or one on what looks like another product for sure, somebody has
    to look. A product that the photo does not come near to has a score of 0 here, and no reference photo to show.
    """
    near = {match.sku: match for match in seen}
    first = [near.get(each.sku) or Match(each.sku, each.name, 0.0, "") for each in named]
    skus = {match.sku for match in first}
    others = [match for match in seen if match.sku not in skus]
    disagree = by_sight == "match" and seen[0].sku not in skus
    return "ambiguous" if disagree or len(first) > 1 else "match", [*first, *others][:MAX_MATCHES]


def decide(matches: list[Match], thresholds: Thresholds) -> Decision:
    """`unknown` below the score; `ambiguous` when the second SKU is within the margin; else `match`."""
    if not matches:
        return "unknown"
    return ranking.decide(matches[0].score, _margin(matches), thresholds.score, thresholds.margin)


def is_sure(matches: list[Match], score: float, margin: float) -> bool:
    """Whether the first SKU has this score, and this margin over the second."""
    return bool(matches) and bool(ranking.is_match(matches[0].score, _margin(matches), score, margin))


def _margin(matches: list[Match]) -> float:
    """The first SKU's over the second; one that is alone has any margin."""
    return matches[0].score - matches[1].score if len(matches) > 1 else math.inf

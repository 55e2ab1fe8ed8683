"""Re-ranking (the second look): which SKU of a shortlist a query shows, if any, by calibrated weights.

A conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"): the utility of each
SKU is a weighed sum of its features, that of "none of these" is 0, and the probability of each is its share of the
exponentials of all. What must hold on products that no embedding has seen is in the features, not in their weights:

- no weight but the constant's is below 0 (conditional_logit.fit), and points that agree only ever raise the features of
  their SKU, so that more of them never lower its probability;
- a cosine below a floor is none, and what the vector says for a SKU counts the less, the clearer another SKU's own
  print is: a low cosine can't outvote print;
- points count for a SKU when they agree with no other: print that two have in common decides for neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from embedder.bundle import RerankerWeights
from embedder.matching.appearance import Appearance
from embedder.matching.local_features import LocalFeatures
from embedder.matching.verification import Agreement, covered
from embedder.ranking import Answer

Floats = npt.NDArray[np.float64]

#: The agreement of cells that is evidence neither for nor against a SKU (bundles of before: of what they compare).
USUAL, USUAL_LEAST = 0.8, 0.6
USUAL_COARSE, USUAL_COARSE_LEAST = 0.65, 0.5
#: A SKU's own points count piece by piece (a monotone, piecewise-linear curve): from here to there, 0 to 1.
PIECES = ((0, 4), (4, 8), (8, 12), (12, 16), (16, 24), (24, 40))
#: Of a SKU of the shortlist, in the order of the columns of `features`.
FEATURES = {
    "constant": "1: the evidence that a match needs at all",
    "cosine": "of the query to the SKU's nearest photo, above the floor; less what another SKU's print takes",
    "cosine_margin": "of the first, over the best other SKU, both above the floor; less what another SKU's print takes",
    "own": "log(1 + points that agree with the SKU and not with its strongest rival), less the same of the rival",
    **{f"points_{end}": f"points that agree with no other SKU: from {start} (0) to {end} (1)" for start, end in PIECES},
    "area": "the share of the reference's print that these points cover",
    "print_seen": f"how well the fine print is seen at its place, over {USUAL}: where it was compared",
    "print_least": f"how well that part of it is which is seen least, over {USUAL_LEAST}: where it was compared",
    "hue": "how far the colours there are from the reference's, below 0: where it was compared",
}
#: Of bundles that compare light and dark instead of fine print (appearance.compare_coarse), in place of the last three.
COARSE = ("appearance", "least", "colour")
#: Features of bundles before there was a floor.
OLDER = ("constant", "cosine", "cosine_margin", "own", "print")
#: Inliers that any two packs may have by chance, spread over the whole pack.
CHANCE = 6
#: SKUs that an answer names. The nearest photo of each SKU that the vector finds is always verified.
MATCHES = 5
#: Photos on the gallery's shortlist; matched so many at a time.
SHORTLIST, BATCH = 60, 10
#: Of the first BATCH, matched so many at a time: the most promising come first, and one of them may be beyond doubt.
FIRST = 5
#: Own points beyond chance that leave nothing of what the vector says for other SKUs.
CLEAR = 20
#: SKUs whose appearance is compared: those that most points agree with, so many at least.
COMPARED, COMPARABLE = 3, 10
#: A first that is so probable after a batch ends the look: of 1,712 askings none was answered otherwise after the rest.
SETTLED = 0.99
#: After so many photos a match ends the look.
ENOUGH = 30
#: Packs in one place overlap by more than this share of the smaller one: look-alikes, and not two products.
OVERLAP = 0.3


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reference photo of the shortlist: its SKU, its cosine to the query, its details, and how they agree.

    `appearance`: what is seen of its print; None where that was not compared, or can't be.
    """

    sku: str
    cosine: float
    reference: LocalFeatures
    match: Agreement
    appearance: Appearance | None = None


@dataclass(frozen=True, eq=False)
class RankedSku:
    """A re-ranked SKU: its probability, the same if it were the only SKU (`alone`), and its best candidate."""

    sku: str
    probability: float
    alone: float
    best: Candidate


def can_weigh(look: RerankerWeights) -> bool:
    """Whether the weights are of features that this version has."""
    return set(look.weights) == set(_columns(look))


def compares_coarse(look: RerankerWeights) -> bool:
    """Whether the weights are of appearance as it was compared before (appearance.compare_coarse)."""
    return look.floor is not None and COARSE[0] in look.weights


def _usual(look: RerankerWeights) -> tuple[float, float]:
    """The agreement of all cells, and of those that agree least, that is evidence neither for nor against a SKU."""
    return (USUAL_COARSE, USUAL_COARSE_LEAST) if compares_coarse(look) else (USUAL, USUAL_LEAST)


def _columns(look: RerankerWeights) -> tuple[str, ...]:
    """The names of the features that the weights are of, in the order of the table's columns."""
    if look.floor is None:
        return OLDER
    return (*tuple(FEATURES)[: -len(COARSE)], *COARSE) if compares_coarse(look) else tuple(FEATURES)


def rank(look: RerankerWeights, candidates: Sequence[Candidate]) -> list[RankedSku]:
    """Candidates of a query -> their SKUs, the most probable first."""
    if not candidates:
        return []
    if look.floor is None:
        skus, best, table = older_features(candidates)
    else:
        skus, best, table = features(candidates, look.floor, coarse=compares_coarse(look))
    utilities = table @ weight_row(look)
    chances = probabilities(utilities)
    alone = [float(probabilities(utilities[place : place + 1])[0]) for place in range(len(skus))]
    order = np.argsort(-chances, kind="stable")
    return [RankedSku(skus[place], float(chances[place]), alone[place], candidates[best[place]]) for place in order]


def weight_row(look: RerankerWeights) -> Floats:
    """The weights in the order of the table's columns, [features]."""
    return np.array([look.weights[name] for name in _columns(look)])


def agrees(candidates: Sequence[Candidate]) -> bool:
    """Whether any candidate has inliers beyond chance; if not, the answer by the embedding alone stands."""
    return any(_inliers(candidate) for candidate in candidates)


def is_settled(look: RerankerWeights, weighed: Sequence[RankedSku], photos: int) -> bool:
    """Whether the rest of the shortlist need not be looked at after so many photos of it.

    The first is beyond doubt, or it is a match among ENOUGH: more are looked at only where the first ones say nothing.
    """
    if not weighed:
        return False
    return weighed[0].probability >= (look.accept if photos >= ENOUGH else SETTLED)


def comparable(candidates: Sequence[Candidate]) -> list[int]:
    """The places of the candidates whose appearance is compared: the best of each SKU that most points agree with."""
    _, best = _best_of_skus(candidates)
    able = [
        place
        for place in best
        if _inliers(candidates[place])
        and candidates[place].match.inliers >= COMPARABLE
        and candidates[place].match.outline is not None
    ]
    return sorted(able, key=lambda place: -candidates[place].match.inliers)[:COMPARED]


def is_compared(look: RerankerWeights, weighed: Sequence[RankedSku], left: Collection[str]) -> bool:
    """Whether the appearance of the SKUs that are `left` need not be compared: the answer would be the same.

    The first is compared, and beyond doubt however well the print of the others were seen; and none of the others would
    be a match by itself, which makes a photo of two products ambiguous.
    """
    if not weighed or weighed[0].sku in left:
        return False
    names = _columns(look)[-len(COARSE) :]
    usual, usual_least = _usual(look)
    most = np.exp(look.weights[names[0]] * (1 - usual) + look.weights[names[1]] * (1 - usual_least))
    odds = [one.alone / max(1 - one.alone, 1e-12) * (most if one.sku in left else 1) for one in weighed]
    alone = [one / (1 + one) for one, ranked in zip(odds, weighed, strict=True) if ranked.sku in left]
    return odds[0] >= SETTLED * (1 + sum(odds)) and max(alone, default=0) < look.accept


def keeps_older_order(look: RerankerWeights, weighed: Sequence[RankedSku]) -> bool:
    """Whether matches stay in the vector's order, as with weights of an older version whose first SKU is no guess."""
    return look.floor is None and bool(weighed) and weighed[0].probability < 0.5 and weighed[0].alone < look.accept


def decide(look: RerankerWeights, weighed: Sequence[RankedSku], matched: str = "") -> Answer:
    """`match` from a probability of `accept` on; else `unknown` if "none of these" has over half, or `ambiguous`.

    What the first look `matched` (a SKU) stays a match when it is first by details, too, however little they are worth,
    unless it was compared: what is seen of its print says more.

    So it is, too, when another product would be a match by itself and lies elsewhere in the photo: it shows both.
    """
    if weighed and (weighed[0].probability >= look.accept or _stays(weighed[0], matched)):
        both = any(one.alone >= look.accept and _apart(weighed[0].best, one.best) for one in weighed[1:])
        return "ambiguous" if both else "match"
    return "ambiguous" if sum(one.probability for one in weighed) >= 0.5 else "unknown"


def _stays(first: RankedSku, matched: str) -> bool:
    return first.sku == matched and first.best.appearance is None


def _apart(one: Candidate, other: Candidate) -> bool:
    """Whether two packs lie apart in the query: their outlines share less than OVERLAP of the smaller one."""
    outlines = [candidate.match.outline for candidate in (one, other)]
    if any(outline is None for outline in outlines):
        return False
    first, second = (cv2.convexHull(np.asarray(outline, np.float32)) for outline in outlines)
    shared, _ = cv2.intersectConvexConvex(first, second)
    return bool(shared < OVERLAP * min(cv2.contourArea(first), cv2.contourArea(second)))


def probabilities(utilities: Floats) -> Floats:
    """Utilities [skus] -> the probability of each, [skus]; the remainder to 1 is that of "none of these"."""
    highest = max(0.0, float(utilities.max(initial=0.0)))
    shares = np.exp(utilities - highest)
    found: Floats = shares / (shares.sum() + np.exp(-highest))
    return found


def features(
    candidates: Sequence[Candidate], floor: float, *, coarse: bool = False
) -> tuple[list[str], list[int], Floats]:
    """Candidates -> their SKUs, the place of the best candidate of each, and its features, [skus, features].

    Packs of one product family agree wherever they look alike, so a query point is evidence for a SKU only when it
    agrees with no other. `coarse`: their appearance is that of compare_coarse.
    """
    usual, usual_least = (USUAL_COARSE, USUAL_COARSE_LEAST) if coarse else (USUAL, USUAL_LEAST)
    skus, best = _best_of_skus(candidates)
    highest: dict[str, float] = {}
    for one in candidates:
        highest[one.sku] = max(one.cosine, highest.get(one.sku, -1.0))
    above = np.maximum([highest[sku] - floor for sku in skus], 0.0)
    agreeing = [_agreeing(candidates[place]) for place in best]
    shared = Counter(point for points in agreeing for point in points)
    own = [_own_pairs(candidates[place], shared) for place in best]
    count = np.array([len(pairs) for pairs in own], float)
    left = 1 - _best_other(np.clip((count - CHANCE) / CLEAR, 0, 1))
    seen = [candidates[place].appearance for place in best]
    columns = {
        "constant": np.ones(len(skus)),
        "cosine": above * left,
        "cosine_margin": np.maximum(above - _best_other(above), 0) * left if len(skus) > 1 else np.zeros(1),
        "own": _own(agreeing),
        **{f"points_{end}": np.clip((count - start) / (end - start), 0, 1) for start, end in PIECES},
        "area": np.array(
            [
                covered(candidates[place].reference, pairs[:, 1]) if len(pairs) > 2 else 0.0
                for place, pairs in zip(best, own, strict=True)
            ]
        ),
        "print_seen": np.array([one.agreement - usual if one else 0.0 for one in seen]),
        "print_least": np.array([one.least - usual_least if one else 0.0 for one in seen]),
        "hue": np.array([-one.colour if one else 0.0 for one in seen]),
    }
    return skus, best, np.stack([columns[name] for name in FEATURES], axis=1)


def older_features(candidates: Sequence[Candidate]) -> tuple[list[str], list[int], Floats]:
    """As `features`, of OLDER: a catalog whose bundle an older version made recognizes as it did."""
    skus, best = _best_of_skus(candidates)
    cosine = np.array([max(one.cosine for one in candidates if one.sku == sku) for sku in skus])
    agreeing = [_agreeing(candidates[place]) for place in best]
    shared = Counter(point for points in agreeing for point in points)
    print_of = []
    for place in best:
        own = _own_pairs(candidates[place], shared)
        beyond = np.log1p(max(len(own) - CHANCE, 0))
        print_of.append(beyond * covered(candidates[place].reference, own[:, 1]) if beyond else 0.0)
    others = cosine - _best_other(cosine) if len(cosine) > 1 else np.zeros(1)
    return skus, best, np.stack([np.ones(len(skus)), cosine, others, _own(agreeing), np.array(print_of)], axis=1)


def _best_of_skus(candidates: Sequence[Candidate]) -> tuple[list[str], list[int]]:
    """The SKUs, and of each the place of the photo that most points agree with."""
    places: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        places.setdefault(candidate.sku, []).append(place)
    best = [max(own, key=lambda one: (_inliers(candidates[one]), candidates[one].cosine)) for own in places.values()]
    return list(places), best


def _inliers(candidate: Candidate) -> int:
    """Inliers that say something about the product: those beyond chance, and of a still camera none (see Agreement)."""
    return 0 if candidate.match.still else max(0, candidate.match.inliers - CHANCE)


def _agreeing(candidate: Candidate) -> frozenset[int]:
    """Indices of the query's inliers."""
    return frozenset(candidate.match.pairs[:, 0].tolist()) if _inliers(candidate) else frozenset()


def _own_pairs(candidate: Candidate, shared: Counter[int]) -> npt.NDArray[np.intp]:
    """The pairs, [own, 2], whose point of the query agrees with no other SKU; `shared`: with how many each does."""
    pairs = candidate.match.pairs
    return pairs[[shared[point] == 1 for point in pairs[:, 0].tolist()]] if _inliers(candidate) else pairs[:0]


def _best_other(values: Floats) -> Floats:
    """[n] -> the highest of the others, [n]; 0 without another."""
    if len(values) < 2:
        return np.zeros(len(values))
    second, first = np.sort(values)[-2:]
    return np.where(values == first, second, first)


def _own(agreeing: Sequence[frozenset[int]]) -> Floats:
    """Query points that agree with each SKU -> [n]: log1p of its own less log1p of its strongest rival's own."""
    order = sorted(range(len(agreeing)), key=lambda place: -len(agreeing[place]))
    own = np.zeros(len(agreeing))
    if len(order) > 1:
        for place, points in enumerate(agreeing):
            rival = agreeing[order[1] if place == order[0] else order[0]]
            own[place] = np.log1p(len(points - rival)) - np.log1p(len(rival - points))
    return own

"""Re-ranking (the second look): which SKU of a shortlist a query shows, if any, by calibrated weights.

A conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"): the utility of each
SKU is a weighted sum of its features, that of "none of these" is 0, and the softmax of all gives the probabilities. So
inliers alone do not decide: the few that any two packs share weigh little against a clear cosine, and what all
candidates have in common raises all of them alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from embedder.bundle import RerankerWeights
from embedder.errors import BundleError
from embedder.matching.local_features import LocalFeatures
from embedder.matching.verification import Agreement, covered
from embedder.ranking import Answer

Floats = npt.NDArray[np.float64]

#: Features of a shortlisted SKU, in the order of the columns of `features`; shown on the model card.
FEATURES = {
    "constant": "1: what speaks against any match at all",
    "cosine": "of the query to the SKU's nearest photo",
    "cosine_margin": "over the best other SKU; below 0 for all but the first",
    "own": "log(1 + points that agree with the SKU and not with its strongest rival), less the same of the rival",
    "print": "log(1 + points beyond chance that agree with no other SKU) x the share of the print that they cover",
}
#: Inliers that any two packs may have by chance, spread over the whole pack.
CHANCE = 6
#: SKUs that an answer names. The nearest photo of each SKU that the vector finds is always verified.
MATCHES = 5
#: Photos on the gallery's shortlist; matched so many at a time, by so many threads.
SHORTLIST, BATCH, THREADS = 30, 10, 2
#: Re-ranking stops after a batch when the first SKU is so probable: in 1,712 cases no later batch changed the answer.
SETTLED = 0.99
#: Outlines that share more than this of the smaller one are one pack (of look-alikes), not two products in the photo.
OVERLAP = 0.3
#: Below this probability the re-ranked order is not used, unless the first SKU would match but for its rival.
GUESS = 0.5


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reference photo of the shortlist: SKU, cosine to the query, local features, and how they agree."""

    sku: str
    cosine: float
    reference: LocalFeatures
    match: Agreement


@dataclass(frozen=True, eq=False)
class RankedSku:
    """A re-ranked SKU: its probability, the same if it were the only SKU (`alone`), and its best candidate."""

    sku: str
    probability: float
    alone: float
    best: Candidate


def check_weights(look: RerankerWeights) -> None:
    """Raises BundleError for weights of features other than this version's."""
    if set(look.weights) != set(FEATURES):
        raise BundleError(f"The weights of the second look are of {sorted(look.weights)}, not {sorted(FEATURES)}.")


def rank(look: RerankerWeights, candidates: Sequence[Candidate]) -> list[RankedSku]:
    """Candidates of a query -> their SKUs, the most probable first."""
    if not candidates:
        return []
    skus, best, table = features(candidates)
    utilities = table @ np.array([look.weights[name] for name in FEATURES])
    chances = probabilities(utilities)
    alone = [float(probabilities(utilities[place : place + 1])[0]) for place in range(len(skus))]
    order = np.argsort(-chances, kind="stable")
    return [RankedSku(skus[place], float(chances[place]), alone[place], candidates[best[place]]) for place in order]


def agrees(candidates: Sequence[Candidate]) -> bool:
    """Whether any candidate has inliers beyond chance; if not, the answer by the embedding alone stands."""
    return any(_inliers(candidate) for candidate in candidates)


def is_settled(weighed: Sequence[RankedSku]) -> bool:
    """Whether the first SKU is certain, so that the rest of the shortlist need not be verified."""
    return bool(weighed) and weighed[0].probability >= SETTLED


def is_guess(look: RerankerWeights, weighed: Sequence[RankedSku]) -> bool:
    """Whether the re-ranked order is used; if not, the SKUs stay in the embedding's order.

    `alone` counts, too: of two packs in one photo neither reaches GUESS, but each would be a match by itself.
    """
    return bool(weighed) and (weighed[0].probability >= GUESS or weighed[0].alone >= look.accept)


def decide(look: RerankerWeights, weighed: Sequence[RankedSku], matched: str = "") -> Answer:
    """`match` from a probability of `accept` on; else `unknown` if "none of these" has over half, or `ambiguous`.

    A SKU that the embedding alone `matched` stays a match when re-ranking puts it first, whatever its probability. A
    match becomes `ambiguous` when another SKU would match by itself elsewhere in the photo: it shows both.
    """
    if weighed and (weighed[0].probability >= look.accept or weighed[0].sku == matched):
        both = any(one.alone >= look.accept and _apart(weighed[0].best, one.best) for one in weighed[1:])
        return "ambiguous" if both else "match"
    return "ambiguous" if sum(one.probability for one in weighed) >= 0.5 else "unknown"


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


def features(candidates: Sequence[Candidate]) -> tuple[list[str], list[int], Floats]:
    """Candidates -> their SKUs, the index of the best candidate of each, and its features, [skus, features].

    Packs of one product family agree wherever they look alike, so a query point is evidence for a SKU only when it
    agrees with no other.
    """
    places: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        places.setdefault(candidate.sku, []).append(place)
    skus = list(places)
    best = [max(places[sku], key=lambda one: (_inliers(candidates[one]), candidates[one].cosine)) for sku in skus]
    cosine = np.array([max(candidates[place].cosine for place in places[sku]) for sku in skus])
    agreeing = [_agreeing(candidates[place]) for place in best]
    shared = Counter(point for points in agreeing for point in points)
    columns = {
        "constant": np.ones(len(skus)),
        "cosine": cosine,
        "cosine_margin": cosine - _best_other(cosine),
        "own": _own(agreeing),
        "print": np.array([_print(candidates[place], shared) for place in best]),
    }
    return skus, best, np.stack([columns[name] for name in FEATURES], axis=1)


def _inliers(candidate: Candidate) -> int:
    """Inliers that are evidence for the product: those beyond CHANCE, none of a still camera (see Agreement)."""
    return 0 if candidate.match.still else max(0, candidate.match.inliers - CHANCE)


def _agreeing(candidate: Candidate) -> frozenset[int]:
    """Indices of the query's inliers."""
    return frozenset(candidate.match.pairs[:, 0].tolist()) if _inliers(candidate) else frozenset()


def _print(candidate: Candidate, shared: Counter[int]) -> float:
    """How much of the reference's print agrees with no other SKU; `shared`: how many SKUs agree with each point."""
    pairs = candidate.match.pairs
    own = pairs[[shared[point] == 1 for point in pairs[:, 0].tolist()]] if _inliers(candidate) else pairs[:0]
    if len(own) <= CHANCE:
        return 0.0
    return float(np.log1p(len(own) - CHANCE)) * covered(candidate.reference, own[:, 1])


def _best_other(values: Floats) -> Floats:
    """[n] -> the highest of the others, [n]; without others its own, since being the only one is no evidence."""
    if len(values) < 2:
        return values
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

"""The decision of the second look: which SKU of a shortlist a photo shows, if any, by calibrated weights.

A conditional logit (McFadden 1974, "Conditional logit analysis of qualitative choice behavior"): the utility of each
SKU is a weighed sum of its features, that of "none of these" is 0, and the probability of each is its share of the
exponentials of all. So inliers do not come first: a few that any two packs have weigh little against a clear cosine,
and what all candidates have in common lifts all of them alike.
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

#: Of a SKU of the shortlist, in the order of the columns of `features`.
FEATURES = {
    "constant": "1: what speaks against any match at all",
    "cosine": "of the query to the SKU's nearest photo",
    "cosine_margin": "over the best other SKU; below 0 for all but the first",
    "own": "log(1 + points that agree with the SKU and not with its strongest rival), less the same of the rival",
    "print": "log(1 + points beyond chance that agree with no other SKU) x the share of the print that they cover",
}
#: So many inliers any two packs may have by chance, and spread over all of them.
CHANCE = 6
#: SKUs that an answer names. The nearest photo of each that the vector finds is always looked at.
MATCHES = 5
#: Photos on the gallery's shortlist; matched so many at a time, by so many threads.
SHORTLIST, BATCH, THREADS = 30, 10, 2
#: A first that is so probable after a batch ends the look: of 1,712 askings none was answered otherwise after the rest.
SETTLED = 0.99
#: Packs in one place overlap by more than this share of the smaller one: look-alikes, and not two products.
OVERLAP = 0.3
#: Below this probability the first by details is not even a guess, unless it would be a match but for its rival.
GUESS = 0.5


@dataclass(frozen=True, eq=False)
class Candidate:
    """A reference photo of the shortlist: its SKU, its cosine to the query, its details, and how they agree."""

    sku: str
    cosine: float
    reference: LocalFeatures
    match: Agreement


@dataclass(frozen=True, eq=False)
class RankedSku:
    """A SKU of the shortlist: its probability, what that would be if there were no other, and its best candidate."""

    sku: str
    probability: float
    alone: float
    best: Candidate


def check_weights(look: RerankerWeights) -> None:
    """Raises BundleError for weights of other features than this version has."""
    if set(look.weights) != set(FEATURES):
        raise BundleError(f"The weights of the second look are of {sorted(look.weights)}, not {sorted(FEATURES)}.")


def rank(look: RerankerWeights, candidates: Sequence[Candidate]) -> list[RankedSku]:
    """Candidates of a photo -> their SKUs, the most probable first."""
    if not candidates:
        return []
    skus, best, table = features(candidates)
    utilities = table @ np.array([look.weights[name] for name in FEATURES])
    chances = probabilities(utilities)
    alone = [float(probabilities(utilities[place : place + 1])[0]) for place in range(len(skus))]
    order = np.argsort(-chances, kind="stable")
    return [RankedSku(skus[place], float(chances[place]), alone[place], candidates[best[place]]) for place in order]


def agrees(candidates: Sequence[Candidate]) -> bool:
    """Whether any of them has something printed in common with the photo; if not, the first look's answer stands."""
    return any(_inliers(candidate) for candidate in candidates)


def is_settled(weighed: Sequence[RankedSku]) -> bool:
    """Whether the first is beyond doubt, whatever else is on the shortlist."""
    return bool(weighed) and weighed[0].probability >= SETTLED


def is_guess(look: RerankerWeights, weighed: Sequence[RankedSku]) -> bool:
    """Whether the first by details is at least a guess; if not, the matches stay in the order of the first look.

    Of two packs in one photo neither is likelier than not, and each would be a match by itself.
    """
    return bool(weighed) and (weighed[0].probability >= GUESS or weighed[0].alone >= look.accept)


def decide(look: RerankerWeights, weighed: Sequence[RankedSku], matched: str = "") -> Answer:
    """`match` for a first that is probable enough; `unknown` when none of these is the likeliest; else `ambiguous`.

    What the first look `matched` (a SKU) stays a match when it is first by details, too, however little they are worth.

    So it is, too, when another product would be a match by itself and lies elsewhere in the photo: it shows both.
    """
    if weighed and (weighed[0].probability >= look.accept or weighed[0].sku == matched):
        both = any(one.alone >= look.accept and _apart(weighed[0].best, one.best) for one in weighed[1:])
        return "ambiguous" if both else "match"
    return "ambiguous" if sum(one.probability for one in weighed) >= 0.5 else "unknown"


def _apart(one: Candidate, other: Candidate) -> bool:
    """Whether two packs lie in different places of the photo: of the smaller outline less than OVERLAP is shared."""
    outlines = [candidate.match.outline for candidate in (one, other)]
    if any(outline is None for outline in outlines):
        return False
    first, second = (cv2.convexHull(np.asarray(outline, np.float32)) for outline in outlines)
    shared, _ = cv2.intersectConvexConvex(first, second)
    return bool(shared < OVERLAP * min(cv2.contourArea(first), cv2.contourArea(second)))


def probabilities(utilities: Floats) -> Floats:
    """Utilities [skus] -> the probability of each, [skus]; what is missing to 1 is that of none of them."""
    highest = max(0.0, float(utilities.max(initial=0.0)))
    shares = np.exp(utilities - highest)
    found: Floats = shares / (shares.sum() + np.exp(-highest))
    return found


def features(candidates: Sequence[Candidate]) -> tuple[list[str], list[int], Floats]:
    """Candidates -> their SKUs, the place of the best candidate of each, and its features, [skus, features].

    Of a family of packs each agrees where they are alike. So a point of the query says something for a SKU only when it
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
    """Inliers that say something about the product: those beyond chance, and of a still camera none (see Match)."""
    return 0 if candidate.match.still else max(0, candidate.match.inliers - CHANCE)


def _agreeing(candidate: Candidate) -> frozenset[int]:
    """The query's points that agree."""
    return frozenset(candidate.match.pairs[:, 0].tolist()) if _inliers(candidate) else frozenset()


def _print(candidate: Candidate, shared: Counter[int]) -> float:
    """How much print of the reference is found again that no other SKU has; `shared`: by how many each point is."""
    pairs = candidate.match.pairs
    own = pairs[[shared[point] == 1 for point in pairs[:, 0].tolist()]] if _inliers(candidate) else pairs[:0]
    if len(own) <= CHANCE:
        return 0.0
    return float(np.log1p(len(own) - CHANCE)) * covered(candidate.reference, own[:, 1])


def _best_other(values: Floats) -> Floats:
    """[n] -> the highest of the others, [n]. Without another its own: being the only one says nothing for it."""
    if len(values) < 2:
        return values
    second, first = np.sort(values)[-2:]
    return np.where(values == first, second, first)


def _own(agreeing: Sequence[frozenset[int]]) -> Floats:
    """Query points that agree with each SKU -> log of those that are its own against its strongest rival's own, [n]."""
    order = sorted(range(len(agreeing)), key=lambda place: -len(agreeing[place]))
    own = np.zeros(len(agreeing))
    if len(order) > 1:
        for place, points in enumerate(agreeing):
            rival = agreeing[order[1] if place == order[0] else order[0]]
            own[place] = np.log1p(len(points - rival)) - np.log1p(len(rival - points))
    return own

"""Re-ranking (the second look): shortlist by visual words, verify by local features, rank by both."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from catalog.catalog import Catalog
from catalog.errors import CatalogError, GalleryMismatchError
from catalog.generations import LiveModel
from catalog.recognition.candidates import MATCHES, Evidence, Match, facts_of
from catalog.right_of_way import in_background
from catalog.storage import PhotoStore, feature_store
from embedder.bundle import RerankerWeights
from embedder.errors import ImageError
from embedder.images import Pixels
from embedder.inference import Vectors
from embedder.matching import (
    Candidate,
    LocalFeatures,
    VisualWords,
    compare,
    compare_coarse,
    reranker,
    verify_many,
)
from embedder.matching.reranker import RankedSku
from embedder.ranking import Answer

log = logging.getLogger(__name__)


#: The longest that a look takes by the clock, in multiples of its processor time: of a machine that others use, too.
WALL = 4
#: Photos that a mirrored query is compared with, at most: print that is ours is among the first, and most have none.
MIRRORED = 20


class Budget:
    """How long the looks at one photo may take: `seconds` of this thread's processor time, and WALL times that by the
    clock, in case the photo store or the machine does not get on. In the background, which waits for tills, the clock
    does not count.

    By the clock alone, looks side by side would take the time from one another, and all of them be cut short.
    """

    def __init__(self, seconds: float) -> None:
        self._began = time.perf_counter()
        self._busy_until = time.thread_time() + seconds
        self._until = math.inf if in_background() else self._began + WALL * seconds

    @property
    def milliseconds(self) -> float:
        """Since it was made, by the clock."""
        return (time.perf_counter() - self._began) * 1000

    def is_spent(self) -> bool:
        """To be asked on the thread that made it."""
        return time.thread_time() >= self._busy_until or time.perf_counter() >= self._until


@dataclass(frozen=True)
class Extent:
    """How far a look came: it verified `photos` of the `candidates`. `complete`: no time was missing to go on."""

    photos: int
    candidates: int
    complete: bool


@dataclass(frozen=True, eq=False)
class Reranked:
    """Result of re-ranking: matches, the most probable first, the `others` after them, and the first's probability."""

    decision: Answer
    matches: list[Match]
    confidence: float
    others: list[Match]


@dataclass(frozen=True, eq=False)
class Query:
    """A photo that is asked about: its small `picture` uint8 [h, w, 3], of which the local features are, its vector
    float32 [dim], the features, and their visual words.

    `products`: only these ids (None: all); `without`: not these photos (ids). When the `budget` is spent, what is not
    verified is not considered. `mirrored`: the picture is the photo's mirror image (the vector is the photo's own).
    """

    picture: Pixels
    vector: Vectors
    features: LocalFeatures
    words: VisualWords
    products: frozenset[str] | None
    budget: Budget
    mirrored: bool = False
    without: frozenset[str] = frozenset()


def rerank(
    catalog: Catalog, live: LiveModel, weights: RerankerWeights, first: Sequence[Match], query: Query, *, matched: str
) -> tuple[Reranked | None, Extent]:
    """Decide by local features among what the vector found (`first`) and what shares print with the photo.

    `matched` is the SKU that the vector alone would match, or "". None: no features agree. Of a mirrored query the
    first MIRRORED photos are candidates, and only the first of them unless something agrees. Raises a GalleryError.
    """
    try:
        many = reranker.SHORTLIST + len(query.without)
        hits = catalog.gallery.shortlist(live.collection, query.vector, query.words, many, products=query.products)
    except GalleryMismatchError:
        catalog.generations.release(live.collection)  # as in candidates.nearest_products
        raise
    hits = [hit for hit in hits if hit.id not in query.without][: reranker.SHORTLIST]
    facts = facts_of(catalog.database, hits)
    listed = [Match(row.sku, row.name, hit.score, row.sha256, row.id) for hit in hits if (row := facts.get(hit.id))]
    photos = _in_turn(first, listed)[: MIRRORED if query.mirrored else None]
    seen: dict[Candidate, Match] = {}
    weighed: list[RankedSku] = []
    complete = True
    while len(seen) < len(photos):
        if seen and query.budget.is_spent():
            log.info("the second look ended after %d of %d photos: its time was over", len(seen), len(photos))
            complete = False
            break
        batch = photos[len(seen) : len(seen) + (reranker.BATCH if len(seen) >= reranker.BATCH else reranker.FIRST)]
        references = [_read(catalog.photos, photo.photo) for photo in batch]
        agreements = verify_many(query.features, references)
        for photo, reference, agreement in zip(batch, references, agreements, strict=True):
            seen[Candidate(photo.sku, photo.score, reference, agreement)] = photo
        weighed = reranker.rank(weights, list(seen))
        if reranker.is_settled(weights, weighed, len(seen)):
            break
        if (matched or query.mirrored) and len(seen) >= reranker.BATCH and not reranker.agrees(list(seen)):
            break  # the vector is at home, and there is no print that could tell more: fruit, mostly
    extent = Extent(len(seen), len(photos), complete)
    if not reranker.agrees(list(seen)):
        return None, extent
    # Weights of an older version know nothing of appearance.
    if weights.floor is not None:
        seen, weighed = _compared(catalog.photos, weights, query.picture, seen, weighed)
    answers = [_answer(ranked, seen, query.mirrored) for ranked in weighed]
    if reranker.keeps_older_order(weights, weighed):
        answers.sort(key=lambda match: -match.score)
    decision = reranker.decide(weights, weighed, matched)
    return Reranked(decision, answers[:MATCHES], weighed[0].probability, answers[MATCHES:]), extent


def _in_turn(first: Sequence[Match], listed: Sequence[Match]) -> list[Match]:
    """The photos in the order in which they are verified, the most promising first.

    In turn the next of the gallery's shortlist, whose order knows the print, and the nearest photo of the next product
    that the vector found, which are always verified.
    """
    both = chain.from_iterable(zip_longest(listed, first))
    return list({(match.sku, match.photo): match for match in both if match is not None}.values())


def _read(photos: PhotoStore, sha256: str) -> LocalFeatures:
    try:
        return feature_store.load_or_extract(photos, sha256)
    except (CatalogError, ImageError) as error:  # a lost photo counts by its vector alone
        log.warning("photo %s can't be looked at: %s", sha256[:12], error)
        return LocalFeatures.empty()


def _compared(
    photos: PhotoStore,
    weights: RerankerWeights,
    query: Pixels,
    seen: dict[Candidate, Match],
    weighed: list[RankedSku],
) -> tuple[dict[Candidate, Match], list[RankedSku]]:
    """The candidates, those that most points agree with compared by their pixels, and their SKUs ranked anew.

    The most probable first, and no further one as soon as none of those that are left could change the answer.
    """
    candidates, matches = list(seen), list(seen.values())
    left = reranker.comparable(candidates)
    look = compare_coarse if reranker.compares_coarse(weights) else compare
    while left:
        chances = {ranked.sku: ranked.probability for ranked in weighed}
        place = max(left, key=lambda one: chances[candidates[one].sku])
        left.remove(place)
        outline = candidates[place].match.outline
        if outline is None:
            continue
        try:
            reference = feature_store.load_picture(photos, matches[place].photo)
        except (CatalogError, ImageError) as error:  # as in _read
            log.warning("photo %s can't be compared: %s", matches[place].photo[:12], error)
            continue
        candidates[place] = replace(candidates[place], appearance=look(reference, query, outline))
        weighed = reranker.rank(weights, candidates)
        if reranker.is_compared(weights, weighed, {candidates[one].sku for one in left}):
            break
    return dict(zip(candidates, matches, strict=True)), weighed


def _answer(one: RankedSku, seen: Mapping[Candidate, Match], mirrored: bool) -> Match:
    """The SKU's match as the first look would give it (its best cosine), with what its best photo has in common.

    Its photo is then that one; where none has anything in common, it is the nearest.
    """
    photo, agreement = seen[one.best], one.best.match
    nearest = max((match for match in seen.values() if match.sku == one.sku), key=lambda match: match.score)
    if not agreement.inliers:
        return replace(nearest, evidence=None)
    evidence = Evidence(photo.photo, agreement, one.best.reference, mirrored)
    return replace(photo, score=nearest.score, evidence=evidence)

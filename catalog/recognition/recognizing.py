"""Photo -> SKU: search by vector, re-ranking by local features (the second look) if that is not sure, decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from catalog.catalog import Catalog
from catalog.errors import ConfigError, InvalidInputError, PhotoRejectedError
from catalog.generations import LiveModel
from catalog.recognition import barcode_lookup, reranking
from catalog.recognition.answer import Recognition
from catalog.recognition.candidates import MATCHES, MOST_MATCHES, Match, nearest_products
from catalog.recognition.decision import Decision, by_barcode, decide, is_sure
from catalog.recognition.describing import describe
from catalog.recognition.reranking import Budget, Extent, Reranked
from catalog.recognition.scope import WHOLE_CATALOG, Scope
from catalog.recognition.steps import Stopwatch
from catalog.right_of_way import asking, in_background, is_shared, piece
from catalog.storage import AnswerEntry, AskedPhoto
from catalog.storage.tables import now
from embedder import barcodes, images, matching
from embedder.bundle import Bundle, RerankerWeights
from embedder.errors import BundleError, ImageError
from embedder.inference import Vectors
from embedder.matching import LocalFeatures

#: Probability from which on a mirrored photo is a match: asking twice must not let in more unknown products.
MIRRORED_CONFIDENCE = 0.9


def recognize(
    catalog: Catalog,
    data: bytes,
    *,
    filename: str = "",
    among: Scope = WHOLE_CATALOG,
    limit: int = MATCHES,
    asked_by: str = "",
    keep: bool = False,
) -> Recognition:
    """Bytes of an image file -> which product of the scope `among` it shows, and what a person is told about it.

    `limit`: matches at most, 1 to MOST_MATCHES; the decision does not depend on it. `asked_by`: log the answer under
    that name. `keep`: keep a photo that is no match in the inbox. Raises PhotoRejectedError, a GalleryError (also while
    a lost gallery is filled again), InvalidInputError for a label or SKU of the scope that no product has, or for the
    limit (field `k`), or ConfigError when the model gives no vector.
    """
    if not 1 <= limit <= MOST_MATCHES:
        raise InvalidInputError("k", f"An answer has 1 to {MOST_MATCHES} matches, not {limit}.")
    budget = Budget(catalog.settings.second_look_ms / 1000)
    watch = Stopwatch()
    live = catalog.generations.ready()
    with asking():
        whole = recognize_by(catalog, live, data, budget, filename=filename, among=among, limit=limit, watch=watch)
        with piece(), watch.step("facts"):
            # The second, too, if only one is wanted: it may be what the first is to be told from.
            answer = describe(catalog.database, replace(whole, matches=whole.matches[: max(limit, 2)]))
    answer = replace(answer, matches=answer.matches[:limit], milliseconds=budget.milliseconds)
    if asked_by:
        first = answer.matches[0] if answer.matches else None
        catalog.answers.append(
            AnswerEntry(
                id=answer.id,
                at=now(),
                asked_by=asked_by[:100],
                decision=answer.decision,
                decided_by=answer.decided_by,
                sku=first.sku if first else "",
                score=first.score if first else None,
                confidence=answer.confidence,
                bundle_id=answer.bundle,
                milliseconds=answer.milliseconds,
            )
        )
    if keep:
        catalog.unanswered.append(
            AskedPhoto(
                id=answer.id,
                at=now(),
                asked_by=asked_by,
                decision=answer.decision,
                candidates=tuple((match.sku, match.score) for match in whole.matches[:MATCHES]),
                bundle_id=answer.bundle,
                vector=answer.vector,
                alike=_alike(live.embedder.bundle),
                data=data,
            )
        )
    return answer


def _alike(bundle: Bundle) -> float:
    """Cosine from which on two photos are taken for one product without a look at their print."""
    return max(bundle.thresholds.score, bundle.second_look.sure_score if bundle.second_look else 0.0)


def recognize_by(
    catalog: Catalog,
    live: LiveModel,
    data: bytes,
    budget: Budget,
    *,
    filename: str = "",
    among: Scope = WHOLE_CATALOG,
    limit: int = MATCHES,
    watch: Stopwatch | None = None,
    without: frozenset[str] = frozenset(),
) -> Recognition:
    """What this model answers; see `recognize`, which raises the same. No facts of the matches; MATCHES at least.
    `without`: as if these reference photos (ids) were not there.

    Decide by a known barcode in the photo, else by the vector alone if that is sure or there is no re-ranking
    (CATALOG_SECOND_LOOK=off, or a bundle without visual words), else by re-ranking.
    """
    bundle, settings = live.embedder.bundle, catalog.settings
    watch = watch or Stopwatch()
    most = max(limit, MATCHES)
    products = among.products(catalog.database)

    def answer(decision: Decision, matches: list[Match], **more: Any) -> Recognition:
        found = _each_once([*matches, *near])[:most]
        return Recognition(decision, found, bundle.id, budget.milliseconds, vector, timings=watch.taken, **more)

    weights = bundle.second_look if settings.second_look != "off" else None
    coded = barcode_lookup.has_barcodes(catalog.database)
    try:
        with piece(), watch.step("decode"):
            picture = _decode(data, bundle.size, coded=coded, looked_twice=weights is not None)
    except ImageError as error:
        raise PhotoRejectedError(error.code, filename, str(error)) from error
    try:
        with piece(), watch.step("embed"):
            # The embedder's threads are for a till that asks alone: beside others, and in the background, they would
            # only wait for one another.
            one_thread = in_background() or is_shared()
            vector = live.embedder.embed_picture(picture, step=piece if one_thread else None)
    except BundleError as error:  # no vector of this photo
        raise ConfigError(str(error)) from error
    with piece(), watch.step("search"):
        near = nearest_products(catalog, live, vector, most, products=products, without=without)
    matches = near[:MATCHES]
    alone = decide(matches, bundle.thresholds)
    with piece(), watch.step("barcodes"):
        named = barcode_lookup.find_product(catalog.database, picture, products) if coded else []
    if named:
        numbers = tuple(product.gtin for product in named)
        decision, matches = by_barcode(named, matches, alone)
        return answer(decision, matches, decided_by="barcode", barcodes=numbers)
    catalog.generations.check_filled(live)  # a barcode is right without the gallery
    if weights is None or not matches:
        return answer(alone, matches)
    if settings.second_look == "auto" and is_sure(matches, weights.sure_score, weights.sure_margin):
        return answer("match", matches)
    if settings.second_look == "auto" and _lacks_print(live, weights, vector, matches):
        return answer(alone, matches)
    asked = _Asked(vector, matches, matches[0].sku if alone == "match" else "", products, budget, without)
    with watch.step("second_look"):
        seen = _look_twice(catalog, live, weights, images.shrink(picture, matching.QUERY.side), asked)
    if seen.result is None:
        return answer(alone, matches, extent=seen.extent)
    return answer(
        seen.result.decision,
        [*seen.result.matches, *seen.result.others],
        decided_by="details",
        confidence=seen.result.confidence,
        details=seen.details,
        extent=seen.extent,
        mirrored=seen.mirrored,
    )


def _each_once(matches: Iterable[Match]) -> list[Match]:
    """The first match of each SKU."""
    found: dict[str, Match] = {}
    for match in matches:
        found.setdefault(match.sku, match)
    return list(found.values())


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the first look found of a photo: its vector float32 [dim], and matches; `matched`: the SKU that it alone
    would match, or "". `products`: only these ids (None: all); `without`: not these photos.
    """

    vector: Vectors
    matches: list[Match]
    matched: str
    products: frozenset[str] | None
    budget: Budget
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the second look found; `result` is None when no features agree. `details`: the query's local features."""

    result: Reranked | None
    extent: Extent
    details: LocalFeatures
    mirrored: bool = False


def _look_twice(
    catalog: Catalog, live: LiveModel, weights: RerankerWeights, small: Image.Image, asked: _Asked
) -> _Seen:
    """The second look at a small picture, and, if it is no match, at its mirror image."""
    straight = _look(catalog, live, weights, small, asked, mirrored=False)
    is_match = straight.result.decision == "match" if straight.result else bool(asked.matched)
    if is_match or len(straight.details) <= matching.reranker.CHANCE:
        return straight
    if asked.budget.is_spent():
        return replace(straight, extent=replace(straight.extent, complete=False))
    mirrored = _look(catalog, live, weights, ImageOps.mirror(small), replace(asked, matched=""), mirrored=True)
    if _is_better(mirrored.result, straight.result):
        return mirrored
    complete = straight.extent.complete and mirrored.extent.complete
    return replace(straight, extent=replace(straight.extent, complete=complete))


def _look(
    catalog: Catalog,
    live: LiveModel,
    weights: RerankerWeights,
    small: Image.Image,
    asked: _Asked,
    *,
    mirrored: bool,
) -> _Seen:
    with piece():
        details, words = live.embedder.extract_query_picture(small)
    pixels = np.asarray(small)
    query = reranking.Query(pixels, asked.vector, details, words, asked.products, asked.budget, mirrored, asked.without)
    with piece():
        result, extent = reranking.rerank(catalog, live, weights, asked.matches, query, matched=asked.matched)
    return _Seen(result, extent, details, mirrored)


def _is_better(mirrored: Reranked | None, straight: Reranked | None) -> bool:
    """Whether a photo is a mirror image: its mirrored print is clearly a product's, and clearer than as it is.

    An unknown product of the demo, of a family that the catalog knows, agreed by 8 points mirrored, and 30 as it is.
    """
    if mirrored is None or mirrored.decision != "match" or mirrored.confidence < MIRRORED_CONFIDENCE:
        return False
    points, others = (
        max((match.evidence.agreement.inliers for match in look.matches if match.evidence), default=0) if look else 0
        for look in (mirrored, straight)
    )
    return points >= matching.reranker.COMPARABLE and points > others


def _decode(data: bytes, size: int, *, coded: bool, looked_twice: bool) -> Image.Image:
    """Decode a photo once, as large as any of its readers needs it: the vector (a network's input of `size`), barcodes
    where the catalog has any, and the second look. Raises ImageError.
    """
    want = max(size, barcodes.WANT if coded else 0, matching.QUERY.side if looked_twice else 0)
    return images.decode(data, want=want)


def _lacks_print(live: LiveModel, weights: RerankerWeights, vector: Vectors, matches: list[Match]) -> bool:
    """Whether a second look would look for print in vain: fruit, mostly, near to fruit that the catalog knows.

    A vector that is near to no reference is not at home, and says nothing of print either.
    """
    return weights.floor is not None and matches[0].score >= weights.floor and live.embedder.lacks_print(vector)

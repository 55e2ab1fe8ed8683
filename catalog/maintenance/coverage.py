"""Coverage: leave-one-out recall. Each reference photo is a query as a till's, searched among all other photos.

The result is the recall of each product, which products are mistaken for which, and which need another photo, of what.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from catalog import enrollment
from catalog.admission import WARNING_LABELS
from catalog.catalog import Catalog
from catalog.enrollment import outbox
from catalog.errors import CatalogError
from catalog.gallery import Hit
from catalog.generations import LiveModel
from catalog.normalization import MOST, no_product, normalized_sku
from catalog.progress import Progress, Steps, no_progress
from catalog.recognition import Match, candidates, is_sure
from catalog.right_of_way import piece
from catalog.storage import Database, PhotoStore, feature_store
from catalog.storage.tables import Photo, Product, now
from embedder.errors import ImageError
from embedder.inference import PhotoFeatures
from embedder.matching import Candidate, LocalFeatures, reranker, verify_many

Code = Literal["no_photo", "one_photo", "not_found", "one_view", "close_no_print", "poor_photos"]

#: Products that are read from SQL at a time.
PAGE = 100
#: Nearest photos of other products that a photo is compared with.
OTHERS = 50
#: Photos whose cosines are all at least this were taken from one side, in one light.
ONE_VIEW = 0.95
#: File names that a piece of advice or a mistake names, at most.
NAMED = 5


@dataclass(frozen=True)
class Mistake:
    """Another product that ranks before this one: how often, and for which photos (file names)."""

    sku: str
    times: int
    photos: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """Why a product needs another photo, and which; `code` is stable."""

    code: Code
    message: str


@dataclass(frozen=True)
class Coverage:
    """Coverage of a product. `photos`: how many it has; `asked`: how many were queries (the readable ones, if there are
    two or more); `found`: how many of these found it first; `mistaken`: the most frequent first; `advice`: if any.

    `generation_id`: by which model; `at`: when its photos were read from SQL.
    """

    sku: str
    name: str
    photos: int
    asked: int = 0
    found: int = 0
    mistaken: tuple[Mistake, ...] = ()
    advice: tuple[Advice, ...] = ()
    generation_id: int = field(default=0, compare=False)
    at: datetime = field(default_factory=now, compare=False)

    @property
    def recall(self) -> float | None:
        """Recall: share of the queries that find their product; None when there were none."""
        return self.found / self.asked if self.asked else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shown = {name: value for name, value in asdict(self).items() if name not in ("generation_id", "at")}
        return {**shown, "recall": None if self.recall is None else round(self.recall, 4)}


@dataclass(frozen=True)
class _Answer:
    """Answer to a photo: a SKU; the nearest other product; whether print or a margin tells them apart."""

    photo: Photo
    sku: str
    other: Match | None
    told_apart: bool


def examine_coverage(
    catalog: Catalog,
    *,
    sku: str = "",
    sample: int | None = None,
    leaving_out: Collection[uuid.UUID] = (),
    polite: bool = False,
    progress: Progress = no_progress,
) -> Iterator[Coverage]:
    """Every active product by SKU, or one, or a sample of `sample`, the same while the catalog stays the same; but for
    those `leaving_out` (ids), which count as done.

    `polite`: on this thread alone, beside tills. `progress` counts products. Raises NotFoundError for an unknown SKU,
    and a GalleryError; GalleryRefillingError, too, where a photo that is not found may be one that was lost.
    """
    live = catalog.generations.ready()
    catalog.generations.check_filled(live)
    chosen = _chosen(catalog.database, sku, sample)
    ids = [identity for identity in chosen if identity not in leaving_out]
    steps = Steps(progress, len(chosen))
    steps.advance(len(chosen) - len(ids))
    for start in range(0, len(ids), PAGE):
        at = now()
        with catalog.database.read() as session:
            query = select(Product).where(Product.id.in_(ids[start : start + PAGE])).order_by(Product.sku)
            page = session.scalars(query.options(selectinload(Product.photos))).all()
        for product in page:
            examined = _product(catalog, live, product, at, polite=polite)
            catalog.generations.check_filled(live)  # after its searches
            yield examined
            steps.advance()


def confused(found: Sequence[Coverage]) -> list[tuple[str, str, int]]:
    """Which product (SKU) is mistaken for which other, and how often: the most frequent first."""
    pairs = [(product.sku, mistake.sku, mistake.times) for product in found for mistake in product.mistaken]
    return sorted(pairs, key=lambda pair: -pair[2])


def _chosen(database: Database, sku: str, sample: int | None) -> list[uuid.UUID]:
    query = select(Product.id, Product.sku).where(Product.active)
    if sku:
        query = query.where(Product.sku == normalized_sku(sku))
    with database.read() as session:
        # Ids are random: the first ones are a sample.
        most = None if sample is None else min(sample, MOST)
        rows = session.execute(query.order_by(Product.id).limit(most)).all()
    if sku and not rows:
        raise no_product(sku)
    return [row.id for row in sorted(rows, key=lambda row: row.sku)]


def _product(catalog: Catalog, live: LiveModel, product: Product, at: datetime, *, polite: bool) -> Coverage:
    photos = list(product.photos)
    features: dict[uuid.UUID, PhotoFeatures] = {}
    for start in range(0, len(photos), outbox.CHUNK):
        chunk = {photo.id: photo.sha256 for photo in photos[start : start + outbox.CHUNK]}
        features |= enrollment.extract_stored(catalog.photos, live, chunk, polite=polite)[0]
    readable = [photo for photo in photos if photo.id in features]
    asked = []
    for photo in readable if len(readable) > 1 else []:
        with piece():
            asked.append(_ask(catalog, live, product, photo, features))
    wrong = Counter(answer.sku for answer in asked if answer.sku != product.sku)
    mistaken = tuple(
        Mistake(sku, times, tuple(answer.photo.filename for answer in asked if answer.sku == sku)[:NAMED])
        for sku, times in wrong.most_common()
    )
    found = len(asked) - wrong.total()
    advice = tuple(_advice(live, product, readable, features, asked, mistaken))
    return Coverage(product.sku, product.name, len(photos), len(asked), found, mistaken, advice, live.generation_id, at)


def _ask(
    catalog: Catalog, live: LiveModel, product: Product, photo: Photo, features: Mapping[uuid.UUID, PhotoFeatures]
) -> _Answer:
    """The first match of a photo if it were not in the catalog itself."""
    extracted = features[photo.id]
    own = [
        Match(product.sku, product.name, float(features[sibling.id].vector @ extracted.vector), sibling.sha256)
        for sibling in product.photos
        if sibling.id in features and sibling.id != photo.id
    ]
    own.sort(key=lambda match: -match.score)
    more = len(product.photos)  # they may all be nearer than any other product's
    near = _others(catalog.database, product, catalog.gallery.search(live.collection, extracted.vector, more + OTHERS))
    best = {match.sku: match for match in sorted([*own, *near], key=lambda match: match.score)}
    first = sorted(best.values(), key=lambda match: -match.score)
    other = next((match for match in first if match.sku != product.sku), None)
    answered = first[0].sku
    weights = live.embedder.bundle.second_look
    if weights is None:
        return _Answer(photo, answered, other, told_apart=False)
    if is_sure(first, weights.sure_score, weights.sure_margin):
        return _Answer(photo, answered, other, told_apart=answered == product.sku)
    try:
        found, words = live.embedder.extract_query(catalog.photos.get(photo.sha256))
    except (CatalogError, ImageError):  # deleted meanwhile, or lost
        return _Answer(photo, answered, other, told_apart=False)
    hits = catalog.gallery.shortlist(live.collection, extracted.vector, words, more + reranker.SHORTLIST)
    listed = [*first[: reranker.MATCHES], *own[: reranker.SHORTLIST], *_others(catalog.database, product, hits)]
    weighing = _compare(catalog.photos, found, list({match.photo: match for match in listed}.values()))
    told_apart = reranker.agrees([candidate for candidate in weighing if candidate.sku == product.sku])
    weighed = reranker.rank(weights, weighing)
    if reranker.agrees(weighing):
        answered = weighed[0].sku
    return _Answer(photo, answered, other, told_apart)


def _others(database: Database, product: Product, hits: Sequence[Hit]) -> list[Match]:
    others = [hit for hit in hits if hit.product != str(product.id)]
    facts = candidates.facts_of(database, others)
    return [Match(row.sku, row.name, hit.score, row.sha256) for hit in others if (row := facts.get(hit.id))]


def _compare(photos: PhotoStore, asked: LocalFeatures, matches: Sequence[Match]) -> list[Candidate]:
    known = []
    for match in matches:
        try:
            known.append((match, feature_store.load_or_extract(photos, match.photo)))
        except (CatalogError, ImageError):  # a lost photo is for `catalog doctor` to report
            continue
    agreements = verify_many(asked, [reference for _, reference in known])
    return [
        Candidate(match.sku, match.score, reference, agreement)
        for (match, reference), agreement in zip(known, agreements, strict=True)
    ]


def _advice(
    live: LiveModel,
    product: Product,
    photos: Sequence[Photo],
    features: Mapping[uuid.UUID, PhotoFeatures],
    asked: Sequence[_Answer],
    mistaken: Sequence[Mistake],
) -> Iterator[Advice]:
    if not photos:
        yield Advice("no_photo", "It has no photo that can be read: it can't be recognized. Add one.")
        return
    if len(photos) == 1:
        yield Advice("one_photo", "It has one photo: add two or more, of other sides and in other light.")
    missed = [answer for answer in asked if answer.sku != product.sku]
    if missed:
        names = _named([answer.photo for answer in missed])
        instead = f", and {mistaken[0].sku} is found most" if mistaken else ""
        message = (
            f"{len(missed)} of {len(asked)} photos don't find it{instead}: add photos like {names}, "
            "or take those away if they show something else."
        )
        yield Advice("not_found", message)
    elif len(photos) > 1 and _least_near(photos, features) >= ONE_VIEW:
        yield Advice("one_view", "All photos show nearly the same view: add one of another side, or in other light.")
    if close := _close_without_print(live, product, asked):
        message = f"It looks like {close.name} ({close.sku}), and no print says which: add photos of what differs."
        yield Advice("close_no_print", message)
    faults = [{WARNING_LABELS[code] for code in photo.warnings if code.startswith("too_")} for photo in photos]
    if all(faults):
        said = ", ".join(sorted(set().union(*faults)))
        yield Advice("poor_photos", f"No photo is a good one ({said}): add a sharp one in good light.")


def _named(photos: Sequence[Photo]) -> str:
    names = [photo.filename or photo.sha256[:12] for photo in photos]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _least_near(photos: Sequence[Photo], features: Mapping[uuid.UUID, PhotoFeatures]) -> float:
    vectors = np.stack([features[photo.id].vector for photo in photos])
    return float((vectors @ vectors.T).min())


def _close_without_print(live: LiveModel, product: Product, asked: Sequence[_Answer]) -> Match | None:
    """The most frequent other product, if at least half of the photos would match one, and no photo is told apart."""
    enough = live.embedder.bundle.thresholds.score
    near = [answer.other for answer in asked if answer.other is not None and answer.other.score >= enough]
    if any(answer.told_apart for answer in asked) or 2 * len(near) < len(asked) or not near:
        return None
    sku, _ = Counter(match.sku for match in near).most_common(1)[0]
    return max((match for match in near if match.sku == sku), key=lambda match: match.score)

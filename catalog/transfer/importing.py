"""Bulk import. Idempotent: a re-run adds nothing twice, and continues where a killed one ended."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import select

from catalog import enrollment, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, ReadPhoto
from catalog.errors import (
    ConflictError,
    GalleryError,
    InvalidInputError,
    NotFoundError,
    PhotoRejectedError,
    SkuExistsError,
)
from catalog.generations import LiveModel
from catalog.normalization import check_sku
from catalog.products import Facts, Intake, barcode_owners, check_facts, differences, given_facts
from catalog.progress import Progress, Steps, no_progress
from catalog.right_of_way import in_background, piece
from catalog.storage import Database, content_hash
from catalog.storage.tables import Enrollment, Generation, Photo, Product
from catalog.transfer import existing
from catalog.transfer.contradictions import Across
from catalog.transfer.existing import Existing
from catalog.transfer.previewing import ignored, reading_pool
from catalog.transfer.sources import Item, PhotoFile

log = logging.getLogger(__name__)
#: Photos of one SKU that are written in one batch.
CHUNK = 32
#: Photos that are read ahead while those before them are written; so at most some 80 are in memory.
AHEAD = 16
#: SKUs in one SQL statement.
PAGE = 500
#: Seconds after which an import whose last photos the gallery did not take tries them once more.
AGAIN = 4.0


@dataclass
class Report:
    """What an import did; `errors` has one line for each photo or product that was left out.

    `changed`: products whose facts an update changed. `ignored`: a line for each item that an import without update
    found to differ from its product, which stays as it is.
    `pending`: photos of the imported products that are not searchable at its end; `why`: what the gallery said.
    """

    products: int = 0
    photos: int = 0
    duplicates: int = 0
    changed: int = 0
    pending: int = 0
    errors: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    why: str = field(default="", compare=False)


@dataclass(frozen=True)
class _Part:
    """Photos of one item that are written in one batch; `has`: those its product has (SHA-256 -> whether pending).

    `first`: of the item.
    """

    item: Item
    first: bool
    photos: list[PhotoFile]
    known: Existing
    has: dict[str, bool] | None


#: Result of reading a photo: whether it is pending, if the product has it already; why it can't be used; or a new one.
_Looked = bool | str | ReadPhoto


@dataclass(frozen=True)
class _Run:
    """What all batches of one import share; `across`: lines of an update that contradict each other are left out."""

    catalog: Catalog
    actor: str
    update: bool
    report: Report
    across: Across = field(default_factory=Across)


def import_items(
    catalog: Catalog,
    items: Sequence[Item],
    *,
    actor: str,
    update: bool = False,
    progress: Progress = no_progress,
    report: Report | None = None,
) -> Report:
    """Import items one product at a time; a bad photo or product is reported and does not stop the others.

    Existing products get the photos and barcodes that they lack. They keep their facts, or with `update` get those of
    the items. Photos of the next products are read while the previous ones are written: by all
    threads of the embedder, or in the background by one. `progress` counts photos, and an item without any
    as one; what it raises ends the import. Raises what database and photo store do when they fail. What is pending is
    tried first, but in the background, where the outbox does that; and at the end what is of these items. `report`: one
    that is filled as the import goes on.
    """
    report = report or Report()
    run = _Run(catalog, actor, update, report)
    steps = Steps(progress, sum(len(item.photos) or 1 for item in items))
    if not in_background():
        _finish_pending(catalog)
    live = catalog.generations.live()
    refused: Item | None = None
    waiting: set[str] = set()
    pool = reading_pool("import", live.embedder.workers)
    try:
        parts = _parts(existing.with_existing(catalog.database, items))
        for part, looked in _read_ahead(live, pool, parts, lambda: steps.advance(0)):
            if part.item is not refused:
                try:
                    if _import_part(run, part, looked):
                        waiting.add(check_sku(part.item.facts.sku))
                except (InvalidInputError, ConflictError, NotFoundError) as error:
                    refused = part.item
                    report.errors.append(f"{part.item.source}: {error}")
            steps.advance(len(part.photos) or 1)
    finally:
        pool.shutdown(cancel_futures=True)
    if waiting:
        skus = sorted(waiting)
        report.why = _try_again(catalog, skus, lambda: steps.advance(0))
        if report.why:
            time.sleep(AGAIN)
            report.why = _try_again(catalog, skus, lambda: steps.advance(0))
        report.pending = len(_pending(catalog.database, skus))
    return report


def _finish_pending(catalog: Catalog) -> None:
    """Enroll what is stored and not yet enrolled, as by an import that was killed."""
    try:
        while enrollment.run_pending(catalog):
            pass
    except GalleryError as error:
        log.warning("still pending: %s", error)


def _try_again(catalog: Catalog, skus: Sequence[str], check: Callable[[], None]) -> str:
    """Enroll once more what is pending of these products; returns why the gallery did not.

    `check` is called after each batch: what it raises ends this.
    """
    photos = _pending(catalog.database, skus)
    try:
        for start in range(0, len(photos), CHUNK):
            enrollment.run_pending(catalog, only=photos[start : start + CHUNK])
            check()
    except GalleryError as error:
        log.warning("still pending: %s", error)
        return str(error)
    return ""


def _pending(database: Database, skus: Sequence[str]) -> list[uuid.UUID]:
    """Photos of these products that are not enrolled yet."""
    query = select(Enrollment.photo_id).join(Photo, Photo.id == Enrollment.photo_id)
    query = query.join(Product, Product.id == Photo.product_id)
    query = query.join(Generation, Generation.id == Enrollment.generation_id).where(Generation.live, ~Enrollment.done)
    with database.read() as session:
        pages = (skus[start : start + PAGE] for start in range(0, len(skus), PAGE))
        return [photo for page in pages for photo in session.scalars(query.where(Product.sku.in_(page)))]


def _parts(items: Iterable[tuple[Item, Existing]]) -> Iterator[_Part]:
    for item, there in items:
        try:
            has = there.photos.get(check_sku(item.facts.sku))
        except InvalidInputError:
            has = None
        for start in range(0, len(item.photos) or 1, CHUNK):
            yield _Part(item, start == 0, item.photos[start : start + CHUNK], there, has)


def _read_ahead(
    live: LiveModel, pool: ThreadPoolExecutor, parts: Iterable[_Part], check: Callable[[], None]
) -> Iterator[tuple[_Part, list[_Looked]]]:
    """Parts with their photos read, in order; AHEAD photos of the next parts are always being read.

    `check` is called after each photo: what it raises ends this.
    """

    def read(futures: list[Future[_Looked]]) -> Iterator[_Looked]:
        for future in futures:
            yield future.result()
            check()

    waiting: deque[tuple[_Part, list[Future[_Looked]]]] = deque()
    for part in parts:
        waiting.append((part, [pool.submit(_look, live, part, photo) for photo in part.photos]))
        while sum(len(futures) for _, futures in waiting) - len(waiting[0][1]) >= AHEAD or len(waiting) > AHEAD:
            first, futures = waiting.popleft()
            yield first, list(read(futures))
    for first, futures in waiting:
        yield first, list(read(futures))


def _look(live: LiveModel, part: _Part, photo: PhotoFile) -> _Looked:
    try:
        data = photo.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no path has a null character
        return f"{photo}: {getattr(error, 'strerror', None) or error}"
    if part.has is not None and (pending := part.has.get(content_hash(data))) is not None:
        return pending
    try:
        return enrollment.read_photo(live.embedder, NewPhoto(photo.name, data))
    except PhotoRejectedError as error:
        return str(error)


def _import_part(run: _Run, part: _Part, looked: list[_Looked]) -> bool:
    """Write one batch; returns whether any of its photos is pending."""
    item, report, catalog, actor = part.item, run.report, run.catalog, run.actor
    if item.errors:
        raise InvalidInputError("line", " ".join(item.errors))
    facts = check_facts(item.facts)
    if not item.photos and part.has is None:
        raise InvalidInputError("photos", f"{facts.sku or 'The line'} has no photo.")
    if part.first:
        with piece():
            _settle_facts(run, part)
    report.errors += [f"{item.source}: {result}" for result in looked if isinstance(result, str)]
    duplicates = [result for result in looked if isinstance(result, bool)]
    new = [result for result in looked if isinstance(result, ReadPhoto)]
    report.duplicates += len(duplicates)
    pending = any(duplicates)
    if new:
        added = _add(catalog, facts, new, actor)
        report.products += added.created
        report.duplicates += sum(photo.duplicate for photo in added.photos)
        report.photos += sum(not photo.duplicate for photo in added.photos)
        if item.active is not False:  # a retired product has nothing pending
            pending |= not added.searchable
    elif part.has is not None:
        _add_barcodes(catalog.database, facts, part.known, actor)
    if item.active is False and (new or part.has is not None):
        products.set_active(catalog, facts.sku, False, actor=actor)
    return pending


def _settle_facts(run: _Run, part: _Part) -> None:
    """Have the product's facts as the item gives them, or report that they differ. Raises InvalidInputError."""
    item = part.item
    if run.update:
        for wrong in run.across.contradictions(item, part.known):
            raise InvalidInputError("line", wrong)
    if part.has is None:
        return
    facts = given_facts(item.facts)
    changes = differences(part.known.products[facts.sku], facts, item.active)
    if changes and run.update:
        run.report.changed += bool(products.amend(run.catalog, item.facts, active=item.active, actor=run.actor))
    elif left := ignored(changes):
        run.report.ignored.append(f"{item.source}: {facts.sku}: {'; '.join(map(str, left))}")


def _add_barcodes(database: Database, facts: Facts, there: Existing, actor: str) -> None:
    for number in facts.barcodes:
        if there.owners.get(number) != facts.sku:
            barcode_owners.add(database, facts.sku, number, actor=actor)


def _add(catalog: Catalog, facts: Facts, photos: list[ReadPhoto], actor: str) -> products.AddResult:
    # Barcodes on the photos are not read: nobody is there to confirm them.
    try:
        for number in facts.barcodes:
            barcode_owners.add(catalog.database, facts.sku, number, actor=actor)
        return products.add_photos(
            catalog, facts.sku, photos, Intake(actor, "import", check="off", read_barcodes=False)
        )
    except NotFoundError:
        try:
            return products.create(catalog, facts, photos, Intake(actor, "import", check="off", read_barcodes=False))
        except SkuExistsError:  # somebody else added it just now
            return _add(catalog, facts, photos, actor)

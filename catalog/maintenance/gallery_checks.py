"""Consistency checks of SQL and gallery: what each generation should hold, and what it does hold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from catalog import enrollment
from catalog.catalog import Catalog
from catalog.enrollment import backlog, outbox
from catalog.errors import (
    CatalogError,
    ConfigError,
    GalleryError,
    GalleryLockedError,
    GalleryMismatchError,
    GalleryUnavailableError,
    StorageError,
)
from catalog.generations import LiveModel, live_generation
from catalog.maintenance import rebuilding
from catalog.maintenance.findings import Finding
from catalog.right_of_way import piece
from catalog.storage import Database, feature_store
from catalog.storage.tables import Enrollment, Generation, Photo, Product, Removal, now
from embedder.errors import ImageError
from embedder.inference import PhotoFeatures

#: Sample size: photos, drawn evenly, that are embedded again and must find themselves.
SAMPLE = 50
#: Length of the list that a photo must be in by its words alone. It is first by words, or nearly; but what is near by
#: both words and the query vector ranks before it.
WORDS_LIMIT = 50
#: A photo is pending for long if it did not change for this time, or failed by itself repeatedly.
LONG = timedelta(minutes=15)
#: Tolerance between a photo's stored vector and a new one, as 1 - cosine: processors round differently.
NEAR = 1e-3
#: Ids per SQL query.
PAGE = 500
ACTOR = "doctor"
#: Called every few seconds; it may end the check by raising.
Step = Callable[[], None]


@dataclass(frozen=True)
class _Row:
    """A photo that a generation should hold: its SKU, whether its enrollment is done, and since when."""

    sku: str
    done: bool
    since: datetime


def examine(
    catalog: Catalog,
    *,
    repair: bool,
    remove_orphans: bool,
    ask_gallery: bool,
    remake: bool = False,
    serving: bool = False,
    step: Step = lambda: None,
) -> Iterator[Finding]:
    """Check SQL for missing enrollments and photos pending for long, and with `ask_gallery` each generation's
    collection.

    `repair` makes missing photos pending, enrolls them, and deletes orphaned points; `remove_orphans` drops collections
    without a generation; `remake` makes collections anew that can't be read. `serving`: see doctor.examine; `step` is
    called every few seconds. What can't be checked (another process holds it) is a finding, too. Raises
    DatabaseUnavailableError, or ConfigError for a damaged live bundle.
    """
    live = catalog.generations.live()
    forgotten = _not_enrolled(catalog.database, repair=repair)
    if ask_gallery:
        with_what = {"repair": repair, "remove_orphans": remove_orphans, "remake": remake, "serving": serving}
        yield from _gallery(catalog, live, step, **with_what)
    yield from _enrolled(catalog, forgotten, step) if repair and ask_gallery else forgotten
    yield from _long_pending(catalog, step, repair=repair and ask_gallery)
    if not serving:
        catalog.generations.release(live.collection)


def _gallery(
    catalog: Catalog, live: LiveModel, step: Step, *, repair: bool, remove_orphans: bool, remake: bool, serving: bool
) -> Iterator[Finding]:
    try:
        there = catalog.gallery.generations()  # before SQL is read: a row is committed before its collection is made
    except GalleryError as error:
        yield Finding("gallery_not_asked", f"{error} The gallery was not looked at.")
        return
    with catalog.database.read() as session:
        generations = list(session.scalars(select(Generation).order_by(Generation.live, Generation.id)))
    for name in sorted(set(there) - {generation.collection for generation in generations}):
        yield _orphaned_collection(catalog, name, remove=remove_orphans)
    for generation in generations:
        step()
        try:
            there_is = generation.collection in there
            yield from _generation(catalog, live, generation, step, there=there_is, repair=repair, serving=serving)
        except GalleryLockedError as error:
            advice = "Its photos were not looked at."
            if not serving:
                advice += " Stop that process for this, or leave it out by --no-gallery."
            yield Finding("gallery_not_asked", f"{error} {advice}", collection=generation.collection)
        except GalleryUnavailableError as error:
            yield Finding("gallery_not_asked", str(error), collection=generation.collection)
        except GalleryError as error:
            broken = Finding("collection_broken", str(error), collection=generation.collection)
            if remake:
                yield _made_anew(catalog, generation, broken, step)
            else:
                advice = " `catalog rebuild` makes it anew." if generation.live else ""
                yield replace(broken, message=f"{error}{advice}")
        finally:
            if not (serving and generation.collection == live.collection):
                catalog.generations.release(generation.collection)  # a server that starts just now needs it


def _not_enrolled(database: Database, *, repair: bool) -> list[Finding]:
    """Photos of active products without an enrollment in the live generation; `repair` makes them pending."""
    with database.read() as session:
        live = live_generation(session)
        ids = session.scalars(backlog.not_owed(live.id)).all() if live else []
        named = _named(session, ids)
    if repair and ids:
        with database.write() as session:
            live = live_generation(session, hold="change")
            if live:
                backlog.owe_missing(session, live.id)
    message = "A photo of this product is not enrolled: it would never become searchable."
    return [
        Finding("enrollment_missing", message, sku=sku, photo=str(identity), mended=repair)
        for identity, sku, _ in named
    ]


def _named(session: Session, ids: Sequence[uuid.UUID]) -> list[tuple[uuid.UUID, str, str]]:
    """Photo id, SKU and SHA-256 of these photos, in the order of the ids."""
    query = select(Photo.id, Product.sku, Photo.sha256).join(Product).order_by(Photo.id)
    pages = (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))
    return [(*row,) for page in pages for row in session.execute(query.where(Photo.id.in_(page)))]


def _long_pending(catalog: Catalog, step: Step, *, repair: bool) -> Iterator[Finding]:
    with catalog.database.read() as session:
        query = (
            select(Enrollment.photo_id, Product.sku, Enrollment.error, Enrollment.updated_at)
            .join(Photo, Photo.id == Enrollment.photo_id)
            .join(Product, Product.id == Photo.product_id)
            .join(Generation, Generation.id == Enrollment.generation_id)
            .where(Generation.live, ~Enrollment.done)
            .where(or_(Enrollment.attempts >= outbox.ATTEMPTS, Enrollment.updated_at < now() - LONG))
            .order_by(Product.sku, Enrollment.photo_id)
        )
        rows = session.execute(query).all()
    findings = [
        Finding(
            "pending_long",
            f"A photo has been pending since {since:%Y-%m-%d %H:%M} UTC or before: {error or 'nothing has tried it'}",
            sku=sku,
            photo=str(identity),
        )
        for identity, sku, error, since in rows
    ]
    yield from _enrolled(catalog, findings, step) if repair else findings


def _enrolled(catalog: Catalog, findings: Sequence[Finding], step: Step) -> Iterator[Finding]:
    """Enroll the pending photos of these findings; a finding is mended when its photo is no longer pending."""
    if not findings:
        return
    ids = [uuid.UUID(finding.photo) for finding in findings]
    why = "the photo can't be read"
    try:
        catalog.generations.ensure_collection(catalog.generations.live())
        for page in backlog.pending_pages(catalog.database, ids):
            step()
            enrollment.run_pending(catalog, only=page)
    except GalleryError as error:
        why = str(error)
    with catalog.database.read() as session:
        query = select(Enrollment.photo_id).join(Generation, Generation.id == Enrollment.generation_id)
        query = query.where(Generation.live, ~Enrollment.done)
        pages = (ids[start : start + PAGE] for start in range(0, len(ids), PAGE))
        left = {str(i) for page in pages for i in session.scalars(query.where(Enrollment.photo_id.in_(page)))}
    for finding in findings:
        if finding.photo in left:
            yield replace(finding, message=f"{finding.message} (still pending: {why})", mended=False)
        else:
            yield replace(finding, mended=True)


def _orphaned_collection(catalog: Catalog, name: str, *, remove: bool) -> Finding:
    finding = Finding("collection_orphaned", "No generation of this catalog names this collection.", collection=name)
    if not remove:
        return finding
    with catalog.database.read() as session:
        if session.scalar(select(Generation.id).where(Generation.collection == name)) is not None:
            return replace(finding, message="A re-embedding has just begun to make this collection.", mended=True)
    try:
        catalog.gallery.drop(name)
    except GalleryError as error:
        return replace(finding, message=f"{finding.message} {error}")
    return replace(finding, mended=True)


def _generation(
    catalog: Catalog, live: LiveModel, generation: Generation, step: Step, *, there: bool, repair: bool, serving: bool
) -> Iterator[Finding]:
    """Check a generation: its bundle, collection and points, and of the live one some vectors. Raises GalleryError."""
    collection = generation.collection
    if not generation.live:
        try:
            catalog.generations.bundle(generation)
        except ConfigError as error:
            yield Finding("bundle_missing", f"There is no way back to this generation. {error}", collection=collection)
        except StorageError as error:
            unknown = "Whether there is a way back to this generation was not looked at."
            yield Finding("photos_not_asked", f"{error} {unknown}", collection=collection)
    before = _rows(catalog.database, generation.id)
    wrong = None
    if not there:
        if any(row.done for row in before.values()):
            wrong = Finding("collection_missing", "This collection is not in the gallery.", collection=collection)
    else:
        try:
            catalog.gallery.create(collection, generation.dim)  # it exists: this only checks the dimension
        except GalleryMismatchError as error:
            wrong = Finding("collection_mismatch", str(error), collection=collection)
    if wrong is not None:
        yield _made_anew(catalog, generation, wrong, step) if repair else wrong
        return
    if not there:
        return
    points = catalog.gallery.ids(collection)
    missing = _missing(catalog.database, generation, before, points, repair=repair)
    yield from _enrolled(catalog, missing, step) if repair and generation.live else missing
    for finding in _orphans(catalog, generation, before, points, repair=repair):
        step()
        yield finding
    if generation.live and generation.id == live.generation_id:
        for finding in _sampled(catalog, live, points, step, serving=serving):
            yield _written_again(catalog, generation, finding, step) if repair else finding


def _rows(database: Database, generation_id: int) -> dict[str, _Row]:
    """Photos of active products that belong to a generation, by id."""
    with database.read() as session:
        query = (
            select(Enrollment.photo_id, Product.sku, Enrollment.done, Enrollment.updated_at)
            .join(Photo, Photo.id == Enrollment.photo_id)
            .join(Product, Product.id == Photo.product_id)
            .where(Enrollment.generation_id == generation_id, Product.active)
        )
        return {str(identity): _Row(sku, done, since) for identity, sku, done, since in session.execute(query)}


def _missing(
    database: Database, generation: Generation, before: dict[str, _Row], points: set[str], *, repair: bool
) -> list[Finding]:
    """Photos whose enrollment was done before the points were listed, is still done, and that have no point.

    `repair` makes them pending.
    """
    after = _rows(database, generation.id)
    gone = sorted(i for i, row in before.items() if row.done and i not in points and after.get(i) == row)
    if repair and gone:
        with database.write() as session:
            mine = Enrollment.generation_id == generation.id
            for start in range(0, len(gone), PAGE):
                page = mine & Enrollment.photo_id.in_([uuid.UUID(i) for i in gone[start : start + PAGE]])
                outbox.lock_enrollments(session, page)
                session.execute(update(Enrollment).where(page).values(done=False, attempts=0, error=""))
    message = "A photo of this product is enrolled, but its point is not in the gallery."
    return [
        Finding(
            "point_missing",
            message,
            sku=before[i].sku,
            photo=i,
            collection=generation.collection,
            mended=repair and not generation.live,  # its point is written before a switch to the generation
        )
        for i in gone
    ]


def _orphans(
    catalog: Catalog, generation: Generation, before: dict[str, _Row], points: set[str], *, repair: bool
) -> Iterator[Finding]:
    """Points without a photo of an active product, whatever was added or deleted meanwhile."""
    mine = Removal.generation_id == generation.id
    with catalog.database.read() as session:
        owed = {str(i) for i in session.scalars(select(Removal.point_id).where(mine))}
    suspects = sorted(points - before.keys() - _rows(catalog.database, generation.id).keys() - owed)
    for start in range(0, len(suspects), PAGE):
        page = suspects[start : start + PAGE]
        with catalog.database.read() as session:
            named = {str(i): sku for i, sku, _ in _named(session, [uuid.UUID(i) for i in page])}
            active = _active(session, page)
        findings = [
            Finding(
                "point_retired" if i in named else "point_orphaned",
                "A photo of this retired product is still in the gallery."
                if i in named
                else f"The gallery holds the point {i}, and SQL knows no such photo (any more).",
                sku=named.get(i, ""),
                photo=i,
                collection=generation.collection,
                mended=repair,
            )
            for i in page
            if i not in active
        ]
        if repair and findings:
            _remove(catalog, generation, [finding.photo for finding in findings])
        yield from findings


def _active(session: Session, ids: Sequence[str]) -> set[str]:
    query = select(Photo.id).join(Product).where(Product.active, Photo.id.in_([uuid.UUID(i) for i in ids]))
    return {str(i) for i in session.scalars(query)}


def _remove(catalog: Catalog, generation: Generation, ids: Sequence[str]) -> None:
    """Enqueue removals of points, and apply them at once in the live generation (in others before a switch to them).

    The live row is locked: a transaction that adds or restores one of these photos at this moment is either committed
    already, which is seen here, or cancels the removal afterwards.
    """
    with catalog.database.write() as session:
        live_generation(session, hold="change")
        still = sorted(set(ids) - _active(session, ids))
        points = [uuid.UUID(i) for i in still]
        mine = (Enrollment.generation_id == generation.id) & Enrollment.photo_id.in_(points)
        outbox.lock_enrollments(session, mine)
        session.execute(delete(Enrollment).where(mine))
        outbox.enqueue_removals(session, generation.id, points)
    if generation.live:
        while outbox.apply_removals(catalog, catalog.generations.live()):
            pass


def _sampled(
    catalog: Catalog, live: LiveModel, points: set[str], step: Step, *, serving: bool = False
) -> Iterator[Finding]:
    """Embed a sample of photos again: their vectors and words in the gallery must be the same."""
    mine = (Enrollment.generation_id == live.generation_id) & Enrollment.done
    with catalog.database.read() as session:
        total = session.scalar(select(func.count()).select_from(Enrollment).where(mine)) or 0
        query = select(Photo.id, Photo.sha256, Product.sku).join(Product)
        query = query.where(exists().where(mine, Enrollment.photo_id == Photo.id)).order_by(Photo.id)
        every = max(1, -(-total // SAMPLE))
        numbered = enumerate(session.execute(query.execution_options(yield_per=PAGE)))
        drawn = [(*row,) for number, row in numbered if number % every == 0]
    rows = [row for row in drawn if str(row[0]) in points]

    def extract(row: tuple[uuid.UUID, str, str]) -> PhotoFeatures | None:
        try:
            known = feature_store.load(catalog.photos, row[1]) if live.embedder.bundle.has_words else None
            return live.embedder.extract_reference(catalog.photos.get(row[1]), known, step=piece if serving else None)
        except (CatalogError, ImageError):
            return None  # check_photos reports it

    extracting = map(extract, rows) if serving else live.embedder.map(extract, rows)
    features, strange, wordless = 0, [], []
    for (identity, _, sku), extracted in zip(rows, extracting, strict=True):
        step()
        if extracted is None:
            continue
        features += 1
        with piece():
            if not _knows(catalog, live, identity, extracted):
                strange.append(sku)
            elif extracted.words and not _has_words(catalog, live, extracted):
                wordless.append(sku)
    if strange:
        message = (
            f"{len(strange)} of {features} photos do not find themselves by their own vector ({_few(strange)}): "
            "what is in the gallery was made by another model, or is damaged."
        )
        yield Finding("vectors_wrong", message, collection=live.collection)
        return
    if wordless:
        message = f"{len(wordless)} of {features} photos have no visual words in the gallery ({_few(wordless)})."
        yield Finding("words_missing", message, collection=live.collection)


def _few(skus: Sequence[str]) -> str:
    return ", ".join(sorted(skus)[:3]) + (", ..." if len(skus) > 3 else "")


def _knows(catalog: Catalog, live: LiveModel, identity: uuid.UUID, extracted: PhotoFeatures) -> bool:
    """Whether a photo's own vector finds that photo at rank 1, with cosine 1; or it was just deleted."""
    hits = catalog.gallery.search(live.collection, extracted.vector, 1)
    if hits and hits[0].score > 1 - NEAR and enrollment.finds_itself(catalog, live, identity, extracted.vector):
        return True
    with catalog.database.read() as session:
        row = session.get(Enrollment, (live.generation_id, identity))
        return row is None or not row.done


def _has_words(catalog: Catalog, live: LiveModel, extracted: PhotoFeatures) -> bool:
    """Whether a photo is found by its words alone: the query vector is the opposite of its own.

    In a gallery of no more than twice WORDS_LIMIT photos it is found in any case.
    """
    hits = catalog.gallery.shortlist(live.collection, -extracted.vector, extracted.words, WORDS_LIMIT)
    return any(hit.score < NEAR - 1 for hit in hits)


def _written_again(catalog: Catalog, generation: Generation, finding: Finding, step: Step) -> Finding:
    """Make all photos of the live generation pending and enroll them: any may have the defect of the sample."""
    with catalog.database.write() as session:
        mine = Enrollment.generation_id == generation.id
        outbox.lock_enrollments(session, mine)
        session.execute(update(Enrollment).where(mine).values(done=False, attempts=0, error=""))
    return _all_enrolled(catalog, finding, step)


def _made_anew(catalog: Catalog, generation: Generation, finding: Finding, step: Step) -> Finding:
    rebuilding.empty(catalog, generation, actor=ACTOR)
    return _all_enrolled(catalog, finding, step) if generation.live else replace(finding, mended=True)


def _all_enrolled(catalog: Catalog, finding: Finding, step: Step) -> Finding:
    catalog.generations.ensure_collection(catalog.generations.live())
    for ids in backlog.pending_pages(catalog.database):
        step()
        enrollment.run_pending(catalog, only=ids)
    left = list(backlog.pending_pages(catalog.database))
    if not left:
        return replace(finding, mended=True)
    return replace(finding, message=f"{finding.message} Made anew, but {sum(map(len, left))} photos are pending.")

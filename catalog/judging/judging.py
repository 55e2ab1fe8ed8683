"""Judge a generation that is built: ask both, compare, and say which rules it breaks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from catalog.catalog import Catalog
from catalog.errors import CatalogError, GalleryLockedError
from catalog.generations import LiveModel
from catalog.judging.answering import OPEN, answer_open
from catalog.judging.drawing import SEED, draw_queries
from catalog.judging.figures import Report, make_report
from catalog.judging.rules import broken_rules
from catalog.progress import Progress, no_progress
from catalog.storage import Database, audit_log
from catalog.storage.tables import Generation, JudgedQuery, Judgement, now

#: Seconds that this process has the embedded gallery of the live generation open at a time, where no server has it, and
#: answers for the new one in between: a server that is started meanwhile waits two seconds for it, not more.
AS_GUEST, AS_NEW = 0.7, 2.0
#: Seconds to wait before another look, while the other process is at it, and without any answer of it at most.
PAUSE, PATIENCE = 0.5, 600.0
#: What a killed process has begun is gone on with for so long; later, the catalog is another one.
FRESH = timedelta(hours=12)


class JudgingError(CatalogError):
    """The live model could not be asked, so the new one was not judged; the live one stays."""

    code = "not_judged"


@dataclass(frozen=True)
class _Left:
    """How many of `total` answers each side has yet to give."""

    live: int
    new: int
    total: int


@dataclass(frozen=True)
class Verdict:
    """The rules that a generation breaks, a sentence each (none: it may be switched to), and what was found."""

    report: Report
    broken: list[str] = field(default_factory=list)


def judge_generation(
    catalog: Catalog, new: LiveModel, progress: Progress = no_progress, *, actor: str = "cli"
) -> Verdict:
    """Ask the live generation and the new one, which is built and has its margins, the same; compare the answers.

    `progress` counts answers, two a query; it is called every few seconds. If it is killed, the next call goes on. The
    verdict is kept with the generation. Raises JudgingError when the process that has the live gallery open answers
    nothing for PATIENCE seconds, and GalleryError, StorageError or ConfigError.
    """
    live = catalog.generations.live()
    _begin(catalog.database, new, live)
    left = _count_left(catalog.database, new.generation_id)
    moved_at = time.monotonic()
    while left.live or left.new:
        if left.live:
            _ask_live(catalog, live, new.generation_id)
        answer_open(catalog, new, new.generation_id, "new", AS_NEW)
        before, left = left, _count_left(catalog.database, new.generation_id)
        progress(left.total - left.live - left.new, left.total)
        if left != before:
            moved_at = time.monotonic()
        elif time.monotonic() > moved_at + PATIENCE:
            raise JudgingError(
                "The new model could not be compared with the live one: the process that has the live gallery open did "
                f"not answer for {PATIENCE / 60:.0f} minutes. The live one stays."
            )
        else:
            time.sleep(PAUSE)
    return _conclude(catalog, new.generation_id, actor)


def overrule(session: Session, generation_id: int) -> list[str]:
    """A person switches to a generation, whatever was found; returns the rules that it breaks, if it was held."""
    row = session.get(Judgement, generation_id)
    if row is None or row.state != "held":
        return []
    row.state = "overruled"
    return list(row.broken)


def _begin(database: Database, new: LiveModel, live: LiveModel) -> None:
    """Draw the queries, unless a killed process has and was at them."""
    with database.read() as session:
        row = session.get(Judgement, new.generation_id)
        begun = row is not None and (row.state, row.live_id, row.seed) == ("asking", live.generation_id, SEED)
        if row is not None and begun and row.at > now() - FRESH:
            return
        queries = list(draw_queries(session, new.generation_id))
    with database.write() as session:
        session.execute(delete(Judgement).where(Judgement.generation_id == new.generation_id))  # its queries go with it
        session.add(Judgement(generation_id=new.generation_id, live_id=live.generation_id, seed=SEED))
        session.flush()
        session.add_all(queries)


def _ask_live(catalog: Catalog, live: LiveModel, generation_id: int) -> None:
    if not catalog.settings.is_gallery_embedded:
        answer_open(catalog, live, generation_id, "live", AS_NEW)
        return
    try:
        catalog.generations.ensure_collection(live)
        answer_open(catalog, live, generation_id, "live", AS_GUEST)
    except GalleryLockedError:  # by a server, which answers: see answer_as_live
        return
    finally:
        catalog.generations.release(live.collection)


def _count_left(database: Database, generation_id: int) -> _Left:
    mine = select(func.count()).select_from(JudgedQuery).where(JudgedQuery.generation_id == generation_id)
    with database.read() as session:
        live, new, total = (
            session.scalar(mine.where(those)) or 0 for those in (OPEN["live"], OPEN["new"], ~JudgedQuery.gone)
        )
    return _Left(live, new + live, 2 * total)  # what the live one has not answered yet, the new one has not, either


def _conclude(catalog: Catalog, generation_id: int, actor: str) -> Verdict:
    mine = JudgedQuery.generation_id == generation_id
    with catalog.database.write() as session:
        rows = session.scalars(select(JudgedQuery).where(mine, ~JudgedQuery.gone).order_by(JudgedQuery.number))
        report = make_report(SEED, rows)
        broken = broken_rules(report, catalog.settings)
        row = session.get_one(Judgement, generation_id)
        row.state, row.at = "held" if broken else "passed", now()
        row.report, row.broken = report.as_dict(), broken
        if broken:
            bundle = session.get_one(Generation, generation_id).bundle_id
            audit_log.record(session, actor, "model.hold", bundle, None, {"because": broken})
    return Verdict(report, broken)

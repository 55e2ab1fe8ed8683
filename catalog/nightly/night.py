"""One night: switch to a new model, check and mend, examine, back up, clean up. One at a time over all machines.

What needs the gallery is a run (catalog/runs), so that the process that has an embedded gallery open does it, or a
worker; where none takes it, this process does. A step that fails keeps no other from being done.
"""

from __future__ import annotations

import logging
import platform
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select

from catalog import backup, judging, maintenance, runs
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import CatalogError, ConflictError, DatabaseUnavailableError, GalleryError, GalleryLockedError
from catalog.generations import live_generation
from catalog.nightly.archives import next_archive, remove_old, remove_unfinished
from catalog.progress import Progress, no_progress
from catalog.runs import recording
from catalog.storage import Database, audit_log
from catalog.storage.change_events import EVERY_NIGHT
from catalog.storage.tables import Generation, Run, now
from embedder.bundle import load_bundle
from embedder.errors import EmbedderError

log = logging.getLogger(__name__)

#: Seconds until this process does a run that no other has begun, and between two looks at it.
TAKEN_WITHIN, LOOK_EVERY = 5.0, 0.5
#: A night that is longer ends its runs: the shop opens.
LONGEST = timedelta(hours=8)
#: Coverage that is younger was found this night, unless the model has been switched since.
RECENT = timedelta(hours=12)
#: Models that were live stay for so long after the switch from them, beside the one that a rollback goes to.
MODELS_KEPT = timedelta(days=14)

#: `amiss`: it was done, and what it found is for a person, as a model that is held.
State = Literal["done", "skipped", "amiss", "failed"]


@dataclass(frozen=True)
class Plan:
    """`bundle`: the folder of the bundle that is to be live. `backups`: the folder of backups, of which the newest
    `keep` stay. None: that step is left out.
    """

    bundle: Path | None = None
    backups: Path | None = None
    keep: int = 7


@dataclass(frozen=True)
class Step:
    """What came of a step, in a sentence; `seconds` that it took. `run`: id of the run that it was, or ""."""

    name: str
    state: State
    message: str
    seconds: float = 0.0
    run: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nobody need look at it."""
        return self.state in ("done", "skipped")


@dataclass(frozen=True)
class Night:
    """A night that is over. `host`: the machine; `live`: id of the live bundle afterwards, or ""."""

    began_at: datetime
    ended_at: datetime
    host: str
    live: str
    steps: list[Step] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Whether nobody need look at it."""
        return all(step.is_well for step in self.steps)

    @property
    def message(self) -> str:
        """The night in a sentence."""
        bad = [step.name for step in self.steps if not step.is_well]
        return f"A person is to look at: {', '.join(bad)}." if bad else "All is well."

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `well`: whether nobody need look at it."""
        told = asdict(self) | {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}
        return {"well": self.is_well, "message": self.message, **told}


def run_night(
    settings: Settings,
    plan: Plan,
    *,
    actor: str = EVERY_NIGHT,
    told: Callable[[Step], None] = lambda step: None,
    progress: Progress = no_progress,
) -> Night:
    """Do all steps; `told` is called after each, `progress` counts what a step's run counts.

    The night is kept as a run (runs.NIGHT), which a person may stop in the pages. If it is killed, the next one
    begins anew, and what its runs had done is not done again. Raises ConflictError while another is at work, on
    whichever machine, DatabaseUnavailableError, ConfigError, and runs.JobFailedError when it was stopped.
    """
    began, ends = now(), time.monotonic() + LONGEST.total_seconds()
    with closing(Database(settings.database)) as database:
        database.migrate()
        options = {name: str(value) for name, value in asdict(plan).items() if value is not None}
        with runs.recorded(database, runs.NIGHT, actor=actor, options=options, needed=True) as record:
            asking = _Asking(settings, database, actor, record.beside(progress), ends)
            steps: list[Step] = []
            for name, do in _steps(asking, plan):
                steps.append(_done(name, do))
                told(steps[-1])
            night = Night(began, now(), platform.node(), _live(database), steps)
            with suppress(DatabaseUnavailableError), database.write() as session:  # the report is given all the same
                audit_log.record(session, actor, "night.end", "catalog", None, {"well": night.is_well})
            record.outcome = runs.Outcome(night.message, night.as_dict())
        return night


def is_stuck(settings: Settings) -> bool:
    """Whether a night is at work that began longer than LONGEST ago, as one whose disk does not answer."""
    with closing(Database(settings.database)) as database:
        open_nights = [run for run in recording.list_open(database) if run.kind == runs.NIGHT]
    return any((run.started_at or run.created_at) < now() - LONGEST for run in open_nights)


def _live(database: Database) -> str:
    with suppress(DatabaseUnavailableError), database.read() as session:
        live = live_generation(session)
        return live.bundle_id if live else ""
    return ""


@dataclass(frozen=True)
class _Said:
    """What a step has to say."""

    message: str
    state: State = "done"
    run: str = ""


def _done(name: str, do: Callable[[], _Said]) -> Step:
    began = time.monotonic()
    try:
        said = do()
    except (runs.StopAskedError, runs.LostError):
        raise
    except Exception as error:  # also what nobody expected: the backup is made all the same
        if not isinstance(error, CatalogError | EmbedderError | OSError):
            log.exception("the step %s failed", name)
        said = _Said(runs.say_why(error), "failed")
    return Step(name, said.state, said.message, round(time.monotonic() - began, 1), said.run)


@dataclass(frozen=True)
class _Asking:
    """Asks for runs, and waits for them; `ends`: by the monotonic clock, when the night is to be over."""

    settings: Settings
    database: Database
    actor: str
    progress: Progress
    ends: float

    def ask(self, kind: str, options: dict[str, Any] | None = None) -> Run:
        """A run of this kind, from its begin to its end. Raises ConflictError when the night is over before it is."""
        while True:
            try:
                run_id = recording.start(self.database, kind, actor=self.actor, options=options)
            except ConflictError:  # one is open: of the server's own night, or left by a process that was killed
                for other in recording.list_open(self.database):
                    if other.kind == kind:
                        self._wait_for(other.id)
                continue
            try:
                return self._wait_for(run_id)
            except BaseException:  # this night is over: it was stopped, or is to end
                with suppress(CatalogError):
                    recording.stop(self.database, run_id, actor=self.actor)
                raise

    def _wait_for(self, run_id: uuid.UUID) -> Run:
        sender = runs.Sender(self.settings, self.database) if self.settings.jobs != "local" else None
        mine_at = time.monotonic() + TAKEN_WITHIN
        while (run := recording.get(self.database, run_id)).ended_at is None:
            self.progress(run.done, run.total)
            if self._is_over():
                raise ConflictError(f"It was not over after {LONGEST.total_seconds() / 3600:.0f} hours, and was ended.")
            if time.monotonic() >= mine_at:
                with runs.alone_at(self.database, run.kind) as nobody_at_it:
                    if nobody_at_it and run.by_command:
                        recording.end_left(self.database, run.id, "failed", "The command ended before it was through.")
                if not nobody_at_it or run.by_command:
                    pass
                elif sender is not None and (runs.KINDS[run.kind].apart or not self.settings.is_gallery_embedded):
                    sender.send(run_id)
                else:
                    self._perform(run)
                mine_at = time.monotonic() + TAKEN_WITHIN
            time.sleep(LOOK_EVERY)
        return run

    def _is_leaving(self) -> bool:
        """Asked by the work of a run that is done here. Raises StopAskedError when a person has stopped the night."""
        self.progress(0, 0)
        return self._is_over()

    def _is_over(self) -> bool:
        return time.monotonic() >= self.ends

    def _perform(self, run: Run) -> None:
        """Do it here, unless another process has the embedded gallery, and so does it."""
        with closing(Catalog.open(self.settings)) as catalog:
            if not runs.KINDS[run.kind].apart:  # asked before a model is loaded, which takes seconds
                state = maintenance.ask_gallery(catalog)
                if state is not None and state.is_locked:
                    return
            try:
                runs.perform(catalog, run.id, leaving=self._is_leaving)
            except GalleryLockedError:
                return
            except GalleryError as error:
                recording.note(self.database, run.id, str(error))


def _steps(asking: _Asking, plan: Plan) -> Iterator[tuple[str, Callable[[], _Said]]]:
    if plan.bundle is not None:
        folder = plan.bundle
        yield "model", lambda: _switch(asking, folder)
    yield "check", lambda: _check(asking)
    yield "coverage", lambda: _examine(asking)
    if plan.backups is not None:
        backups = plan.backups
        yield "backup", lambda: _back_up(asking, backups, plan.keep)
    yield "old models", lambda: _remove_models(asking)


def _switch(asking: _Asking, folder: Path) -> _Said:
    bundle = load_bundle(folder).id
    if (decided := _decided(asking.database, bundle)) is not None:
        return decided
    with closing(Catalog.open(asking.settings)) as catalog:
        # Kept, and shared: whichever process does the run need not have the folder.
        maintenance.add_model(catalog, folder, actor=asking.actor)
    run = asking.ask("reembed", {"bundle_id": bundle})
    if run.state != "done":
        return _Said(run.message, "failed", str(run.id))
    return _Said(run.message, "amiss" if run.result.get("held") else "done", str(run.id))


def _decided(database: Database, bundle: str) -> _Said | None:
    """Why a bundle is not switched to tonight: it is live, or a person has decided, or is to decide; else None."""
    with database.read() as session:
        live = live_generation(session)
        is_known = session.scalar(select(Generation.id).where(Generation.bundle_id == bundle)) is not None
        switched = audit_log.latest(session, ("model.switch", "model.rollback"))
        removed = audit_log.latest(session, ("model.remove",), bundle)
    if live is not None and live.bundle_id == bundle:
        return _Said(f"{bundle} is live already.", "skipped")
    if any(held.bundle_id == bundle for held in judging.held_generations(database)):
        return _Said(f"{bundle} is held: a person decides (Models).", "amiss")
    if switched and switched.action == "model.rollback" and (switched.before or {}).get("live") == bundle:
        return _Said(f"{switched.actor} has switched back from {bundle}: only a person switches to it again.", "amiss")
    if removed and not is_known and removed.actor != EVERY_NIGHT:
        return _Said(f"{removed.actor} has removed {bundle}: only a person adds it again.", "amiss")
    return None


def _check(asking: _Asking) -> _Said:
    run = asking.ask("doctor", {"repair": True, "remove_orphans": True})
    if run.state != "done":
        return _Said(run.message, "failed", str(run.id))
    counts = run.result.get("counts", {})
    amiss = counts.get("defect", 0) + counts.get("unchecked", 0)
    return _Said(run.message, "amiss" if amiss else "done", str(run.id))


def _examine(asking: _Asking) -> _Said:
    with asking.database.read() as session:
        live = live_generation(session)
    since = max(now() - RECENT, live.switched_at or live.created_at) if live else now()
    last = recording.latest(asking.database, "coverage", over=True)
    if last is not None and last.state == "done" and (last.started_at or last.created_at) > since:
        ended = (last.ended_at or last.created_at).astimezone()
        return _Said(f"{last.message} (at {ended:%H:%M})", "done", str(last.id))
    run = asking.ask("coverage")
    return _Said(run.message, "done" if run.state == "done" else "failed", str(run.id))


def _back_up(asking: _Asking, folder: Path, keep: int) -> _Said:
    with closing(Catalog.open(asking.settings)) as catalog:
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished(folder)
        target = next_archive(folder)
        made = backup.back_up(catalog, target, asking.progress)
    said = f"{target.name}: {made.rows['product']} products, {made.photos} photo files, {_size(target)}."
    if made.left_out:
        return _Said(f"{said} Not in it: {'; '.join(made.left_out[:5])}. No older backup was removed.", "amiss")
    gone = remove_old(folder, keep)
    return _Said(f"{said} {len(gone)} older removed." if gone else said)


def _remove_models(asking: _Asking) -> _Said:
    """The rule for models that were live: the one before stays, and all for MODELS_KEPT after the switch from them."""
    removed: list[str] = []
    with closing(Catalog.open(asking.settings)) as catalog:
        for bundle in maintenance.list_outdated(catalog.database, MODELS_KEPT):
            if maintenance.remove_model(catalog, bundle, actor=asking.actor):
                removed.append(bundle)
    return _Said(f"Removed: {', '.join(removed)}." if removed else "None is to be removed.", "done")


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.0f} MB"

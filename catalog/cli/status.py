"""`catalog status`: the state of the catalog at one glance, and whether something needs a person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.cli.session import opened
from catalog.config import Settings

if TYPE_CHECKING:
    from catalog.accounts import Ending
    from catalog.catalog import Catalog
    from catalog.judging import Found
    from catalog.maintenance import GalleryState, LastRun, Overview, State

#: A photo that is pending for longer is not on its way any more, as the doctor has it.
LONG_PENDING = timedelta(minutes=15)
#: A receiver of webhooks that takes nothing for longer has not only been restarted.
LONG_FAILING = timedelta(hours=1)
#: After a night that was left out, and half a day for the runs themselves.
NIGHT_OVERDUE = timedelta(hours=36)
#: Kinds of runs that every night has; a map needs an extra.
EVERY_NIGHT = ("coverage", "doctor")
#: The run that `catalog nightly` is.
NIGHT = "nightly"
#: Share of the disk below which the overview warns, too.
LITTLE_ROOM = 0.05


@dataclass(frozen=True)
class Seen:
    """All that was looked at. `gallery` is None before there is one."""

    state: State
    overview: Overview
    gallery: GalleryState | None
    ending: list[Ending]
    held: list[Found]
    nightly: bool


@dataclass(frozen=True)
class Problem:
    """What needs a person; `kind` is for programs, and stable."""

    kind: str
    message: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(as_json: bool) -> None:
    """The state at one glance: model, products, what is pending, the gallery, the inbox, the last runs.

    Exit status 0: all is well. 1: something needs a person, and is named.
    """
    if (lacking := _lacking(Settings.from_env())) is not None:
        click.echo(json.dumps({"ok": False, "problems": [asdict(lacking)]}) if as_json else f"! {lacking.message}")
        sys.exit(1)
    with opened() as catalog:
        seen = _look(catalog)
    found = list(problems(seen))
    if as_json:
        click.echo(json.dumps(_as_dict(seen, found)))
    else:
        for name, said in _lines(seen):
            click.echo(f"{name:<10} {said}")
        for problem in found:
            click.echo(f"! {problem.message}")
        needy = "1 thing needs" if len(found) == 1 else f"{len(found)} things need"
        click.echo(f"{needy} a person" if found else "all is well")
    sys.exit(1 if found else 0)


def _lacking(settings: Settings) -> Problem | None:
    """Where there is no catalog, none is made: its folder may be misspelt."""
    from sqlalchemy import make_url

    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return Problem("no_catalog", f"There is no catalog in {settings.data}: `catalog init` makes one.")
    return None


def _look(catalog: Catalog) -> Seen:
    from catalog import accounts, judging, maintenance

    return Seen(
        maintenance.read_state(catalog.database),
        maintenance.look_over(catalog),
        maintenance.ask_gallery(catalog),
        accounts.list_ending(catalog.database),
        judging.held_generations(catalog.database),
        catalog.settings.nightly is not None,
    )


def problems(seen: Seen) -> Iterator[Problem]:
    """What needs a person, the most urgent first: what keeps tills from being answered, then what will."""
    state, gallery, disk = seen.state, seen.gallery, seen.overview.disk
    if state.generation is None:
        yield Problem("no_catalog", "The catalog has no model yet: `catalog init` or `catalog serve` gives it one.")
    if gallery and gallery.points is None and not gallery.is_locked:
        yield Problem("gallery_down", f"Tills are not answered: {gallery.error}")
    if state.generation and state.generation.is_refilling:
        yield Problem(
            "gallery_refilling",
            "The gallery was lost. A running server fills it again, or `catalog rebuild`; until then tills are not "
            "answered.",
        )
    if disk.free < LITTLE_ROOM * disk.total:
        yield Problem("disk_full", f"Only {disk.free / 1e9:.1f} of {disk.total / 1e9:.0f} GB are free on the disk.")
    yield from _of_outbox(state)
    for run in state.runs:
        if run.failed:
            yield Problem("run_failed", f"The last run of {run.kind} failed, {_moment(run.ended_at)}: {run.message}")
        elif run.needs_person:
            yield Problem("night_amiss", f"The night that was over {_moment(run.ended_at)}: {run.message}")
        elif run.counts.get("defect"):
            yield Problem("doctor_defects", f"The doctor, {_moment(run.ended_at)}: {run.message} See the Overview.")
    for model in seen.held:
        name = f"{model.bundle_name} ({model.bundle_id})"
        yield Problem("model_held", f"The new model {name} is held: {' '.join(model.broken)} See Models.")
    yield from _of_nights(seen)
    yield from _of_webhooks(seen)
    for key in seen.ending:
        name = f"The key {key.name!r}" + ", the old secret," * key.old
        how = "ended: a program that has it gets no answer" if key.is_over else "ends"
        yield Problem("key_ends", f"{name} {how} ({_moment(key.at)}).")


def _of_outbox(state: State) -> Iterator[Problem]:
    outbox = state.outbox
    if outbox.failed:
        yield Problem("photos_failed", f"{_count(outbox.failed, 'photo')} can't be read: `catalog doctor` says which.")
    elif outbox.seconds > LONG_PENDING.total_seconds():
        yield Problem(
            "pending_long",
            f"{_count(outbox.photos, 'photo')} can't be found by tills, the first since {_moment(outbox.oldest)}: is a "
            "server running?",
        )


def _of_nights(seen: Seen) -> Iterator[Problem]:
    from catalog.storage.tables import now

    live = seen.state.generation
    if live is None:
        return
    ended = {run.kind: run.ended_at for run in seen.state.runs}
    # `catalog nightly` may be in use or not: once there was a night, there is to be one every night.
    for kind in (*(EVERY_NIGHT if seen.nightly else ()), *((NIGHT,) if NIGHT in ended else ())):
        last = max(ended.get(kind, live.since), live.since)  # another model may have been switched to since
        if now() - last > NIGHT_OVERDUE:
            yield Problem("night_overdue", f"The nightly run of {kind} is overdue since {_moment(last)}.")


def _of_webhooks(seen: Seen) -> Iterator[Problem]:
    told = seen.overview.webhooks
    if told.dead:
        yield Problem("webhooks_dead", f"{_count(told.dead, 'webhook')} can't be delivered, not tried any more.")
    if told.seconds_behind > LONG_FAILING.total_seconds():
        failing, since = _count(told.failing, "webhook"), _moment(told.failing_since)
        yield Problem("webhooks_failing", f"{failing} can't be delivered, the first since {since}.")


def _lines(seen: Seen) -> Iterator[tuple[str, str]]:
    state, overview = seen.state, seen.overview
    live, outbox = state.generation, state.outbox
    yield "model", f"{live.name} ({live.bundle_id}) since {_moment(live.since)}" if live else "none yet"
    yield "catalog", f"{_count(state.products, 'product')}, {_count(state.photos, 'photo')}"
    waits = f"the oldest photo for {timedelta(seconds=int(outbox.seconds))}" if outbox.photos else ""
    pending = [f"{overview.pending:,} not in the gallery yet", *([waits] if waits else [])]
    yield "pending", ", ".join(pending) if overview.pending else "nothing: all is searchable"
    yield "gallery", _of_gallery(seen.gallery)
    groups = f" in {_count(state.inbox_groups, 'group')}" if state.inbox_photos else ""
    yield "inbox", f"{_count(state.inbox_photos, 'photo')}{groups}"
    yield "answers", _answers(overview)
    for run in state.runs:
        yield run.kind, _run(run)
    told = overview.webhooks
    if told.total:
        yield "webhooks", f"{told.total}: {told.failing} failing, {told.paused} paused, {told.dead} dead"
    yield "disk", f"{overview.disk.free / 1e9:.1f} of {overview.disk.total / 1e9:.0f} GB free"


def _of_gallery(gallery: GalleryState | None) -> str:
    if gallery is None:
        return "none yet"
    if gallery.is_locked:
        return "open in another process, which answers by it"
    return gallery.error if gallery.points is None else _count(gallery.points, "point")


def _answers(overview: Overview) -> str:
    total, times = sum(day.total for day in overview.days), overview.times
    if not total:
        return f"none in {len(overview.days)} days"
    matches = 100 * sum(day.match for day in overview.days) / total
    took = f"; half took up to {times.p50:.0f} ms, 95 % up to {times.p95:.0f}" if times.p50 and times.p95 else ""
    return f"{total:,} in {len(overview.days)} days, {matches:.0f} % a match, {overview.wrong:,} judged wrong{took}"


def _run(run: LastRun) -> str:
    return f"{'failed' if run.failed else 'done'} {_moment(run.ended_at)}: {run.message}"


def _as_dict(seen: Seen, found: list[Problem]) -> dict[str, Any]:
    """As JSON: moments in ISO 8601, None for what there is not."""
    state, overview = seen.state, seen.overview
    live, disk = state.generation, overview.disk
    return {
        "ok": not found,
        "problems": [asdict(problem) for problem in found],
        "model": live and {"name": live.name, "bundle": live.bundle_id, "since": live.since.isoformat()},
        "products": state.products,
        "photos": state.photos,
        "pending": overview.pending,
        "oldest_pending_seconds": round(state.outbox.seconds),
        "gallery": seen.gallery and asdict(seen.gallery),
        "inbox": {"photos": state.inbox_photos, "groups": state.inbox_groups},
        "answers": {
            "days": len(overview.days),
            **{name: sum(getattr(day, name) for day in overview.days) for name in ("match", "ambiguous", "unknown")},
            "judged_wrong": overview.wrong,
            "p50_ms": overview.times.p50,
            "p95_ms": overview.times.p95,
        },
        "runs": [{**asdict(run), "ended_at": run.ended_at.isoformat()} for run in state.runs],
        "webhooks": {name: getattr(overview.webhooks, name) for name in ("total", "failing", "paused", "dead")},
        "disk": {"free": disk.free, "total": disk.total},
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""

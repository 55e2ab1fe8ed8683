"""What SQL and the gallery say of the catalog, as gauges. What can't be asked is left out."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.errors import StorageError
from catalog.maintenance import GalleryState, State
from web.metrics.lookout import Lookout


class CatalogState(Collector):
    """The state of one catalog, which is the same in all processes that serve it."""

    def __init__(self, catalog: Catalog) -> None:
        # On a network's disk, whose server may be away.
        self._disk = Lookout("metrics of the disk", lambda: _disk_usage(catalog.settings.data))
        self._state = Lookout("metrics of the database", lambda: maintenance.read_state(catalog.database))
        self._gallery = Lookout("metrics of the gallery", lambda: maintenance.ask_gallery(catalog))

    def collect(self) -> Iterable[Metric]:
        """What was found some seconds ago, at most: see Lookout."""
        self._gallery.begin()  # beside one another
        self._disk.begin()
        state, gallery = self._state.get(), self._gallery.get()
        yield gauge("catalog_database_up", "Whether the database answers.", state is not None)
        if state:
            yield from _of_sql(state)
        if gallery:
            yield from _of_gallery(gallery)
        if disk := self._disk.get():
            free, total = disk
            yield gauge("catalog_data_free_bytes", "Free bytes of the disk that holds CATALOG_DATA.", free)
            yield gauge("catalog_data_size_bytes", "All bytes of that disk.", total)


def _disk_usage(folder: Path) -> tuple[int, int]:
    """Free and all bytes. Raises StorageError."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        raise StorageError(f"The disk of {folder} can't be asked: {error.strerror}.") from error
    return disk.free, disk.total


def gauge(name: str, said: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(name, said, value=float(value))


def _of_gallery(gallery: GalleryState) -> Iterator[Metric]:
    yield gauge("catalog_gallery_up", "Whether the gallery answers this process.", gallery.points is not None)
    if gallery.points is not None:
        yield gauge("catalog_gallery_points", "Points of the live generation in the gallery.", gallery.points)


def _of_sql(state: State) -> Iterator[Metric]:
    yield gauge("catalog_products", "Active products.", state.products)
    yield gauge("catalog_photos", "Reference photos of active products.", state.photos)
    yield gauge("catalog_outbox_photos", "Photos that are not in the live gallery yet.", state.outbox.photos)
    yield gauge("catalog_outbox_removals", "Points that are to leave the live gallery.", state.outbox.removals)
    yield gauge(
        "catalog_outbox_failed_photos",
        "Pending photos that failed repeatedly by themselves: their files are damaged or missing.",
        state.outbox.failed,
    )
    yield gauge(
        "catalog_outbox_oldest_photo_seconds",
        "How long the oldest pending photo has been so; 0 without any.",
        state.outbox.seconds,
    )
    yield gauge("catalog_inbox_photos", "Photos in the inbox about which nobody has decided.", state.inbox_photos)
    yield gauge("catalog_inbox_groups", "Groups of them that look alike.", state.inbox_groups)
    yield from _of_generation(state)
    yield from _of_runs(state)
    yield from _of_webhooks(state)


def _of_generation(state: State) -> Iterator[Metric]:
    live = state.generation
    if live is None:
        return
    labels = {"generation": str(live.id), "bundle": live.bundle_id, "name": live.name}
    yield InfoMetricFamily("catalog_generation", "The live generation and its bundle.", value=labels)
    yield gauge("catalog_generation_live_timestamp_seconds", "Since when it is live.", live.since.timestamp())
    yield gauge(
        "catalog_gallery_refilling", "Whether the gallery was lost and is being filled again.", live.is_refilling
    )


def _of_runs(state: State) -> Iterator[Metric]:
    failed = GaugeMetricFamily("catalog_last_run_failed", "Whether the last run of a kind failed.", labels=("kind",))
    ended = GaugeMetricFamily("catalog_last_run_timestamp_seconds", "When it ended.", labels=("kind",))
    for run in state.runs:
        failed.add_metric((run.kind,), float(run.failed))
        ended.add_metric((run.kind,), run.ended_at.timestamp())
    yield failed
    yield ended
    for run in state.runs:
        if run.kind == "doctor" and not run.failed:
            yield gauge(
                "catalog_doctor_defects", "Things that the last doctor found amiss.", run.counts.get("defect", 0)
            )


def _of_webhooks(state: State) -> Iterator[Metric]:
    told = state.webhooks
    each = GaugeMetricFamily(
        "catalog_webhooks",
        "Webhooks: taken, failing (tried again later), paused by the staff, or dead (no longer tried).",
        labels=("state",),
    )
    taken = told.total - told.failing - told.paused - told.dead
    for name, count in (("taken", taken), ("failing", told.failing), ("paused", told.paused), ("dead", told.dead)):
        each.add_metric((name,), count)
    yield each
    yield gauge(
        "catalog_webhook_behind_seconds",
        "How long the webhook has been behind that has failed for longest; 0 without any.",
        told.seconds_behind,
    )

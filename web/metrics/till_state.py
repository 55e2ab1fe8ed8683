"""What an offline till recognizes from, and what it has to tell the server, as gauges."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from catalog.errors import CatalogError
from catalog.offline import Till
from web.metrics.catalog_state import gauge


class TillState(Collector):
    """The state of an offline till."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def collect(self) -> Iterable[Metric]:
        """All of this moment: it is in memory, or in the till's own file."""
        facts = self._till.facts
        labels = {"version": facts.version, "bundle": facts.bundle, "name": facts.bundle_name}
        yield InfoMetricFamily("catalog_till", "The version that the till recognizes from.", value=labels)
        yield gauge(
            "catalog_till_made_timestamp_seconds",
            "When the server made that version.",
            datetime.fromisoformat(facts.made_at).timestamp(),
        )
        yield gauge("catalog_products", "Active products.", facts.products)
        yield gauge("catalog_photos", "Reference photos of active products.", facts.photos)
        yield gauge("catalog_gallery_points", "Points in the gallery.", facts.points)
        try:
            waiting = self._till.answers.count_waiting()
        except CatalogError:
            return
        yield gauge("catalog_till_answers_waiting", "Answers that the server does not have yet.", waiting)

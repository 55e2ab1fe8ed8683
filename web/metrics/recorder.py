"""What happened in this process since it started: recognitions, requests, refusals; and what is in hand now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from web import problems

if TYPE_CHECKING:
    from catalog.recognition import Recognition
    from web.serving import Load

#: Upper bounds in seconds, about those between which an operator tells a good day from a bad one. A whole answer takes
#: 5 ms by the vector alone, up to CATALOG_SECOND_LOOK_MS and some more by a second look.
WHOLE = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)
STEP = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
#: Any other method is one that somebody made up: there is no series for each.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: As endpoint: no such path; and what the server refused before any view was called.
NO_VIEW, SERVER = "none", "server"


class Recorder:
    """The metrics of one process. Thread-safe; what it is told takes microseconds (benchmarks/metrics_cost.py)."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: as many series again
        self.registry = CollectorRegistry()
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=self.registry)
        self._recognitions = Counter(
            "catalog_recognitions",
            "Photos of tills that were answered, by decision and by what decided.",
            ("decision", "decided_by"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "catalog_recognition_seconds",
            "Seconds that an answer took, without waiting for its turn; request: one photo, or a photo of a batch.",
            ("request",),
            buckets=WHOLE,
            registry=self.registry,
        )
        self._step_seconds = Histogram(
            "catalog_recognition_step_seconds",
            "Seconds of each step of an answer that was needed for it.",
            ("step",),
            buckets=STEP,
            registry=self.registry,
        )
        self._requests = Counter(
            "catalog_requests",
            "Requests that were answered, by view, method and status.",
            ("endpoint", "method", "status"),
            registry=self.registry,
        )
        self._refusals = Counter(
            "catalog_refusals",
            "Requests that were answered with a problem, by its code (see /problems).",
            ("code",),
            registry=self.registry,
        )

        # From 0 on: of a series that begins at 1, no increase is seen, and no share of one that is not there.
        for decision, by in (("match", "embedding"), ("ambiguous", "embedding"), ("unknown", "embedding")):
            self._recognitions.labels(decision, by)
        for code in problems.KINDS:
            self._refusals.labels(code)

    def recognized(self, answer: Recognition, request: Literal["photo", "batch"]) -> None:
        """A photo of a till was answered."""
        self._recognitions.labels(answer.decision, answer.decided_by).inc()
        self._seconds.labels(request).observe(answer.milliseconds / 1000)
        for step, milliseconds in answer.timings.items():
            if milliseconds:
                self._step_seconds.labels(step).observe(milliseconds / 1000)

    def answered(self, endpoint: str, method: str, status: int, code: str = "") -> None:
        """A request was answered; `code`: of the problem, "" if it was none."""
        self._requests.labels(endpoint, method if method in METHODS else "other", status).inc()
        if code:
            self._refusals.labels(code).inc()

    def refused(self, method: str, status: int, code: str) -> None:
        """The server refused a request before any view was called."""
        self.answered(SERVER, method, status, code)

    def watch(self, load: Callable[[], Mapping[str, Load]]) -> None:
        """Say of each lane what is in hand."""
        self.registry.register(_InHand(load))


class _InHand(Collector):
    """The lanes of the server (web/serving/lanes.py)."""

    def __init__(self, load: Callable[[], Mapping[str, Load]]) -> None:
        self._load = load

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All lanes, at this moment."""
        answering = GaugeMetricFamily(
            "catalog_requests_in_hand", "Requests that are being answered, by lane.", labels=("lane",)
        )
        waiting = GaugeMetricFamily(
            "catalog_requests_waiting", "Requests that wait for a thread, by lane.", labels=("lane",)
        )
        for lane, load in self._load().items():
            answering.add_metric((lane,), load.answering)
            waiting.add_metric((lane,), load.waiting)
        yield answering
        yield waiting

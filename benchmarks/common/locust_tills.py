"""Tills for Locust (MIT), run by benchmarks/pos_load.py in an environment of its own: nothing of ours is imported.

Each user is a till with one connection that asks again at once. From the environment: TILL_KEY, TILL_PHOTOS (a folder
of JPEGs, asked in turn), TILL_WARM and TILL_SECONDS (how long answers are not counted, and then are), and TILL_OUT (the
file that milliseconds and statuses of the answers are written to, as JSON).
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from pathlib import Path

import gevent
from locust import FastHttpUser, events, task

PHOTOS = [path.read_bytes() for path in sorted(Path(os.environ["TILL_PHOTOS"]).glob("*.jpg"))]
HEADERS = {"Authorization": f"Bearer {os.environ['TILL_KEY']}", "Content-Type": "image/jpeg"}
WARM, SECONDS = float(os.environ["TILL_WARM"]), float(os.environ["TILL_SECONDS"])


class Answers:
    """What was answered in the time that counts, which begins with the first question."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self._begins: float | None = None
        self._is_over = False

    def begin(self) -> float:
        now = time.perf_counter()
        self._begins = now + WARM if self._begins is None else self._begins
        return now

    def end(self, began: float, status: int) -> bool:
        """Count an answer; returns whether this was the first after the end."""
        ended = time.perf_counter()
        since = ended - (self._begins or 0.0)
        if 0 <= since <= SECONDS:
            self.statuses[status] += 1
            if status == 200:
                self.times.append((ended - began) * 1000)
        was_over, self._is_over = self._is_over, since > SECONDS
        return self._is_over and not was_over


answers = Answers()
places = itertools.count()


class Till(FastHttpUser):
    network_timeout = connection_timeout = 60.0

    @task
    def recognize(self) -> None:
        photo = PHOTOS[next(places) % len(PHOTOS)]
        began = answers.begin()
        with self.client.post("/api/v1/recognize", data=photo, headers=HEADERS, catch_response=True) as reply:
            if answers.end(began, reply.status_code):
                gevent.spawn(self.environment.runner.quit)  # which waits for this till, too


@events.quitting.add_listener
def write(environment: object, **more: object) -> None:
    said = {"times": answers.times, "statuses": answers.statuses}
    Path(os.environ["TILL_OUT"]).write_text(json.dumps(said))

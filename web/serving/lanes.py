"""Threads and queues, one lane for each kind of work, so that none waits for another kind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from web.serving import verdicts

#: Threads of a lane, and requests that wait for one; more are refused. `express`: liveness and refusals, which wait for
#: nothing. `ready`: readiness, which may wait for a silent part. `pages`: what shows or changes rows. `adding`: photos
#: that are added; a request may hold fifty, and a till must not wait for them. `batches`: many photos to recognize in
#: one request, one request at a time. `archives`: for offline tills, which may wait until one is built. `tills`: see
#: Lanes.
LANES = {
    "express": (1, 100_000),
    "ready": (2, 20),
    "pages": (4, 100),
    "adding": (2, 20),
    "batches": (1, 4),
    "archives": (4, 200),
}


@dataclass(frozen=True)
class Load:
    """Requests of a lane: those that are being answered, and those that wait for a thread."""

    answering: int
    waiting: int


class Slot:
    """The place that a request takes in a lane, until its answer begins to be sent."""

    def __init__(self, lane: Lane) -> None:
        self._lane: Lane | None = lane

    def release(self) -> None:
        """Make the place free; again does nothing."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.leave()


class Lane(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress' threads, with a bound on the requests in hand: those being answered and those that wait."""

    queue: deque[Any]

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        super().__init__()
        self._name = name
        self._size = self._room = threads + waiting
        self.set_thread_count(threads)

    def start_new_thread(self, target: Callable[[int], None], number: int) -> None:
        """Start a thread that is named after its lane."""
        threading.Thread(target=target, name=f"{self._name}-{number}", args=(number,), daemon=True).start()

    def offer(self, channel: Any) -> bool:
        """Take a channel's request; False if there is no room."""
        with self.lock:
            if self._room <= 0:
                return False
            self._room -= 1
            channel.slot = Slot(self)
            self.queue.append(channel)
            self.queue_cv.notify()
            return True

    def leave(self) -> None:
        """One request less in hand. A till that has its answer may ask again at once: there is room."""
        with self.lock:
            self._room += 1

    def load(self) -> Load:
        """What is in hand now."""
        with self.lock:
            waiting = len(self.queue)
            return Load(self._size - self._room - waiting, waiting)

    def drop_gone(self) -> list[Any]:
        """Take the channels whose client has gone out of the queue."""
        with self.lock:
            gone = [channel for channel in self.queue if not channel.connected]
            self.queue = deque(channel for channel in self.queue if channel.connected)
        for channel in gone:
            channel.slot.release()
        return gone


class Lanes:
    """The dispatcher of the server: `threads` photos of tills at once, `waiting` more in the queue."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._lanes = {name: Lane(name, *size) for name, size in {**LANES, "tills": (threads, waiting)}.items()}

    def add_task(self, channel: Any) -> None:
        """Have a channel's first request answered in its lane; refuse it at once if that is full."""
        express, request = self._lanes["express"], channel.requests[0]
        lane = express if request.error else self._lanes[request.verdict.lane]
        if lane.offer(channel):
            return
        for gone in lane.drop_gone():
            express.offer(gone)  # to be closed, not answered: quick enough
        if not lane.offer(channel):
            request.error = verdicts.BUSY
            express.offer(channel)

    def load(self) -> dict[str, Load]:
        """What is in hand now, by lane."""
        return {name: lane.load() for name, lane in self._lanes.items()}

    def shutdown(self) -> None:
        """End the threads that have nothing to do; a request that is still being answered is left alone."""
        for lane in self._lanes.values():
            lane.set_thread_count(0)

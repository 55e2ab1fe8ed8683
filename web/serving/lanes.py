"""Threads and queues, one lane for each kind of work, so that none waits for another kind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from waitress.task import ThreadedTaskDispatcher

from web.serving import verdicts

#: Threads of a lane, and requests that wait for one; more are refused. `express`: liveness and refusals, which wait for
#: nothing. `ready`: readiness, which may wait for a silent part. `pages`: what shows or changes rows. `adding`: photos
#: that are added; a request may hold fifty, and a till must not wait for them. `tills`: see Lanes.
LANES = {"express": (1, 10_000), "ready": (2, 20), "pages": (4, 100), "adding": (2, 20)}


class Lane(ThreadedTaskDispatcher):  # type: ignore[misc]
    """waitress' threads, with a bound on what waits for them."""

    queue: deque[Any]

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        super().__init__()
        self._name, self._waiting = name, waiting
        self.set_thread_count(threads)

    def start_new_thread(self, target: Callable[[int], None], number: int) -> None:
        """Start a thread that is named after its lane."""
        threading.Thread(target=target, name=f"{self._name}-{number}", args=(number,), daemon=True).start()

    def offer(self, channel: Any) -> tuple[bool, list[Any]]:
        """Whether there is room for a channel's request; and the channels that left the queue, their client gone."""
        with self.lock:
            idle = len(self.threads) - self.stop_count - self.active_count
            gone: list[Any] = []
            if len(self.queue) - idle >= self._waiting:
                gone = [waiting for waiting in self.queue if not waiting.connected]
                self.queue = deque(waiting for waiting in self.queue if waiting.connected)
            if len(self.queue) - idle >= self._waiting:
                return False, gone
            self.queue.append(channel)
            self.queue_cv.notify()
            return True, gone


class Lanes:
    """The dispatcher of the server: `threads` photos of tills at once, `waiting` more in the queue."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._lanes = {name: Lane(name, *size) for name, size in {**LANES, "tills": (threads, waiting)}.items()}

    def add_task(self, channel: Any) -> None:
        """Have a channel's first request answered in its lane; refuse it at once if that is full."""
        request = channel.requests[0]
        if request.error:
            self._lanes["express"].offer(channel)
            return
        has_room, gone = self._lanes[request.verdict.lane].offer(channel)
        if not has_room:
            request.error = verdicts.BUSY
        # Without a client, a request is closed and not answered: quick enough for the express lane.
        for left in gone if has_room else [*gone, channel]:
            self._lanes["express"].offer(left)

    def shutdown(self) -> None:
        """End the threads that have nothing to do; a request that is still being answered is left alone."""
        for lane in self._lanes.values():
            lane.set_thread_count(0)

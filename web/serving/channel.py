"""One connection: what is read, when it is cut off, and how it is closed so that the client sees the answer."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Any

from waitress.channel import HTTPChannel

from web import request_ids
from web.serving import verdicts
from web.serving.lanes import Slot
from web.serving.parser import Parser
from web.serving.tasks import Answer, Refusal

#: Seconds without a byte after which a connection is closed that has no request in hand, and one that doesn't take its
#: answer. The first may be long, for an idle connection keeps nobody out (see Server.make_room).
IDLE, STALLED = 300.0, 30.0
#: Seconds that what follows a refused request is read and thrown away, and those without a byte. If the connection were
#: closed at once, the client, still sending, would get a reset in place of the answer.
LINGER, LINGER_SILENT = 30.0, 5.0


class Channel(HTTPChannel):  # type: ignore[misc]
    """waitress' connection, with limits of time."""

    task_class = Answer
    error_task_class = Refusal
    close_when_flushed: bool
    will_close: bool
    request: Any
    slot: Slot

    def __init__(self, *arguments: Any, **options: Any) -> None:
        #: A request was refused: whatever comes is thrown away.
        self.discarding = False
        #: Until when (time.monotonic), once the refusal was sent.
        self._lingering: float | None = None
        self._asked = False
        super().__init__(*arguments, **options)
        self.parser_class = partial(Parser, judge=self.server.site.judge, on_refusal=self._discard)

    @property
    def rank(self) -> tuple[int, float]:
        """Which connection is closed first where room is needed for another: the least."""
        if self.discarding:
            kind = 0
        elif self.total_outbufs_len or self.request is not None:
            kind = 3
        else:
            kind = 2 if self._asked else 1
        return kind, self.last_activity

    @property
    def is_idle(self) -> bool:
        """Nothing is being read, answered or sent."""
        return not (self.requests or self.request is not None or self.total_outbufs_len or self.discarding)

    def _discard(self) -> None:
        self.discarding = True

    def received(self, data: bytes) -> bool:
        """Take bytes."""
        return True if self.discarding else bool(super().received(data))

    def readable(self) -> bool:
        """Whether to read."""
        return not self.will_close if self.discarding else bool(super().readable())

    def handle_write(self) -> None:
        """Send; after a refusal, close the connection for sending only."""
        if not (self.discarding and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.socket is None:  # sending found that the client has gone, and closed it
            return
        if not self.total_outbufs_len and not self.will_close:
            self.close_when_flushed = False
            self._lingering = time.monotonic() + LINGER
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client has gone
                self.will_close = True
        if self.will_close:
            self.handle_close()

    def service(self) -> None:
        """Answer the first request; called by a thread of its lane."""
        self._asked = True
        slot = self.slot  # super().service() may have the next request take another
        try:
            super().service()
        finally:
            request_ids.end()
            slot.release()

    def check_time(self) -> None:
        """Close or cut off a connection that took too long. Called every second by the thread that reads."""
        silent = time.time() - self.last_activity
        if self._lingering is not None:
            self.will_close |= silent > LINGER_SILENT or time.monotonic() > self._lingering
        elif self.total_outbufs_len:
            self.will_close |= silent > STALLED
        elif self.requests or self.discarding:
            pass  # it is the server's turn
        elif self.request is not None:
            self._cut_off()
        else:
            self.will_close |= silent > IDLE

    def _cut_off(self) -> None:
        with self.requests_lock:
            if self.request is None or time.monotonic() < self.request.deadline:
                return
            self.request.refuse(verdicts.TOO_SLOW)
            self.requests.append(self.request)
            self.request = None
            if len(self.requests) == 1:
                self.server.add_task(self)

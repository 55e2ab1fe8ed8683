"""The server: waitress' loop on all listening sockets and connections, and its end."""

from __future__ import annotations

import errno
import logging
import resource
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from web.serving.channel import Channel
from web.serving.lanes import Lanes, Load
from web.serving.verdicts import Judge
from web.stopping import Stop

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger(__name__)

#: Method ("" where none was understood), status, and code of the problem.
OnRefusal = Callable[[str, int, str], None]

#: Open connections, at most; for a further one, the one that is idle for longest is closed.
CONNECTIONS = 2000
#: Files that are left to everything else; and files a connection may need: its socket, and its body on disk.
OTHER_FILES, FILES_EACH = 256, 2
#: Connections that are taken in one turn of the loop: each turn looks at all of them.
ACCEPTED_AT_ONCE = 64
#: Seconds that a stopping server answers what it has, and during which it still reads what was sent before.
DRAIN, LAST_WORDS = 6.0, 0.25


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """A listening socket."""

    channel_class = Channel
    site: Server

    def readable(self) -> bool:
        """Whether to accept; never held back, see Server.make_room."""
        return bool(self.accepting)

    def handle_accept(self) -> None:
        """Accept what waits."""
        for _ in range(ACCEPTED_AT_ONCE):
            if not self.site.make_room():
                return
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return


class Server:
    """Serves a WSGI application. `judge` decides about each request when its header is there."""

    def __init__(
        self,
        application: WSGIApplication,
        judge: Judge,
        *,
        host: str,
        port: int,
        threads: int,
        waiting: int,
        max_body: int,
        connections: int | None = None,
        on_refusal: OnRefusal = lambda method, status, code: None,
    ) -> None:
        """Listen on all addresses of `host`; `connections`: None, what the process may have. Raises OSError.

        `on_refusal` is told what the server refuses by itself.
        """
        self.judge, self.on_refusal = judge, on_refusal
        self.draining = False
        self._limit = connections or connection_limit()
        self._map: dict[int, Any] = {}
        self._connections: dict[int, Channel] = {}
        self._check_at = 0.0
        try:
            adjustments = Adjustments(
                host=host,
                port=port,
                ident="catalog",
                max_request_body_size=3 * max_body,  # on the wire; the judge's limits are tighter
                recv_bytes=64 * 1024,
                channel_request_lookahead=1,  # goes on reading, and so sees that a client has gone
                clear_untrusted_proxy_headers=False,  # web/proxies.py does it
                log_socket_errors=False,  # a client that hangs up is none
            )
        except ValueError:  # of waitress, whatever was wrong with the name
            raise OSError(errno.EADDRNOTAVAIL, "the host is no address or name that can be found") from None
        self._lanes = Lanes(threads, waiting)
        try:
            self._listeners = [self._listen(application, adjustments, address) for address in adjustments.listen]
        except OSError:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listeners[0].effective_port)

    def load(self) -> dict[str, Load]:
        """What is in hand, by lane."""
        return self._lanes.load()

    def wake(self) -> None:
        """Have the loop look whether it is to stop. Safe in a signal handler."""
        self._listeners[0].pull_trigger()

    def run(self, stop: Stop) -> None:
        """Serve until told to stop; then take no new request, and return when those in hand were answered."""
        while not stop.times:
            self._turn(1.0)
        self._drain(stop)

    def close(self) -> None:
        """Close all sockets."""
        self._lanes.shutdown()
        wasyncore.close_all(self._map)

    def make_room(self) -> bool:
        """Whether there is room for a connection, if need be by closing one that has no request in hand."""
        if len(self._connections) < self._limit:
            return True
        idle = [channel for channel in self._connections.values() if not channel.requests]
        if not idle:
            return False
        min(idle, key=lambda channel: channel.rank).handle_close()
        return True

    def _listen(self, application: WSGIApplication, adjustments: Any, address: Any) -> Listener:
        listener = Listener(application, self._map, dispatcher=self._lanes, adj=adjustments, sockinfo=address)
        listener.site = self
        listener.active_channels = self._connections
        return listener

    def _turn(self, seconds: float) -> None:
        """Read and write what can be, waiting for it at most so long. poll, for select can't do over 1,024 files."""
        wasyncore.loop(seconds, use_poll=True, map=self._map, count=1)
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + 1.0
            for channel in list(self._connections.values()):
                channel.check_time()

    def _drain(self, stop: Stop) -> None:
        for listener in self._listeners:
            listener.handle_accept()  # who got through before the socket is closed is in hand, too
            listener.accepting = False
            wasyncore.dispatcher.close(listener)
        self.draining = True
        began = time.monotonic()
        while self._connections and time.monotonic() < began + DRAIN and stop.times == 1:
            self._turn(0.05)
            if time.monotonic() > began + LAST_WORDS:
                for channel in list(self._connections.values()):
                    channel.will_close |= channel.is_idle
        if self._connections:
            log.warning("%d connections are closed with a request in hand", len(self._connections))


def connection_limit() -> int:
    """Connections that this process may have: CONNECTIONS, or what its limit of open files, raised, leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OTHER_FILES + FILES_EACH * CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return CONNECTIONS if soft >= needed else max(100, (soft - OTHER_FILES) // FILES_EACH)

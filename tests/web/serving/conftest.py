from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support.connections import connect
from web.gate import Gate
from web.serving import Server
from web.serving.verdicts import Judge
from web.stopping import Stop

Serving = Callable[..., contextlib.AbstractContextManager[Server]]


@contextlib.contextmanager
def serving(application: Any, judge: Judge, **options: Any) -> Iterator[Server]:
    """The server in a thread, told to stop at the end."""
    limits = {"threads": 1, "waiting": 1, "max_body": 2**28, **options}
    server = Server(application, judge, host="127.0.0.1", port=0, **limits)
    stop = Stop()
    thread = threading.Thread(target=server.run, args=(stop,))
    thread.start()
    try:
        yield server
    finally:
        stop.times += 1
        server.wake()
        thread.join(10)
        server.close()
        assert not thread.is_alive()


@pytest.fixture
def serve() -> Serving:
    return serving


@pytest.fixture(scope="session")
def port(app: Flask) -> Iterator[int]:
    """The port of a server with the real app and its gate."""
    with serving(app, Gate(app), threads=2, waiting=50) as server:
        yield server.port


@pytest.fixture
def connected() -> Iterator[Callable[[int], socket.socket]]:
    """Opens connections to a port, closed at the end."""
    with contextlib.ExitStack() as opened:
        yield lambda port: opened.enter_context(connect(port))

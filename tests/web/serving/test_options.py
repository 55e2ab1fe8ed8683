"""Any text in any option of `catalog serve`: it serves, or says in a line what is wrong."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.catalog import Catalog
from tests.support.catalogs import open_shared
from web import __main__ as program
from web.serving import Server

#: Texts that a resolver, a socket and a number take badly, beside some that are right.
TEXTS = (
    *("", " ", "-1", "0", "1", "8", "65535", "65536", "99999", "99999999999999999999", "0x1", "nan", "1e3", "٣", "1_0"),
    *("127.0.0.1", "localhost", "::1", "[::1]", ":::", "999.1.1.1", "a..b", "xn--", ".", "%", "*", "/", "\udcff", "é"),
    *("x" * 300, "\n", "127.0.0.1:80", "a b", "{0}"),
)
texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(blacklist_characters="\x00"), max_size=10))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """The servers that were started, each of which ends at once."""
    servers: list[Server] = []
    monkeypatch.setenv("CATALOG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CATALOG_SECRET_KEY", "a secret of this test")
    shared = partial(Catalog.open, open_embedder=open_shared)
    monkeypatch.setattr(Catalog, "open", shared)
    monkeypatch.setattr(Server, "run", lambda server, stop: servers.append(server))
    monkeypatch.setattr(program, "_end_within", lambda seconds: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield servers
    for number, handler in handlers.items():
        signal.signal(number, handler)


def serve(monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    """What the program ended with: 0, 2 for wrong options, or the line that it says."""
    monkeypatch.setattr(sys, "argv", ["catalog serve", *options])
    try:
        program.main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_any_text_in_any_option(started: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    options = st.lists(st.tuples(st.sampled_from(("--host", "--port", "--threads", "--waiting")), texts), max_size=3)

    @settings(
        max_examples=60, database=None, deadline=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(options)
    def call(given: list[tuple[str, str]]) -> None:
        # Not port 8000, which may be taken here, unless another was drawn.
        ended = serve(monkeypatch, "--port", "0", *(word for option in given for word in option))
        assert ended in (0, 2) or (ended.startswith("catalog: ") and ended.count("\n") <= 1), given

    call()
    assert started


@pytest.mark.parametrize("port", ["-1", "65536", "99999", "http"])
def test_no_other_port_is_taken_in_place_of_a_wrong_one(
    started: list[Server], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    assert serve(monkeypatch, "--port", port) == 2
    assert "a whole number from 0 to 65535" in capsys.readouterr().err
    assert not started


@pytest.mark.parametrize("host", ["a..b", ":::", "x" * 300, "\udcff"])
def test_a_host_that_can_not_be_found(started: list[Server], monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    ended = serve(monkeypatch, "--host", host, "--port", "0")
    assert ended.startswith("catalog: can't listen on ") and "no address or name" in ended
    assert not started


def test_a_port_that_is_taken(started: list[Server], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = serve(monkeypatch, "--port", str(other.getsockname()[1]))
    assert ended.startswith("catalog: can't listen on 127.0.0.1:") and "in use" in ended

"""A server that takes calls and does not answer: waited for once, then left alone for a moment, then tried by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from grpc import StatusCode

from catalog.config import ServerOptions
from catalog.errors import GalleryUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.gallery import silence as silence_module
from catalog.gallery.silence import REST, Silence
from tests.support.galleries import DIM, GENERATION
from tests.support.qdrants import HttpFault, closes, drips, grpc_qdrant, http_qdrant, resets, says, silence, waits


def seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    with pytest.raises(GalleryUnavailableError, match=r"127\.0\.0\.1"):
        call()
    return time.monotonic() - began


@pytest.fixture(params=["http", "grpc"])
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[Gallery, Any, Callable[[float], Any]]]:
    """A gallery with a time-out of a second, its server, and what makes that silent for some seconds."""
    with ExitStack() as stack:
        if request.param == "http":
            server: Any = stack.enter_context(http_qdrant())
            gallery = open_gallery(server.url, options=ServerOptions(timeout=1, tries=10))
            fault: Callable[[float], Any] = waits
        else:
            server = stack.enter_context(grpc_qdrant())
            options = ServerOptions(timeout=1, tries=10, grpc_port=server.port)
            gallery = open_gallery("http://127.0.0.1:6333", options=options)

            def fault(seconds: float) -> Any:
                return float(seconds), ""

        gallery.create(GENERATION, DIM)
        time.sleep(0.6)  # so that its last answer is not of this moment
        yield gallery, server, fault
        gallery.close()


def test_a_time_out_is_not_tried_again_and_remembered(asked: tuple[Gallery, Any, Callable[[float], Any]]) -> None:
    gallery, server, fault = asked
    before = len(server.calls)
    server.faults = [fault(3.0)]
    assert 0.9 < seconds(gallery.generations) < 2.5
    assert seconds(lambda: gallery.count(GENERATION)) < 0.2
    assert seconds(gallery.generations) < 0.2
    assert len(server.calls) == before + 1
    time.sleep(REST)
    assert gallery.count(GENERATION) == 0  # it answers, and is asked as ever
    assert gallery.generations() == [GENERATION]


def test_one_alone_tries_it_again(
    asked: tuple[Gallery, Any, Callable[[float], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence_module, "REST", 0.5)
    gallery, server, fault = asked
    server.faults = [fault(1.5)] * 2
    seconds(gallery.generations)
    time.sleep(0.6)
    before = len(server.calls)
    with ThreadPoolExecutor(8) as pool:
        took = sorted(pool.map(lambda _: seconds(gallery.generations), range(8)))
    assert len(server.calls) == before + 1
    assert took[6] < 0.5 and 0.9 < took[7] < 2.5


def test_a_slow_call_among_others_that_are_answered_is_no_silence(
    asked: tuple[Gallery, Any, Callable[[float], Any]],
) -> None:
    gallery, server, fault = asked
    server.faults = [fault(3.0)]
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(seconds, gallery.generations)
        while not slow.done():
            time.sleep(0.05)
            assert gallery.count(GENERATION) == 0
        assert slow.result() < 2.5
    assert gallery.count(GENERATION) == 0


def test_eight_at_once_wait_for_one_time_out() -> None:
    with silence() as url:
        gallery = open_gallery(url, options=ServerOptions(timeout=1))
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: seconds(gallery.generations), range(8)))
        assert time.monotonic() - began < 2.5
        gallery.close()


def test_a_response_that_drips_times_out_as_a_whole() -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(timeout=1))
        server.faults = [drips]
        assert 0.9 < seconds(gallery.generations) < 3
        assert seconds(gallery.generations) < 0.2
        gallery.close()


def test_a_gateway_that_waits_in_vain_is_silent_too() -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        server.faults = [says(504)]
        seconds(gallery.generations)
        seconds(gallery.generations)
        assert len(server.calls) == 1
        gallery.close()


@pytest.mark.parametrize("fault", [resets, closes, says(503), says(429)])
def test_a_server_that_fails_at_once_is_asked_again_at_once(fault: HttpFault) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(tries=2))
        server.faults = [fault] * 2
        assert seconds(gallery.generations) < 3
        assert gallery.generations() == []
        assert len(server.calls) == 3
        gallery.close()


def test_grpc_errors_are_no_silence() -> None:
    with grpc_qdrant() as server:
        gallery = open_gallery("http://127.0.0.1:6333", options=ServerOptions(tries=1, grpc_port=server.port))
        server.faults = [(StatusCode.UNAVAILABLE, "starting")]
        seconds(gallery.generations)
        assert gallery.generations() == []
        gallery.close()


def test_who_tries_it_and_never_tells_does_not_stop_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_module, "REST", 0.05)
    one = Silence(timeout=0.05)
    one.timed_out()
    assert not one.may_ask()
    time.sleep(0.06)
    assert one.may_ask() and not one.may_ask()
    time.sleep(0.12)
    assert one.may_ask()
    one.ended()
    assert one.may_ask() and one.may_ask()

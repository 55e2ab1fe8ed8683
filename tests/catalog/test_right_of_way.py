"""Work of the background waits while tills ask, one piece at a time, and never for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import update

from catalog import right_of_way
from catalog.catalog import Catalog
from catalog.enrollment.outbox import run_pending
from catalog.products import barcode_owners
from catalog.recognition import recognize
from catalog.storage.tables import Enrollment
from embedder import barcodes
from tests.support.pictures import jpeg
from tests.support.steps import create_each

#: Seconds in which a thread that need not wait is through, on a busy machine; and those that show that one waits.
SOON, A_WHILE = 10.0, 0.3


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on because its time is over."""
    monkeypatch.setattr(right_of_way, "LONGEST", 60.0)
    monkeypatch.setattr(right_of_way, "TURN", 60.0)


@contextmanager
def begun(work: Callable[[], object] = lambda: None) -> Iterator[threading.Event]:
    """A piece of work of the background on a thread of its own; set when it is done."""
    done = threading.Event()

    def run() -> None:
        with right_of_way.background(), right_of_way.piece():
            work()
            done.set()

    thread = threading.Thread(target=run)
    thread.start()
    yield done
    thread.join(SOON)
    assert not thread.is_alive()


def test_the_background_waits_until_no_till_asks(long: None) -> None:
    with ExitStack() as piece:
        with right_of_way.asking():
            with right_of_way.asking():
                done = piece.enter_context(begun())
                assert not done.wait(A_WHILE)
            assert not done.wait(A_WHILE), "one of two tills still waits"
        assert done.wait(SOON)


def test_it_goes_on_within_its_time_while_tills_never_pause() -> None:
    with right_of_way.asking(), begun() as done:
        began = time.monotonic()
        assert done.wait(SOON)
        assert time.monotonic() - began < right_of_way.LONGEST + 1


def test_one_piece_is_done_at_a_time_the_first_that_waited_first(long: None) -> None:
    order: list[int] = []
    running = threading.Semaphore(1)

    def work(number: int) -> None:
        with right_of_way.background(), right_of_way.piece():
            assert running.acquire(blocking=False), "another piece is being done"
            order.append(number)
            time.sleep(0.02)
            running.release()

    with ThreadPoolExecutor(4) as pool:
        with right_of_way.asking():
            waiting = []
            for number in range(4):
                waiting.append(pool.submit(work, number))
                while len(right_of_way._waiting) <= number:
                    time.sleep(0.001)
        for future in waiting:
            future.result(SOON)
    assert order == [0, 1, 2, 3]


def test_a_piece_that_hangs_holds_up_another_one_only_for_its_time() -> None:
    released = threading.Event()
    with begun(lambda: released.wait(SOON)), begun() as other:
        assert other.wait(SOON - 2)
        released.set()


def test_while_tills_ask_it_rests_after_a_piece_for_as_long_as_that_took(long: None) -> None:
    with right_of_way.asking():
        pass
    with right_of_way.background():
        with right_of_way.piece():
            time.sleep(A_WHILE)
        ended = time.monotonic()
        with right_of_way.piece():
            assert time.monotonic() - ended > A_WHILE / 2


def test_a_piece_within_a_piece_is_a_part_of_it(long: None) -> None:
    def nested() -> None:
        with right_of_way.piece():
            pass

    with begun(nested) as done:
        assert done.wait(SOON)


def test_who_is_waited_for_by_people_never_waits(long: None) -> None:
    with right_of_way.asking(), right_of_way.piece():
        assert not right_of_way.in_background()


def test_an_error_in_a_piece_ends_it(long: None) -> None:
    with right_of_way.background():
        with pytest.raises(ValueError, match="wrong"), right_of_way.piece():
            raise ValueError("wrong")
        with begun() as done:
            assert done.wait(SOON)


def test_it_waits_while_a_photo_is_recognized(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, long: None) -> None:
    create_each(catalog, 1)
    reached, released = threading.Event(), threading.Event()
    search = catalog.gallery.real.search

    def slow(*arguments: Any, **more: Any) -> Any:
        reached.set()
        released.wait(SOON)
        return search(*arguments, **more)

    monkeypatch.setattr(catalog.gallery.real, "search", slow)
    with ThreadPoolExecutor(1) as till:
        answer = till.submit(recognize, catalog, jpeg(1))
        assert reached.wait(SOON)
        with begun() as done:
            assert not done.wait(A_WHILE)
            released.set()
            assert done.wait(SOON)
        assert answer.result(SOON).decision == "match"


def test_each_part_of_recognizing_and_enrolling_is_within_a_piece_and_on_one_thread(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, 1)
    barcode_owners.add(catalog.database, "S1", "4006381333931", actor="anna")
    done: list[tuple[str, bool, int]] = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: Any, **more: Any) -> Any:
            done.append((name, getattr(right_of_way._thread, "in_piece", False), threading.get_ident()))
            return call(*arguments, **more)

        return noting

    live = catalog.generations.ready()
    monkeypatch.setattr(live.embedder, "embed_one", noted("embed", live.embedder.embed_one))
    monkeypatch.setattr(barcodes, "read", noted("barcodes", barcodes.read))
    monkeypatch.setattr(catalog.gallery.real, "upsert", noted("upsert", catalog.gallery.real.upsert))
    with right_of_way.background():
        recognize(catalog, jpeg(1))
        with catalog.database.write() as session:
            session.execute(update(Enrollment).values(done=False))
        assert run_pending(catalog) == 1
    assert {name for name, _, _ in done} == {"embed", "barcodes", "upsert"}
    assert {(within, thread) for _, within, thread in done} == {(True, threading.get_ident())}


def test_it_does_not_wait_for_what_it_asks_itself(catalog: Catalog, long: None) -> None:
    create_each(catalog, 1)
    with right_of_way.background():
        assert recognize(catalog, jpeg(1)).decision == "match"
        with right_of_way.asking(), begun() as done:
            assert done.wait(SOON)

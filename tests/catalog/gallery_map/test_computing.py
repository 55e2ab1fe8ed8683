from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog.gallery_map import computing
from catalog.gallery_map.computing import MapFailedError, MapInput, compute, compute_apart
from tests.support.maps import families


def drawn(products: int = 40, photos: int = 3) -> MapInput:
    vectors, numbers = families(products, photos)
    places = np.full((len(vectors), 2), np.nan, np.float32)
    return MapInput(vectors, numbers, np.full(len(vectors), 0.08, np.float32), 0.7, places)


def test_a_process_of_its_own_finds_the_same() -> None:
    here, there = compute(drawn()), compute_apart(drawn())
    assert np.array_equal(here.places, there.places)
    assert np.array_equal(here.rival, there.rival)
    assert np.array_equal(here.own, there.own)
    assert np.array_equal(here.look_alikes.pairs, there.look_alikes.pairs)


def test_photos_on_the_map_stay_and_new_ones_come_beside_them() -> None:
    given = drawn()
    first = compute(given)
    places = first.places.copy()
    places[::10] = np.nan
    second = compute(replace(given, places=places))
    stayed = np.isfinite(places).all(axis=1)
    assert np.array_equal(second.places[stayed], first.places[stayed])
    assert np.isfinite(second.places).all()


def test_a_map_of_a_few_is_laid_out_anew() -> None:
    given = drawn(products=5, photos=2)
    places = compute(given).places.copy()
    places[3:] = np.nan
    assert np.array_equal(compute(replace(given, places=places)).places, compute(given).places)


def test_progress_goes_from_nothing_to_all() -> None:
    told: list[int] = []
    compute(drawn(), lambda done, total: told.append(done))
    assert told == sorted(told) and told[0] <= computing.NEIGHBORS and told[-1] == computing.PARTS


class WantedError(Exception):
    """What a test's progress raises."""


def test_what_progress_raises_stops_the_process() -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise WantedError

    with pytest.raises(WantedError):
        compute_apart(drawn(products=900), stop)
    assert multiprocessing.active_children() == []


def test_a_process_that_ends_is_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(done: int, total: int) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(MapFailedError, match="status -9"):
        compute_apart(drawn(products=900), kill)


def test_a_signal_that_is_meant_for_the_server_does_not_end_it() -> None:
    def send(done: int, total: int) -> None:
        for child in multiprocessing.active_children() if done else ():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGTERM)
            os.kill(child.pid, signal.SIGINT)

    assert compute_apart(drawn(products=200), send).laid_out


def test_vectors_that_can_not_be_written_are_no_map(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, vectors: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(MapFailedError, match="No space left"):
        compute_apart(drawn())


PROGRAM = """
import sys
from catalog.gallery_map.computing import compute_apart
from tests.catalog.gallery_map.test_computing import drawn

def tell(done, total):
    import multiprocessing
    if done:
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)

if __name__ == "__main__":
    compute_apart(drawn(products=900), tell)
"""


@pytest.mark.slow
def test_the_process_is_of_low_priority_and_ends_with_the_one_that_asked() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        child = int(asking.stdout.readline())
        assert os.getpriority(os.PRIO_PROCESS, child) == 19
        assert Path(f"/proc/{child}/oom_score_adj").read_text() == "1000\n"
        asking.kill()
    ended = time.monotonic() + 30
    while is_alive(child):
        assert time.monotonic() < ended, "it goes on for nobody"
        time.sleep(0.1)


THREAD = """
import threading
from tests.catalog.gallery_map.test_computing import compute_apart, drawn

if __name__ == "__main__":
    told = threading.Event()
    arguments = (drawn(products=9_000), lambda done, total: told.set() if done else None)
    threading.Thread(target=compute_apart, args=arguments, daemon=True).start()
    told.wait()
"""


@pytest.mark.slow
def test_a_program_that_ends_does_not_wait_for_it() -> None:
    subprocess.run([sys.executable, "-c", THREAD], check=True, timeout=60)


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

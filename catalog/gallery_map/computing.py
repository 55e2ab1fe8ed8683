"""The computation of a map, in a process of its own: of the lowest priority, on one thread, stopped at any moment."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from catalog.errors import CatalogError
from catalog.gallery import Vector
from catalog.gallery_map.layout import FEWEST, Places, lay_out, near_of, place_beside
from catalog.gallery_map.look_alikes import LookAlikes, find_look_alikes
from catalog.gallery_map.neighbors import Floats, Numbers, find_neighbors
from catalog.progress import Progress, no_progress

#: Progress is told in so many parts, of which finding the neighbours takes NEIGHBORS.
PARTS, NEIGHBORS = 1000, 250
#: Seconds between two reports of a child that says nothing, so that it can be stopped.
LISTEN = 0.5


class MapFailedError(CatalogError):
    """The process that computes the map ended before it was through."""

    code = "map_failed"


@dataclass(frozen=True, eq=False)
class MapInput:
    """n photos, each with its `vectors` [n, dim], its product's number [n] and the margin that it needs [n].

    `score`: that of a match. `places` [n, 2]: of those that stay where they are on the map, NaN for the others.
    """

    vectors: Vector
    products: Numbers
    margins: Floats
    score: float
    places: Places


@dataclass(frozen=True, eq=False)
class MapOutput:
    """The places of n photos, [n, 2], whether all were `laid_out` anew, and what looks alike.

    `own`, `rival`, `rival_cosine` [n]: see Neighbors.
    """

    places: Places
    laid_out: bool
    own: Floats
    rival: Numbers
    rival_cosine: Floats
    look_alikes: LookAlikes


def compute(given: MapInput, progress: Progress = no_progress) -> MapOutput:
    """Find the neighbours, the places and the look-alikes; here, on the threads that NumPy has."""
    count = len(given.vectors)
    neighbors = find_neighbors(given.vectors, given.products, near_of(count), _part(progress, 0, NEIGHBORS))
    stay = np.isfinite(given.places).all(axis=1)
    laid_out = bool(stay.sum() < FEWEST)
    if laid_out:
        places = lay_out(given.vectors, neighbors, _part(progress, NEIGHBORS, PARTS))
    else:
        places = given.places.copy()
        if not stay.all():
            places[~stay] = place_beside(given.vectors[~stay], given.vectors[stay], given.places[stay])
    look_alikes = find_look_alikes(neighbors, given.products, given.score, given.margins)
    return MapOutput(places, laid_out, neighbors.own, neighbors.rival, neighbors.rival_cosine, look_alikes)


def compute_apart(given: MapInput, progress: Progress = no_progress) -> MapOutput:
    """Like `compute`, in a process that ends with this one. What `progress` raises stops it. Raises MapFailedError."""
    with tempfile.TemporaryDirectory(prefix="catalog-map-") as folder:
        # By a file the vectors are in the memory of neither process twice.
        file = Path(folder) / "vectors.npy"
        try:
            np.save(file, given.vectors)
        except OSError as error:
            raise MapFailedError(f"The vectors can't be written to {folder}: {error.strerror}.") from error
        return _in_process(replace(given, vectors=given.vectors[:0]), file, progress)


def _in_process(given: MapInput, vectors: Path, progress: Progress) -> MapOutput:
    # Started anew, not forked: threads of this process may hold locks.
    spawning = multiprocessing.get_context("spawn")
    heard, said = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_child, args=(given, vectors, said), name="gallery-map", daemon=True)
    process.start()
    atexit.register(process.kill)  # before multiprocessing waits for it: it ignores the signal to end
    said.close()
    done = 0
    try:
        while True:
            if heard.poll(LISTEN):
                message: Any = heard.recv()
                if isinstance(message, MapOutput):
                    return message
                done = message
            progress(done, PARTS)
    except EOFError:
        process.join()
        raise MapFailedError(
            f"The process that computes the map ended with status {process.exitcode}: was there too little memory?"
        ) from None
    finally:
        process.kill()
        process.join()
        atexit.unregister(process.kill)
        heard.close()


def _child(given: MapInput, vectors: Path, said: Connection) -> None:
    # A terminal and systemd send them to all processes of a server; it ends this one itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(19)
    with suppress(OSError):  # Linux alone has it: where memory is short, this process ends, not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    given = replace(given, vectors=np.load(vectors, mmap_mode="r"))
    from threadpoolctl import threadpool_limits

    try:
        with threadpool_limits(1):
            said.send(compute(given, lambda done, total: said.send(done)))
    except BrokenPipeError:  # the process that asked for it was killed
        raise SystemExit(1) from None


def _part(progress: Progress, start: int, end: int) -> Progress:
    """A progress that is a stretch of the whole."""
    return lambda done, total: progress(start + (end - start) * done // max(1, total), PARTS)

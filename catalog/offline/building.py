"""Archives for offline tills, built when one asks and the catalog has changed, beside serving.

Of all who ask at one moment, one build is begun; they wait for it for a while, and then are told to ask again. Nothing
that a recognizing till needs is locked meanwhile: the vectors are read in small pieces that give way to tills, and the
rest is done by a process of its own.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from catalog.catalog import Catalog
from catalog.durable_files import write_file
from catalog.errors import BundleBuildingError, CatalogError, StorageError
from catalog.generations import LiveModel
from catalog.offline import point_files
from catalog.offline.packing import Order, pack
from catalog.offline.shelf import THUMBNAILS, Shelf, told
from catalog.offline.stamps import stamp
from catalog.right_of_way import mark_background, piece

log = logging.getLogger(__name__)

#: Seconds that a request waits for its archive before it is told to come again.
WAIT = 25.0
#: Points read in one piece: 2 ms.
_PIECE = 256
#: Priority of the process that builds: below all that serves, and not so low that it gets nowhere on a busy machine.
NICE = 5
_Key = tuple[str, str | None, bool]


@dataclass(frozen=True)
class Built:
    """An archive on this disk. `since`: it is a delta from that version; None: it is whole."""

    path: Path
    version: str
    since: str | None


class OfflineBundles:
    """The archives of one catalog. Thread-safe; several processes on one folder build one at a time.

    `pack` builds an order: in a process of its own, unless a program that serves nobody says otherwise.
    """

    def __init__(self, catalog: Catalog, pack: Callable[[Order], tuple[str, str | None]] | None = None) -> None:
        self._catalog, self._pack = catalog, pack or _pack_apart
        self.shelf = Shelf(catalog.settings.data / "offline")
        self._jobs: dict[_Key, _Job] = {}
        self._lock = threading.Lock()

    def version(self, *, thumbnails: bool = False) -> str | None:
        """The version that an archive would have now; None if that is not known before one is built."""
        live = self._catalog.generations.ready()
        known, version = self.shelf.current()
        return version + THUMBNAILS * thumbnails if known == stamp(self._catalog, live) else None

    def get(self, *, since: str | None = None, thumbnails: bool = False, wait: float = WAIT) -> Built:
        """The archive of the catalog as it is now: a delta from the version `since`, if it can be, else a whole one.

        Raises BundleBuildingError when it is not there within `wait` seconds (it goes on being built),
        GalleryRefillingError while a lost gallery is filled again, StorageError for a full disk, or what else a build
        raises.
        """
        live = self._catalog.generations.ready()
        self._catalog.generations.check_filled(live)
        since = since if since and self.shelf.knows(since) else None  # so that there is one build for all of these
        for _ in range(2):
            now = stamp(self._catalog, live)
            if found := self._found(now, since, thumbnails):
                return found
            job = self._begun((now, since, thumbnails), live)
            if not job.done.wait(wait):
                raise BundleBuildingError(
                    "The archive for offline tills is being built. Ask again in a few seconds (Retry-After)."
                )
            if job.error:
                raise job.error
            if job.built and job.built.path.exists():
                return job.built
        raise BundleBuildingError("The catalog changes while the archive is built. Ask again in a few seconds.")

    def _found(self, now: str, since: str | None, thumbnails: bool) -> Built | None:
        known, plain = self.shelf.current()
        if known != now:
            return None
        version = plain + THUMBNAILS * thumbnails
        path = self.shelf.archive(version, since)
        return Built(path, version, since) if path.exists() else None

    def _begun(self, key: _Key, live: LiveModel) -> _Job:
        with self._lock:
            self._jobs = {other: job for other, job in self._jobs.items() if not job.done.is_set()}
            if key not in self._jobs:
                self._jobs[key] = _Job()
                thread = threading.Thread(target=self._work, args=(key, live), name="offline-bundle", daemon=True)
                thread.start()
            return self._jobs[key]

    def _work(self, key: _Key, live: LiveModel) -> None:
        mark_background()
        with self._lock:
            job = self._jobs[key]
        try:
            job.built = self._build(key, live)
        except CatalogError as error:
            job.error = error
        except Exception as error:
            log.exception("the archive for tills could not be built")
            job.error = StorageError(f"The archive for tills could not be built: {error!r}.")
        finally:
            job.done.set()

    def _build(self, key: _Key, live: LiveModel) -> Built:
        now, since, thumbnails = key
        with self.shelf.alone():
            self.shelf.sweep()
            if found := self._found(now, since, thumbnails):  # another process has just built it
                return found
            settings = self._catalog.settings
            with told(self.shelf.root), tempfile.TemporaryDirectory(prefix=".points", dir=self.shelf.root) as folder:
                points = None if self.shelf.current()[0] == now else Path(folder)
                if points:
                    _export(self._catalog, live, points)
                order = Order(
                    settings=settings,
                    root=self.shelf.root,
                    bundle=settings.bundles / live.embedder.bundle.id,
                    generation_id=live.generation_id,
                    collection=live.collection,
                    stamp=now,
                    points=points,
                    since=since,
                    thumbnails=thumbnails,
                )
                version, from_version = self._pack(order)
        return Built(self.shelf.archive(version, from_version), version, from_version)


class _Job:
    """A build, and what became of it when it is `done`."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.built: Built | None = None
        self.error: CatalogError | None = None


def _export(catalog: Catalog, live: LiveModel, folder: Path) -> None:
    """Write all points of the live generation into files."""
    ids = sorted(catalog.gallery.ids(live.collection))
    for number, start in enumerate(range(0, len(ids), point_files.OF_FILE)):
        of_file = ids[start : start + point_files.OF_FILE]
        points = []
        for first in range(0, len(of_file), _PIECE):
            with piece():
                points += catalog.gallery.points(live.collection, of_file[first : first + _PIECE])
        points.sort(key=lambda point: point.id)
        write_file(folder / f"{number:06}.npz", point_files.packed(points), sync=False)


def _pack_apart(order: Order) -> tuple[str, str | None]:
    """`pack` in a process that ends with this one. Raises what it raises."""
    # Started anew, not forked: threads of this process may hold locks.
    spawning = multiprocessing.get_context("spawn")
    heard, said = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_child, args=(order, said), name="offline-bundle", daemon=True)
    process.start()
    atexit.register(process.kill)  # before multiprocessing waits for it: it ignores the signal to end
    said.close()
    try:
        message: Any = heard.recv()
    except EOFError:
        process.join()
        raise StorageError(
            f"The process that builds the archive for tills ended with status {process.exitcode}: was there too little "
            "memory? Ask again."
        ) from None
    finally:
        process.kill()
        process.join()
        atexit.unregister(process.kill)
        heard.close()
    if isinstance(message, CatalogError):
        raise message
    version, since = message
    return version, since


def _child(order: Order, said: Connection) -> None:
    # A terminal and systemd send them to all processes of a server; it ends this one itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    os.nice(NICE)
    with suppress(OSError):  # Linux alone has it: where memory is short, this process ends, not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        said.send(pack(order))
    except CatalogError as error:
        said.send(error)
    except BrokenPipeError:  # the process that asked for it was killed
        raise SystemExit(1) from None

"""`python -m web` (and so `catalog serve`): one process with the server and the outbox's thread."""

from __future__ import annotations

import argparse
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from catalog import log_lines
from embedder import console
from web import request_ids
from web.options import port, whole
from web.stopping import Stop

if TYPE_CHECKING:
    from flask import Flask

    from catalog.catalog import Catalog

log = logging.getLogger("web")

#: Seconds that a stopping process may take after its last answer; a container is killed 10 seconds after its SIGTERM.
ENDING = 3.0
#: Seconds that a starting process waits for another one that has the embedded gallery open.
LOCKED = 20.0


def main() -> None:
    """Open the catalog and serve it until told to stop."""
    stop = Stop()
    stop.listen()
    cores = len(os.sched_getaffinity(0))
    console.escape_what_can_not_be_shown()
    parser = argparse.ArgumentParser(
        prog="catalog serve",
        description="Serve the admin pages and the POS API.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port, default=8000, help="port to listen on; 0: any that is free")
    parser.add_argument("--threads", type=whole, default=max(2, cores), help="photos that are recognized at once")
    parser.add_argument("--waiting", type=whole, help="photos that may wait for that; default: as many as --threads")
    options = parser.parse_args()
    log_lines.begin_by(os.environ)
    request_ids.in_each_line()

    from catalog.errors import CatalogError  # all that loads slowly is loaded now: signals are handled

    try:
        serve(options.host, options.port, options.threads, options.waiting or options.threads, stop)
    except CatalogError as error:
        log_lines.fail(str(error))
    except OSError as error:
        log_lines.fail(f"can't listen on {options.host}:{options.port}: {error.strerror}")


def serve(host: str, port: int, threads: int, waiting: int, stop: Stop) -> None:
    """Serve until told to stop. Raises CatalogError or OSError when it can't start."""
    from catalog import data_folder, judging
    from catalog.catalog import Catalog
    from catalog.config import Settings
    from catalog.enrollment import Worker
    from catalog.errors import CatalogError, GalleryUnavailableError
    from catalog.inbox import ask_again
    from catalog.products import Comparing
    from catalog.runs import RunWorker
    from catalog.transfer import ImportWorker
    from catalog.webhooks import WebhookWorker
    from web import metrics
    from web.app import create_app
    from web.gate import Gate
    from web.routes import MAX_REQUEST
    from web.secret_key import secret_key
    from web.serving import Server

    settings = Settings.from_env()
    data_folder.prepare(settings)  # before the key, which is kept there
    key = secret_key(settings, host)
    with ExitStack() as opened:
        catalog = Catalog.open(settings)
        opened.callback(catalog.close)
        try:
            _open_gallery(catalog)  # now, with the model, so that the first till does not wait for it
        except GalleryUnavailableError as error:
            log.warning("%s Serving all the same; photos wait until it is back.", error)
        # Not waited for: a bucket that does not answer may take minutes to be given up.
        threading.Thread(target=catalog.generations.share_all, name="bundles", daemon=True).start()
        app = create_app(catalog, key)
        recorder = metrics.of(app)
        server = Server(
            app,
            Gate(app),
            host=host,
            port=port,
            threads=threads,
            waiting=waiting,
            max_body=MAX_REQUEST,
            on_refusal=recorder.refused,
        )
        recorder.watch(server.load)
        opened.callback(server.close)
        stop.wake(server.wake)
        _greet(app, catalog, host, server.port)
        outbox = Worker(catalog, also=ask_again, last=Comparing().run, always=judging.answer_as_live)
        workers = outbox, ImportWorker(catalog), RunWorker(catalog), WebhookWorker(catalog)
        for worker in workers:
            worker.start()
        opened.callback(_stop_together, [worker.stop for worker in workers])
        server.run(stop)
        _end_within(ENDING)
        with suppress(CatalogError):  # first: closing the rest may wait for a silent gallery
            catalog.answers.flush()
            catalog.unanswered.flush()
            catalog.uses.flush()


def _open_gallery(catalog: Catalog) -> None:
    """Load the live model and open its gallery. Commands that judge a new model have an embedded one open for moments.

    Raises a GalleryError or ConfigError.
    """
    from catalog.errors import GalleryLockedError

    until = time.monotonic() + LOCKED
    while True:
        try:
            catalog.generations.ready()
            return
        except GalleryLockedError:
            if time.monotonic() >= until:
                raise


def _stop_together(stops: Sequence[Callable[[], None]]) -> None:
    """Stop threads. Each gives back at once what it is at, before any is waited for: the process may be ended then."""
    with ThreadPoolExecutor(len(stops)) as pool:
        for stopped in [pool.submit(stop) for stop in stops]:
            stopped.result()


def _end_within(seconds: float) -> None:
    """End the process, with status 0, if closing takes longer: nothing acknowledged depends on its end."""

    def end() -> None:
        log.warning("ended before everything was closed")
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _greet(app: Flask, catalog: Catalog, host: str, port: int) -> None:
    from web import links
    from web.secret_key import is_loopback

    site = f"http://{'localhost' if is_loopback(host) else host}:{port}"
    if path := links.first_start(app):
        print("Nobody can sign in yet. This link makes the first account, once, until the server is restarted:")
        print(f"First start: {site}{path}")
    print(f"Catalog in {catalog.settings.data}")
    print(f"Serving on {site}", flush=True)


if __name__ == "__main__":
    main()

"""`python -m web.till` (and so `catalog till`): one process that recognizes from an archive, with no other server."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from catalog import log_lines
from embedder import console
from web import request_ids
from web.options import port, seconds, whole
from web.stopping import Stop

if TYPE_CHECKING:
    from catalog.config import Settings
    from catalog.offline import ServerLink, TillFolder

log = logging.getLogger("web.till")

#: Where the key is, if no file is named.
KEY = "CATALOG_TILL_KEY"
#: The settings of a server that hold for a till, too. The time that a look may take is the server's, if not given here.
SECOND_LOOK_MS, METRICS, LOG = "CATALOG_SECOND_LOOK_MS", "CATALOG_METRICS", "CATALOG_LOG"
#: Seconds until a till that has nothing yet asks again for an archive that is being built.
PAUSE = 5.0


def main() -> None:
    """Open the till and serve it until told to stop."""
    stop = Stop()
    stop.listen()
    console.escape_what_can_not_be_shown()
    options = _parser().parse_args()
    given = log_lines.begin_by(os.environ)
    request_ids.in_each_line()
    logging.getLogger("httpx").setLevel(logging.WARNING)

    from catalog.errors import CatalogError  # all that loads slowly is loaded now: signals are handled

    try:
        serve(options, given, stop)
    except CatalogError as error:
        log_lines.fail(str(error))
    except OSError as error:
        log_lines.fail(f"can't listen on {options.host}:{options.port}: {error.strerror}")


def _parser() -> argparse.ArgumentParser:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        prog="catalog till",
        description="Recognize photos on this machine from an archive of a server (GET /api/v1/offline-bundle).",
        epilog=f"The key of {KEY} or --key-file is what programs on this machine send, as to the server. With "
        "--update-from it is sent there, too, and needs the scopes catalog:read and feedback.",
    )
    parser.add_argument("--bundle", type=Path, help="archive to install first; without it, the one installed before")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="KEY",
        help="public key of the archives (`catalog offline-key`), several times for more; kept for the next start",
    )
    parser.add_argument("--data", type=Path, default=Path("till-data"), help="folder of the till (till-data)")
    parser.add_argument("--key-file", type=Path, help=f"file that holds the API key; default: {KEY}")
    parser.add_argument("--update-from", metavar="URL", help="server: newer archives from there, and feedback to it")
    parser.add_argument("--every", type=seconds, default=60, help="seconds between two looks at the server (60)")
    parser.add_argument("--thumbnails", action="store_true", help="with --update-from: a small picture of every photo")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port, default=8000, help="port to listen on; 0: any that is free (8000)")
    parser.add_argument("--threads", type=whole, default=max(2, cores), help="photos that are recognized at once")
    parser.add_argument("--waiting", type=whole, help="photos that may wait for that; default: as many as --threads")
    return parser


def serve(options: argparse.Namespace, given: Mapping[str, str], stop: Stop) -> None:
    """Install what is to be installed, and serve until told to stop. Raises CatalogError or OSError.

    `given`: variables, see log_lines.begin_by.
    """
    from catalog.offline import ServerLink, Till, TillFolder, TillOptions, TillWorker, install, prepare_folder
    from web import metrics
    from web.gate import Gate
    from web.routes import MAX_REQUEST
    from web.serving import Server
    from web.till.app import create_till_app, use

    settings = _settings(given)
    key = _key(options.key_file, given)
    folder = TillFolder(options.data)
    prepare_folder(folder)
    link = ServerLink(options.update_from, key) if options.update_from else None
    with ExitStack() as opened:
        opened.enter_context(folder.alone())
        trusted = folder.trusted(options.trust)
        folder.sweep()
        before = folder.current()
        if options.bundle:
            install(folder, options.bundle, trusted)
        elif link and not folder.current():
            install_first(folder, link, trusted, thumbnails=options.thumbnails)
        if (version := folder.current()) != before:
            folder.sweep()
            folder.keep_photos(folder.photos_used(version))
        second_look_ms = settings.second_look_ms if given.get(SECOND_LOOK_MS) else None
        till = Till(folder, TillOptions(key, second_look_ms=second_look_ms))
        opened.callback(till.close)
        app = create_till_app(till, settings.metrics)
        recorder = metrics.of(app)
        waiting = options.waiting or options.threads
        server = Server(
            app,
            Gate(app),
            host=options.host,
            port=options.port,
            threads=options.threads,
            waiting=waiting,
            max_body=MAX_REQUEST,
            on_refusal=recorder.refused,
        )
        recorder.watch(server.load)
        opened.callback(server.close)
        stop.wake(server.wake)
        print(f"Version {till.facts.version}: {till.facts.products} products, model {till.facts.bundle}")
        print(f"Serving on http://{options.host}:{server.port}", flush=True)
        worker = TillWorker(
            till,
            link,
            trusted,
            seconds=options.every,
            thumbnails=options.thumbnails,
            switched=lambda: use(app, till),
        )
        worker.start()
        if link:
            opened.callback(link.close)
        opened.callback(worker.stop)
        server.run(stop)


def install_first(folder: TillFolder, link: ServerLink, trusted: list[str], *, thumbnails: bool) -> None:
    """A till that has nothing yet fetches the whole archive before it serves, and waits while it is being built.

    Raises CatalogError.
    """
    from catalog.errors import BundleBuildingError
    from catalog.offline import install

    target = folder.archives / "fetched.zip"
    log.info("fetching the first archive")
    while True:
        try:
            link.fetch("", target, thumbnails=thumbnails)
            break
        except BundleBuildingError:  # the first time may take minutes
            log.info("the server builds it")
            time.sleep(PAUSE)
    install(folder, target, trusted)


def _key(file: Path | None, given: Mapping[str, str]) -> str:
    """The till's API key. Raises ConfigError without one."""
    from catalog.errors import ConfigError

    try:
        key = file.read_text().strip() if file else given.get(KEY, "").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"--key-file {file} can't be read: {error}.") from error
    if not key:
        raise ConfigError(
            f"Which key do programs on this machine send? Give the till's API key in a file (--key-file) or in {KEY}; "
            "`catalog key create` on the server makes one."
        )
    return key


def _settings(given: Mapping[str, str]) -> Settings:
    """What variables say of a till. Raises ConfigError."""
    from catalog.config import Settings

    return Settings.from_env({name: given[name] for name in (SECOND_LOOK_MS, METRICS, LOG) if name in given})


if __name__ == "__main__":
    main()

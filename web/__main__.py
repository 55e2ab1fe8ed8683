"""`python -m web` (and so `catalog serve`): one process with waitress and the outbox's thread."""

from __future__ import annotations

import argparse
import logging
import sys

from waitress import create_server

from catalog import accounts, data_folder
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker
from catalog.errors import CatalogError, GalleryUnavailableError
from embedder import console
from web import create_app
from web.secret_key import is_loopback, secret_key

log = logging.getLogger("web")


def main() -> None:
    """Open the catalog and serve it until interrupted."""
    console.escape_what_can_not_be_shown()
    parser = argparse.ArgumentParser(
        prog="catalog serve",
        description="Serve the admin pages and the POS API.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0: any that is free")
    parser.add_argument("--threads", type=int, default=8, help="requests that are answered at once")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        serve(options.host, options.port, options.threads)
    except CatalogError as error:
        sys.exit(f"catalog: {error}")
    except OSError as error:
        sys.exit(f"catalog: can't listen on {options.host}:{options.port}: {error.strerror}")


def serve(host: str, port: int, threads: int) -> None:
    """Serve until interrupted. Raises CatalogError or OSError when it can't start."""
    settings = Settings.from_env()
    data_folder.prepare(settings)  # before the key, which is kept there
    key = secret_key(settings, host)
    catalog = Catalog.open(settings)
    try:
        try:
            catalog.generations.ready()  # loaded now, so that the first till does not wait for it
        except GalleryUnavailableError as error:
            log.warning("%s Serving all the same; photos wait until it is back.", error)
        server = create_server(create_app(catalog, key), host=host, port=port, threads=threads, ident="catalog")
        _greet(catalog, host, int(server.effective_port))
        worker = Worker(catalog)
        worker.start()
        try:
            server.run()
        finally:
            worker.stop()
            server.close()
    finally:
        catalog.close()


def _greet(catalog: Catalog, host: str, port: int) -> None:
    first = accounts.first_user(catalog.database)
    if first:
        print(f"First start: sign in as {first[0]} with the password {first[1]} (shown this once).")
    where = "localhost" if is_loopback(host) else host
    print(f"Catalog in {catalog.settings.data}")
    print(f"Serving on http://{where}:{port}", flush=True)


if __name__ == "__main__":
    main()

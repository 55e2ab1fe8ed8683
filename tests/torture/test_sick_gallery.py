"""A gallery that loses its answers, fails half-way or names strangers, and a server that hangs or talks nonsense."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from catalog.catalog import Catalog
from catalog.config import ServerOptions
from catalog.errors import CatalogError, GalleryError, GalleryUnavailableError
from catalog.gallery import Gallery, GalleryPoint
from catalog.gallery.server import ServerGallery
from catalog.recognition import recognize
from tests.support.catalogs import with_gallery
from tests.support.qdrants import silence
from tests.torture import acting
from tests.torture.acting import Acting
from tests.torture.model import Model, Op, photo

pytestmark = pytest.mark.slow


class Sick:
    """The real gallery, behind something that spoils every write in one way, while it is on."""

    def __init__(self, real: Gallery, how: str) -> None:
        self.real, self.how, self.on = real, how, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def upsert(self, generation: str, points: Sequence[GalleryPoint]) -> None:
        self._spoil(lambda part: self.real.upsert(generation, part), points)

    def delete(self, generation: str, ids: Sequence[str]) -> None:
        self._spoil(lambda part: self.real.delete(generation, part), ids)

    def _spoil(self, write: Callable[[Any], None], things: Sequence[Any]) -> None:
        if not self.on:
            write(things)
        elif self.how == "the answer is lost":
            write(things)
            raise GalleryUnavailableError("The answer was lost.")
        elif self.how == "half of it":
            write(things[: len(things) // 2])
            raise GalleryError("It ended half-way.")
        else:
            raise GalleryUnavailableError("It does nothing.")


CHANGES = (
    Op("create", "S3", {"name": "S3", "photos": [6, 7, 8], "barcodes": []}),
    Op("add_photos", "S1", {"photos": [9, 10]}),
    Op("delete_photo", "S1", {"photo": 1}),
    Op("set_active", "S2", {"active": False}),
    Op("set_active", "S2", {"active": True}),
    Op("replace_photo", "S1", {"photo": 2, "new": 11}),
    Op("move_photo", "S1", {"photo": 3, "to": "S2"}),
    Op("rename", "S3", {"new": "S4"}),
    Op("merge", "S2", {"into": "S4"}),
    Op("set_active", "S1", {"active": False}),
)


@pytest.mark.parametrize("how", ["the answer is lost", "half of it", "nothing"])
def test_what_the_gallery_did_not_do_is_done_later(env: dict[str, str], how: str) -> None:
    catalog = acting.open_catalog({**env, "CATALOG_SECOND_LOOK": "off"})
    acts, model = Acting(catalog), Model()
    for sku, photos in (("S1", [1, 2, 3]), ("S2", [4, 5])):
        op = Op("create", sku, {"name": sku, "photos": photos, "barcodes": []})
        assert acts.perform(op) == model.apply(op) == ""
    sick = Sick(catalog.gallery, how)
    catalog = with_gallery(catalog, sick)
    acts = Acting(catalog)
    for op in CHANGES:  # SQL is the truth: no change is refused, and no answer says what is gone
        assert acts.perform(op) == model.apply(op) == "", op
        assert acting.state(catalog).products == model.products
        for number in (1, 4, 6):
            for match in recognize(catalog, photo(number)).matches:
                assert model.products[match.sku].active and model.products[match.sku].photos
    assert acting.owed(catalog)
    sick.on = False
    acting.settle(catalog)
    assert list(acting.wrongs(catalog)) == []
    catalog.close()


@pytest.mark.parametrize("stranger", ["7d0e1f3a-52c4-4c55-9d7b-0c8d7a4f6b21", "4711"])
def test_points_that_sql_does_not_know_are_not_answered(env: dict[str, str], stranger: str) -> None:
    catalog = acting.open_catalog({**env, "CATALOG_SECOND_LOOK": "off"})
    assert Acting(catalog).perform(Op("create", "S1", {"name": "S1", "photos": [1], "barcodes": []})) == ""
    live = catalog.generations.ready()
    search = catalog.gallery.search

    class Strange(Sick):
        def search(self, generation: str, *args: Any, **options: Any) -> list[Any]:
            hits = search(generation, *args, **options)
            return [type(hits[0])(stranger, "S9", str(uuid.uuid4()), 1.0), *hits]

    catalog = with_gallery(catalog, Strange(catalog.gallery, "nothing"))
    assert [match.sku for match in recognize(catalog, photo(1)).matches] == ["S1"]
    assert live.collection in catalog.gallery.generations()
    catalog.close()


class _Nonsense(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        body, status, promised = self.server.says  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = _answer

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def nonsense(body: bytes, status: int, promised: int) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Nonsense)
    server.says = (body, status, promised)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


SERVERS = {
    "no JSON": lambda: nonsense(b"<html>a proxy's page</html>", 200, 27),
    "other JSON": lambda: nonsense(b'{"result": {"points": 7}, "status": "ok"}', 200, 41),
    "500": lambda: nonsense(b"{}", 500, 2),
    "half an answer": lambda: nonsense(b'{"result":', 200, 4000),
    "silence": silence,
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_talks_nonsense_is_a_typed_error(env: dict[str, str], kind: str) -> None:
    catalog: Catalog = acting.open_catalog({**env, "CATALOG_SECOND_LOOK": "off"})
    catalog.generations.live()
    with SERVERS[kind]() as url:
        sick = ServerGallery.open(url, None, ServerOptions(timeout=1, tries=2))
        asked = with_gallery(catalog, sick)
        assert Acting(asked).perform(Op("create", "S1", {"name": "S1", "photos": [1], "barcodes": []})) == ""
        with pytest.raises(GalleryError):
            recognize(asked, photo(1))
        with pytest.raises(CatalogError):
            acting.settle(asked)
        sick.close()
    acting.settle(catalog)
    assert list(acting.wrongs(catalog)) == []
    catalog.close()

"""A gallery that is silent or slow: nobody waits for another one's call, and what overtakes it is put right."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from catalog import maintenance, products
from catalog.catalog import Catalog
from catalog.config import ServerOptions
from catalog.enrollment import NewPhoto, run_pending
from catalog.errors import GalleryUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from tests.support.catalogs import with_gallery
from tests.support.pictures import jpeg
from tests.support.qdrants import http_qdrant, silence
from tests.support.steps import all_found, create, create_each, first, rows

#: The time-out of a call, and what a busy machine needs beside it, both in seconds.
TIMEOUT, MARGIN = 2, 5.0


@contextmanager
def on_server(catalog: Catalog, url: str) -> Iterator[Catalog]:
    gallery = open_gallery(url, options=ServerOptions(timeout=TIMEOUT))
    yield with_gallery(catalog, gallery)
    gallery.close()


def in_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    try:
        result = call()
    except Exception as error:
        result = error
    return time.monotonic() - began, result


def test_eight_recognitions_at_once_wait_for_one_time_out(catalog: Catalog) -> None:
    catalog.generations.live().embedder.embed_bytes(jpeg(1))
    with silence() as url, on_server(catalog, url) as silent, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: in_seconds(lambda: recognize(silent, jpeg(seed))), range(8)))
        assert {type(answer) for _, answer in answers} == {GalleryUnavailableError}
        assert max(seconds for seconds, _ in answers) < TIMEOUT + MARGIN
        seconds, answer = in_seconds(lambda: recognize(silent, jpeg(9)))
        assert isinstance(answer, GalleryUnavailableError) and seconds < 1


def test_six_adds_at_once_are_pending_within_one_time_out(catalog: Catalog) -> None:
    create(catalog, "OLD", 90)
    with silence() as url, on_server(catalog, url) as silent, ThreadPoolExecutor(7) as pool:
        adds = [pool.submit(in_seconds, lambda seed=seed: create(silent, f"S{seed}", seed)) for seed in range(6)]
        time.sleep(0.3)
        others = [in_seconds(lambda name=name: products.set_labels(catalog.database, "OLD", [name], actor="anna"))
                  for name in ("a", "b", "c")]  # fmt: skip
        results = [add.result() for add in adds]
    assert [result.photos[0].state for _, result in results] == ["pending"] * 6
    assert max(seconds for seconds, _ in results) < TIMEOUT + MARGIN
    assert [result for _, result in others] == [None] * 3
    assert max(seconds for seconds, _ in others) < TIMEOUT
    assert products.counts(catalog.database).pending == 6
    while run_pending(catalog):
        pass
    assert all_found(catalog, *range(6))


def test_what_removes_photos_waits_for_one_time_out(catalog: Catalog) -> None:
    create(catalog, "S1", 1, 2)
    create(catalog, "S2", 3)
    with silence() as url, on_server(catalog, url) as silent, ThreadPoolExecutor(2) as pool:
        retired = pool.submit(in_seconds, lambda: products.set_active(silent, "S2", False, actor="anna"))
        photo = products.get(catalog.database, "S1").photos[0].id
        deleted = pool.submit(in_seconds, lambda: products.delete_photos(silent, "S1", [photo], actor="anna"))
        assert retired.result()[1] is None and isinstance(deleted.result()[1], uuid.UUID)
        assert max(retired.result()[0], deleted.result()[0]) < TIMEOUT + MARGIN
    assert rows(catalog)["removal"] == 2
    run_pending(catalog)
    assert rows(catalog)["removal"] == 0


def test_a_slow_gallery_answers_eight_at_once(catalog: Catalog) -> None:
    with http_qdrant() as server, on_server(catalog, server.url) as slow:
        create_each(slow, 1)
        slow.generations.release(slow.generations.live().collection)
        server.delay = 0.5  # each of some calls
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: in_seconds(lambda: first(slow, 1)), range(8)))
        assert [answer for _, answer in answers] == ["S1"] * 8
        assert max(seconds for seconds, _ in answers) < 0.5 * 8 + MARGIN  # one after the other: 0.5 * 8 * 5


class Paused:
    """The real gallery, of which one method stops `before` or after its work, until it is told to go on."""

    def __init__(self, real: Gallery, method: str, *, before: bool) -> None:
        self._real, self._method, self._before = real, method, before
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name != self._method or self.go_on.is_set():
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            result = None if self._before else found(*arguments, **options)
            self.reached.set()
            assert self.go_on.wait(30)
            return found(*arguments, **options) if self._before else result

        return call


@contextmanager
def paused(catalog: Catalog, method: str, call: Callable[[Catalog], Any], *, before: bool) -> Iterator[None]:
    """A call on the catalog that is within a method of its gallery while the block runs, and done after it."""
    gallery = Paused(catalog.gallery, method, before=before)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, with_gallery(catalog, gallery))
        try:
            assert gallery.reached.wait(30)
            yield
        finally:
            gallery.go_on.set()
        running.result()


def settle(catalog: Catalog) -> None:
    while run_pending(catalog):
        pass
    counts = rows(catalog)
    live = catalog.generations.ready()
    assert products.counts(catalog.database).pending == counts["removal"] == 0
    assert len(catalog.gallery.ids(live.collection)) == counts["enrollment"]


def test_the_embedder_is_free_while_the_gallery_is_asked(catalog: Catalog) -> None:
    create(catalog, "S1", 1)
    embedder = catalog.generations.live().embedder
    many = [NewPhoto(f"{seed}.jpg", jpeg(seed)) for seed in range(2, 8)]
    for method in ("shortlist", "search", "upsert"):
        facts = Facts(method)
        with (
            paused(
                catalog, method, lambda on, facts=facts: products.create(on, facts, many, Intake("anna")), before=True
            ),
            ThreadPoolExecutor(1) as pool,
        ):
            assert pool.submit(list, embedder.map(str, range(50))).result(10) == [*map(str, range(50))]


@pytest.mark.parametrize("before", [True, False], ids=["before the write", "after it"])
def test_a_photo_that_is_deleted_while_it_is_written_is_gone(catalog: Catalog, before: bool) -> None:
    create(catalog, "S1", 1)
    with paused(catalog, "upsert", lambda on: create(on, "S2", 2), before=before):
        products.purge(catalog, "S2", actor="anna")  # its removal is done before the write
    settle(catalog)
    assert first(catalog, 2) == "S1"
    assert catalog.gallery.count(catalog.generations.ready().collection) == 1


@pytest.mark.parametrize("before", [True, False], ids=["before the write", "after it"])
def test_a_product_that_is_renamed_while_it_is_written_has_its_new_sku(catalog: Catalog, before: bool) -> None:
    with paused(catalog, "upsert", lambda on: create(on, "S1", 1), before=before):
        products.rename(catalog, "S1", "NEW", actor="anna")
    settle(catalog)
    live = catalog.generations.ready()
    assert [hit.sku for hit in catalog.gallery.search(live.collection, live.embedder.embed_bytes(jpeg(1)), 5)] == [
        "NEW"
    ]


@pytest.mark.parametrize("before", [True, False], ids=["before the write", "after it"])
def test_a_photo_that_is_written_while_the_gallery_is_rebuilt_is_found(catalog: Catalog, before: bool) -> None:
    create(catalog, "S1", 1)
    with paused(catalog, "upsert", lambda on: create(on, "S2", 2), before=before):
        maintenance.rebuild(catalog, actor="anna")
    settle(catalog)
    assert all_found(catalog, 1, 2)


@pytest.mark.parametrize("before", [True, False], ids=["before the deletion", "after it"])
def test_a_product_that_comes_back_while_it_is_removed_is_found(catalog: Catalog, before: bool) -> None:
    create(catalog, "S1", 1, 2)
    retire = lambda on: products.set_active(on, "S1", False, actor="anna")  # noqa: E731
    with paused(catalog, "delete", retire, before=before):
        products.set_active(catalog, "S1", True, actor="anna")
    settle(catalog)
    assert first(catalog, 1) == "S1"
    assert catalog.gallery.count(catalog.generations.ready().collection) == 2


def test_a_product_that_comes_back_and_goes_again_while_it_is_removed_is_gone(catalog: Catalog) -> None:
    create(catalog, "S1", 1)
    retire = lambda on: products.set_active(on, "S1", False, actor="anna")  # noqa: E731
    with paused(catalog, "delete", retire, before=False):
        products.set_active(catalog, "S1", True, actor="anna")
        catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
        products.set_active(catalog, "S1", False, actor="anna")
        catalog.gallery.on = True  # type: ignore[attr-defined]
    settle(catalog)
    assert catalog.gallery.count(catalog.generations.ready().collection) == 0


def test_two_that_write_one_photo_leave_it_done(catalog: Catalog) -> None:
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    create(catalog, "S1", 1)
    catalog.gallery.on = True  # type: ignore[attr-defined]
    with paused(catalog, "upsert", run_pending, before=True):
        assert run_pending(catalog) == 1
    assert products.counts(catalog.database).pending == 0
    assert first(catalog, 1) == "S1"


def test_others_write_while_the_gallery_is_written(catalog: Catalog) -> None:
    create(catalog, "S1", 1)
    for method, call in (
        ("upsert", lambda on: create(on, "S2", 2)),
        ("delete", lambda on: products.set_active(on, "S2", False, actor="anna")),
        ("drop", lambda on: maintenance.rebuild(on, actor="anna")),
        ("generations", lambda on: on.generations.ready()),
    ):
        with paused(catalog, method, call, before=True):
            began = time.monotonic()
            products.set_labels(catalog.database, "S1", [method], actor="anna")
            assert time.monotonic() - began < 10, method
    settle(catalog)

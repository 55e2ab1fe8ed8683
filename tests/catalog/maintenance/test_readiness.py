"""Readiness is told within two seconds or so, whichever part is silent."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import pytest

from catalog.catalog import Catalog
from catalog.config import ServerOptions
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryUnavailableError
from catalog.gallery import open_gallery
from catalog.generations import Generations
from catalog.maintenance import Readiness
from catalog.storage import Database
from tests.support.catalogs import open_shared, with_gallery
from tests.support.qdrants import http_qdrant, silence
from tests.support.steps import create


def refusals(check: Callable[[], object], times: int) -> tuple[set[type], float]:
    """What so many at once are told, and the longest that one of them took, in seconds."""

    def ask(_: int) -> tuple[type, float]:
        began = time.monotonic()
        with pytest.raises(CatalogError) as caught:
            check()
        return caught.type, time.monotonic() - began

    with ThreadPoolExecutor(times) as pool:
        told = list(pool.map(ask, range(times)))
    return {kind for kind, _ in told}, max(seconds for _, seconds in told)


def test_all_parts_answer(catalog: Catalog) -> None:
    create(catalog, "S1", 1)
    found = Readiness(catalog).check()
    assert found.bundle == catalog.generations.live().embedder.bundle.id
    assert (found.counts.products, found.counts.photos, found.counts.pending, found.points) == (1, 1, 0, 1)
    assert not found.refilling


def test_a_part_that_says_that_it_is_away(catalog: Catalog) -> None:
    readiness = Readiness(catalog)
    catalog.gallery.on = False  # type: ignore[attr-defined]  # see conftest
    with pytest.raises(GalleryUnavailableError, match="switched off"):
        readiness.check()
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert readiness.check().points == 0


def test_a_silent_gallery_holds_nobody_up(catalog: Catalog) -> None:
    with silence() as url:
        gallery = open_gallery(url, options=ServerOptions(timeout=5))
        readiness = Readiness(with_gallery(catalog, gallery))
        for _ in range(3):
            kinds, seconds = refusals(readiness.check, 8)
            assert kinds == {GalleryUnavailableError} and seconds < 6
        gallery.close()


def test_a_gallery_that_comes_back_is_ready_again(catalog: Catalog) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(timeout=5))
        readiness = Readiness(with_gallery(catalog, gallery))
        server.delay = 4.0
        assert refusals(readiness.check, 2)[0] == {GalleryUnavailableError}
        server.delay = 0.0
        began = time.monotonic()
        while True:
            try:
                assert readiness.check().points == 0
                break
            except GalleryUnavailableError:
                assert time.monotonic() < began + 20
        gallery.close()


def test_a_silent_database_holds_nobody_up(catalog: Catalog) -> None:
    with silence() as url, ExitStack() as stack:
        database = Database(url.replace("http://", "postgresql://anna@") + "/catalog")
        stack.callback(database.close)
        generations = Generations(catalog.settings, database, catalog.gallery, catalog.photos, open_shared)
        readiness = Readiness(replace(catalog, database=database, generations=generations))
        for _ in range(2):
            kinds, seconds = refusals(readiness.check, 4)
            assert kinds == {DatabaseUnavailableError} and seconds < 6

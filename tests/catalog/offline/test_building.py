"""Archives are built beside serving: once for all who ask, and again only when the catalog has changed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.errors import BundleBuildingError, StorageError
from catalog.offline import OfflineBundles
from catalog.offline.packing import Order, pack
from catalog.offline.shelf import THUMBNAILS
from catalog.offline.stamps import stamp
from tests.support.offline import add, built
from tests.support.pictures import jpeg


class Counting:
    """Builds here, counts, and waits to be let go."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, order: Order) -> tuple[str, str | None]:
        self.orders.append(order)
        assert self.go.wait(60)
        return pack(order)


@pytest.fixture
def counting() -> Counting:
    return Counting()


def test_two_who_ask_at_once_get_one_build(catalog: Catalog, counting: Counting) -> None:
    add(catalog, "S1", jpeg(1))
    bundles = OfflineBundles(catalog, counting)
    counting.go.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(bundles.get, wait=60) for _ in range(4)]
        counting.go.set()
        found = {one.result() for one in asked}
    assert len(found) == len(counting.orders) == 1
    assert bundles.get() in found and len(counting.orders) == 1, "it is kept"
    assert OfflineBundles(catalog, counting).get() in found and len(counting.orders) == 1, (
        "and found by another process"
    )


def test_who_can_not_wait_is_told_to_come_again(catalog: Catalog, counting: Counting) -> None:
    add(catalog, "S1", jpeg(1))
    bundles = OfflineBundles(catalog, counting)
    assert bundles.version() is None
    counting.go.clear()
    with pytest.raises(BundleBuildingError):
        bundles.get(wait=0.01)
    counting.go.set()
    found = bundles.get(wait=60)
    assert len(counting.orders) == 1
    assert bundles.version() == found.version


def test_what_changes_the_catalog_changes_its_stamp(catalog: Catalog) -> None:
    def now() -> str:
        return stamp(catalog, catalog.generations.ready())

    seen = [now()]
    for act in (
        lambda: add(catalog, "S1", jpeg(1)),
        lambda: products.set_labels(catalog.database, "S1", ["bakery"], actor="anna"),
        lambda: products.rename(catalog, "S1", "S2", actor="anna"),
        lambda: products.set_active(catalog, "S2", False, actor="anna"),
        lambda: products.delete_product(catalog, "S2", actor="anna"),
    ):
        act()
        assert now() == now()
        seen.append(now())
    assert len(set(seen)) == len(seen)


@pytest.mark.slow
def test_a_change_without_effect_is_the_same_version(catalog: Catalog, counting: Counting) -> None:
    add(catalog, "S1", jpeg(1))
    bundles = OfflineBundles(catalog, counting)
    first = bundles.get(wait=60)
    products.set_labels(catalog.database, "S1", ["bakery"], actor="anna")
    second = bundles.get(wait=60)
    products.set_labels(catalog.database, "S1", [], actor="anna")
    third = bundles.get(wait=60)
    assert first.version == third.version != second.version


@pytest.mark.slow
def test_thumbnails_are_a_version_of_their_own(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    plain, pictured = built(catalog), built(catalog, thumbnails=True)
    assert pictured.version == plain.version + THUMBNAILS
    add(catalog, "S2", jpeg(2))
    assert built(catalog, since=plain.version, thumbnails=True).since is None
    assert built(catalog, since=pictured.version, thumbnails=True).since == pictured.version
    assert built(catalog, since="0123456789abcdef").since is None
    assert built(catalog, since="../../etc/passwd").since is None


def test_a_build_that_fails_says_why_and_is_tried_again(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    tries = []

    def failing(order: Order) -> tuple[str, str | None]:
        tries.append(order)
        raise StorageError("The disk is full.")

    bundles = OfflineBundles(catalog, failing)
    for _ in range(2):
        with pytest.raises(StorageError, match="The disk is full"):
            bundles.get(wait=60)
    assert len(tries) == 2


@pytest.mark.slow
def test_it_is_built_by_a_process_of_its_own(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    apart = OfflineBundles(catalog).get(wait=300)
    assert apart.path.exists()
    assert built(catalog) == apart


def test_what_a_killed_build_left_is_removed(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    root = catalog.settings.data / "offline"
    left = [root / name for name in (".pointsa1b2", ".sharda1b2", "content/.newa1b2")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "000000.npz").write_bytes(b"half")
    (root / "archives").mkdir()
    (root / "archives" / ".whole.zip.1.partial").write_bytes(b"half")
    assert built(catalog).path.exists()
    assert not any(folder.exists() for folder in left)
    assert not list((root / "archives").glob(".*"))


def test_a_lost_photo_is_left_out(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    (photo,) = products.get(catalog.database, "S1").photos
    for path in (catalog.settings.data / "photos").rglob(f"{photo.sha256}*"):
        path.unlink()
    found = built(catalog)
    assert found.path.exists()
    index = OfflineBundles(catalog).shelf.index(found.version)
    assert index is not None and photo.sha256 not in index.looks and len(index.products) == 2

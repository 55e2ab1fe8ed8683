"""Maps of a real catalog: made, kept, and shown."""

from __future__ import annotations

import json
import struct
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, delete, event, func, select, update

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog import gallery_map, products
from catalog.catalog import Catalog
from catalog.errors import ConfigError, ConflictError, GalleryRefillingError, GalleryUnavailableError
from catalog.gallery_map import computing, layout, map_rows, mapping, showing
from catalog.gallery_map.look_alikes import APART
from catalog.storage import Database
from catalog.storage.tables import LOST, Enrollment, GalleryMap, Generation, MapPair, MapPoint, Photo, Product, now
from embedder.bundle import Bundle
from tests.support.maps import families, fill
from tests.support.margins import APPLE, PEAR, put, put_look_alikes

#: In a process of its own, as a server does it.
APART_PROCESS = computing.compute_apart


@pytest.fixture(autouse=True)
def computed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which starts no other for each test; of that one: test_computing.py, and one test here."""
    monkeypatch.setattr(computing, "compute_apart", computing.compute)


def go_live(catalog: Catalog, generation_id: int) -> None:
    with catalog.database.write() as session:
        session.execute(update(Generation).values(live=False))
        session.execute(update(Generation).where(Generation.id == generation_id).values(live=True))


def points(catalog: Catalog) -> dict[uuid.UUID, MapPoint]:
    """All points there are, of whatever map."""
    with catalog.database.read() as session:
        return {row.photo_id: row for row in session.scalars(select(MapPoint))}


def count(catalog: Catalog, table: type) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def unpack(data: bytes) -> dict[str, Any]:
    """What `pack` packed."""
    (size,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + size])
    at = 4 + size + -size % 4
    for name, kind, shape in (
        ("xy", "<f4", (head["photos"], 2)),
        ("product", "<u4", (head["photos"],)),
        ("pair", "<u4", (head["pairs"], 2)),
        ("apart", "u1", (head["photos"],)),
        ("sha256", "u1", (head["photos"], 32)),
    ):
        read = np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape)
        head[name] = read
        at += read.nbytes + -read.nbytes % 4
    assert at == len(data)
    return head


def test_all_photos_come_on_the_map_with_what_looks_alike(catalog: Catalog) -> None:
    photos = fill(catalog) | put_look_alikes(catalog)
    told: list[tuple[int, int]] = []
    made = gallery_map.map_gallery(catalog, lambda done, total: told.append((done, total)))
    assert (made.made, made.photos, made.apart) == (True, 40, 1)
    assert told[-1] == (1000, 1000)
    state = gallery_map.state_of(catalog.database)
    assert (state.photos, state.missing, state.pairs, state.apart) == (40, 0, made.pairs, 1)
    assert set(points(catalog)) == {photo for ids in photos.values() for photo in ids}
    pair = gallery_map.list_pairs(catalog.database)[0]  # the least told apart
    assert (pair.one.sku, pair.other.sku) == (PEAR, APPLE)
    assert (round(pair.cosine, 2), round(pair.lead, 2)) == (0.85, -0.35)
    (apart,) = gallery_map.list_apart(catalog.database)
    assert apart.rival is not None
    assert (apart.photo.sku, apart.apart, apart.rival.sku) == (PEAR, "beside", APPLE)
    assert apart.own is not None and apart.cosine is not None
    assert (round(apart.own, 2), round(apart.cosine, 2)) == (0.5, 0.85)


def test_what_is_packed_is_what_is_stored(catalog: Catalog) -> None:
    fill(catalog, 3, 12)
    put_look_alikes(catalog)
    gallery_map.map_gallery(catalog)
    with catalog.database.write() as session:
        session.execute(update(Product).where(Product.sku == APPLE).values(category="Obst & Gemüse"))
    shown = unpack(gallery_map.pack(catalog.database))
    stored = points(catalog)
    with catalog.database.read() as session:
        facts = {bytes.fromhex(photo.sha256): photo for photo in session.scalars(select(Photo))}
        skus = dict(session.execute(select(Product.id, Product.sku)).all())
    assert shown["photos"] == len(stored) == 40
    for place in range(40):
        photo = facts[shown["sha256"][place].tobytes()]
        row = stored[photo.id]
        sku, name, category = shown["products"][shown["product"][place]]
        assert (sku, name) == (skus[photo.product_id], f"Name of {sku}")
        of_others = "" if sku == PEAR else f"Category {sku[-1]}"
        assert shown["categories"][category] == ("Obst & Gemüse" if sku == APPLE else of_others)
        np.testing.assert_allclose(shown["xy"][place], [row.x, row.y], rtol=1e-6)
        assert APART[shown["apart"][place]] == row.apart
    joined = {frozenset(shown["products"][shown["product"][place]][0] for place in pair) for pair in shown["pair"]}
    assert frozenset((APPLE, PEAR)) in joined


def test_the_same_gallery_gives_the_same_map(catalog: Catalog) -> None:
    fill(catalog)
    gallery_map.map_gallery(catalog)
    before = {photo: (row.x, row.y) for photo, row in points(catalog).items()}
    gallery_map.map_gallery(catalog, anew=True)
    assert {photo: (row.x, row.y) for photo, row in points(catalog).items()} == before
    assert count(catalog, GalleryMap) == 1, "the one before is gone"


def test_new_photos_come_beside_those_that_stay_until_they_are_many(catalog: Catalog) -> None:
    fill(catalog)
    gallery_map.map_gallery(catalog)
    before = {photo: (row.x, row.y) for photo, row in points(catalog).items()}
    fill(catalog, 1, seed=1)  # 3 of 39 photos
    assert gallery_map.state_of(catalog.database).missing == 3
    assert gallery_map.map_gallery(catalog).photos == 39
    after = points(catalog)
    assert {photo: (after[photo].x, after[photo].y) for photo in before} == before
    assert {row.placed for photo, row in after.items() if photo not in before} == {True}
    fill(catalog, 1, seed=2)  # with those before 6 of 42
    gallery_map.map_gallery(catalog)
    anew = points(catalog)
    assert not any(row.placed for row in anew.values())
    assert all((anew[photo].x, anew[photo].y) != place for photo, place in before.items())


def test_small_updates_lead_to_a_new_layout_once_they_are_many(catalog: Catalog) -> None:
    fill(catalog)
    gallery_map.map_gallery(catalog)
    for seed, placed in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 0)):  # the fifth of 41 photos is more than a tenth
        fill(catalog, 1, 1, seed=seed)
        gallery_map.map_gallery(catalog)
        assert sum(row.placed for row in points(catalog).values()) == placed


def test_more_photos_than_a_map_is_made_of_are_refused_before_they_are_read(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(catalog, 2)
    monkeypatch.setattr(mapping, "MOST", 5)
    monkeypatch.setattr(map_rows, "read", None)
    with pytest.raises(mapping.MapTooLargeError, match="up to 5 photos; there are 6"):
        gallery_map.map_gallery(catalog)


def test_a_map_of_what_is_there_is_not_made_again_unless_asked_for(catalog: Catalog) -> None:
    photos = fill(catalog)
    assert gallery_map.map_gallery(catalog).made
    assert not gallery_map.map_gallery(catalog).made
    assert gallery_map.map_gallery(catalog, anew=True).made
    products.delete_photos(catalog, "S0-03", [photos["S0-03"][0]], actor="anna")
    assert gallery_map.map_gallery(catalog).made


def test_what_is_gone_or_retired_leaves_the_map_at_once(catalog: Catalog) -> None:
    photos = fill(catalog) | put_look_alikes(catalog)
    gallery_map.map_gallery(catalog)
    version = gallery_map.version_of(catalog.database)
    products.set_active(catalog, APPLE, False, actor="anna")
    products.delete_photos(catalog, "S0-03", [photos["S0-03"][0]], actor="anna")
    assert gallery_map.version_of(catalog.database) != version
    state = gallery_map.state_of(catalog.database)
    shown = unpack(gallery_map.pack(catalog.database))
    assert (state.photos, shown["photos"], state.missing) == (37, 37, 0)
    assert APPLE not in [sku for sku, _, _ in shown["products"]]
    assert all(APPLE not in (pair.one.sku, pair.other.sku) for pair in gallery_map.list_pairs(catalog.database))
    assert [apart.rival for apart in gallery_map.list_apart(catalog.database) if apart.photo.sku == PEAR] == [None]


def test_a_photo_that_is_moved_makes_another_version(catalog: Catalog) -> None:
    photos = fill(catalog)
    gallery_map.map_gallery(catalog)
    before, data = gallery_map.packed(catalog.database)
    state = gallery_map.state_of(catalog.database)
    assert (before, data) == gallery_map.packed(catalog.database)
    products.move_photos(catalog, "S0-03", [photos["S0-03"][0]], "S0-04", actor="anna")
    after, changed = gallery_map.packed(catalog.database)
    assert after != before and changed != data
    assert gallery_map.state_of(catalog.database).photos == state.photos - 1


def test_who_asks_at_the_same_time_waits_for_one(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog, 2)
    gallery_map.map_gallery(catalog)
    packed = []

    def pack(database: Database) -> bytes:
        packed.append(database)
        time.sleep(0.2)
        return b"points"

    monkeypatch.setattr(showing, "pack", pack)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gallery_map.packed(catalog.database), range(8)))
    assert len(packed) == len(set(answers)) == 1


@pytest.mark.parametrize("sizes", [[], [1], [2], [1, 1], [1, 1, 1]])
def test_a_small_gallery_has_a_map(catalog: Catalog, sizes: list[int]) -> None:
    catalog.generations.ready()
    for number, size in enumerate(sizes):
        put(catalog, f"FEW-{number}", list(families(1, size, seed=number)[0]))
    assert gallery_map.map_gallery(catalog).photos == sum(sizes)
    assert unpack(gallery_map.pack(catalog.database))["photos"] == sum(sizes)
    assert all(np.isfinite([row.x, row.y]).all() for row in points(catalog).values())


def test_without_a_map_there_is_nothing_to_show(catalog: Catalog) -> None:
    assert gallery_map.state_of(catalog.database) == gallery_map.MapState()
    assert unpack(gallery_map.pack(catalog.database))["photos"] == 0
    fill(catalog, 1)
    assert gallery_map.state_of(catalog.database) == gallery_map.MapState(missing=3)
    assert gallery_map.list_pairs(catalog.database) == gallery_map.list_apart(catalog.database) == []


class StopError(Exception):
    """What a test's progress raises."""


@pytest.mark.parametrize("at", [0, 1])
def test_a_stopped_run_leaves_the_map_that_is_shown(catalog: Catalog, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog)
    gallery_map.map_gallery(catalog)
    monkeypatch.setattr(computing, "compute_apart", APART_PROCESS)
    before = gallery_map.state_of(catalog.database).identity

    def stop(done: int, total: int) -> None:
        if done >= at:
            raise StopError

    with pytest.raises(StopError):
        gallery_map.map_gallery(catalog, stop, anew=True)
    assert gallery_map.state_of(catalog.database).identity == before
    assert (count(catalog, GalleryMap), len(points(catalog))) == (1, 36)


def test_another_model_that_becomes_live_meanwhile_has_no_map_of_the_old_one(
    catalog: Catalog, other_bundle: Bundle
) -> None:
    fill(catalog)
    other = catalog.generations.add(other_bundle)

    with pytest.raises(ConflictError, match="Another model"):
        gallery_map.map_gallery(catalog, lambda done, total: go_live(catalog, other.id))
    assert (count(catalog, GalleryMap), len(points(catalog)), count(catalog, MapPair)) == (0, 0, 0)


def test_a_map_is_of_one_generation(catalog: Catalog, other_bundle: Bundle) -> None:
    fill(catalog)
    gallery_map.map_gallery(catalog)
    first, other = catalog.generations.live().generation_id, catalog.generations.add(other_bundle)
    go_live(catalog, other.id)
    assert gallery_map.state_of(catalog.database).identity is None
    go_live(catalog, first)
    assert gallery_map.state_of(catalog.database).photos == 36, "one can go back to it"
    go_live(catalog, other.id)
    with catalog.database.write() as session:
        session.execute(delete(Generation).where(Generation.id == first))
    assert len(points(catalog)) == 0


def test_a_killed_run_s_rows_are_not_shown_and_removed_later(catalog: Catalog) -> None:
    fill(catalog, 2)
    live = catalog.generations.ready().generation_id
    with catalog.database.write() as session:
        for age in (1, 30):
            session.add(GalleryMap(generation_id=live, seconds=1, made_at=now() - timedelta(hours=age)))
    assert gallery_map.state_of(catalog.database).identity is None
    gallery_map.map_gallery(catalog)
    with catalog.database.read() as session:
        kept = session.scalars(select(GalleryMap).order_by(GalleryMap.id)).all()
    assert [row.complete for row in kept] == [False, True], "one of an hour ago may still be at work"


def test_a_gallery_that_does_not_answer_or_is_not_whole_has_no_map(catalog: Catalog) -> None:
    photos = fill(catalog, 2)
    catalog.gallery.on = False  # type: ignore[attr-defined]
    with pytest.raises(GalleryUnavailableError):
        gallery_map.map_gallery(catalog)
    catalog.gallery.on = True  # type: ignore[attr-defined]
    with catalog.database.write() as session:
        lost = update(Enrollment).where(Enrollment.photo_id == photos["S0-00"][0])
        session.execute(lost.values(done=False, attempts=LOST))
    with pytest.raises(GalleryRefillingError):
        gallery_map.map_gallery(catalog)


def test_without_the_extra_no_map_is_made(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"photo-catalog\[map\]"):
        gallery_map.map_gallery(catalog)


def test_many_photos_are_written_in_pages(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog)
    monkeypatch.setattr(map_rows, "PAGE", 7)
    monkeypatch.setattr(mapping, "CHUNK", 5)
    assert gallery_map.map_gallery(catalog).photos == len(points(catalog)) == 36
    left: list[int] = []

    def note(connection: Connection, cursor: object, statement: str, *more: object) -> None:
        if statement.startswith("DELETE FROM map_point"):
            left.append(connection.execute(select(func.count()).where(MapPoint.map_id == first)).scalar_one())

    first = gallery_map.state_of(catalog.database).identity
    event.listen(catalog.database.engine, "after_cursor_execute", note)
    gallery_map.map_gallery(catalog, anew=True)
    event.remove(catalog.database.engine, "after_cursor_execute", note)
    assert left == [29, 22, 15, 8, 1, 0, 0]
    assert count(catalog, GalleryMap) == 1


def test_lists_come_in_pages(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    for number in range(3):
        for name in ("A", "B"):
            put(catalog, f"{name}-{number}", [families(1, 1, seed=number)[0][0]])
    gallery_map.map_gallery(catalog)
    whole = gallery_map.list_pairs(catalog.database, limit=100)
    assert len(whole) == 4
    assert [pair.lead for pair in whole] == sorted(pair.lead for pair in whole)
    assert gallery_map.list_pairs(catalog.database, start=1, limit=2) == whole[1:3]

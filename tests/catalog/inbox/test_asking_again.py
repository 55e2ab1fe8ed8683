"""Photos of the inbox are asked again when the catalog has changed near them, and leave if they are recognized."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, update

from catalog import inbox
from catalog.catalog import Catalog
from catalog.enrollment import Worker, run_pending
from catalog.errors import GalleryUnavailableError
from catalog.inbox import asking_again
from catalog.recognition import recognize
from catalog.storage.tables import InboxPhoto, now
from tests.support.inboxes import asked, ids, photos, strangers
from tests.support.pictures import encode, picture
from tests.support.steps import create


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_photo_that_is_added_elsewhere_has_those_near_it_asked_again(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    seed, other = strangers(catalog, 2)
    asked(catalog, seed)
    stays = asked(catalog, other)
    assert inbox.ask_again(catalog) == 0
    create(catalog, "COFFEE", seed)
    assert inbox.ask_again(catalog) >= 1
    assert ids(catalog) == [[stays.id]]
    assert inbox.ask_again(catalog) == 0, "once for each change"


def test_a_photo_that_is_still_being_enrolled_is_waited_for(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    catalog.gallery.on = False  # type: ignore[attr-defined]
    assert not create(catalog, "COFFEE", seed).searchable
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert inbox.ask_again(catalog) == 0
    while run_pending(catalog):
        pass
    assert inbox.ask_again(catalog) == 1
    assert ids(catalog) == []


def test_of_many_new_photos_a_page_at_a_time(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    for number in (2, 3, 4):
        create(catalog, f"OTHER-{number}", number)
    create(catalog, "COFFEE", seed)
    monkeypatch.setattr("catalog.inbox.asking_again.PAGE", 1)
    for _ in range(4):
        inbox.ask_again(catalog)
    assert ids(catalog) == []


def test_a_look_for_new_photos_reads_no_others(catalog: Catalog) -> None:
    """It is taken every second: by the index of active products it took 28 ms at 47,553 photos."""
    if not catalog.database.is_sqlite:
        pytest.skip("PostgreSQL plans by statistics")
    create(catalog, "TEA", 1)
    said: list[tuple[str, Any]] = []
    event.listen(catalog.database.engine, "before_cursor_execute", lambda *args: said.append((args[2], args[3])))
    with catalog.database.read() as session:
        assert not asking_again._added(session, 1, now())
        steps = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {said[-1][0]}", said[-1][1]).all()
    assert "photo USING INDEX ix_photo_created_at (created_at>?)" in steps[0].detail, steps


def test_what_is_not_recognized_even_so_stays(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    asked(catalog, one)
    stays = asked(catalog, other)
    with catalog.database.write() as session:
        session.execute(update(InboxPhoto).where(InboxPhoto.id == stays.id).values(ask_again=True, candidates=[]))
    assert inbox.ask_again(catalog) == 1
    (group,) = [group for group in inbox.groups(catalog.database).groups if group.items[0].id == stays.id]
    assert [one.sku for one in group.candidates] == ["TEA"]
    assert inbox.ask_again(catalog) == 0


def test_with_another_model_all_are_asked_again_and_those_not_ours_are_still_told(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other, third = strangers(catalog, 3)
    for seed in (one, other, third):
        asked(catalog, seed)
    inbox.not_ours(catalog.database, inbox.groups(catalog.database).groups[2].id, actor="anna")
    create(catalog, "COFFEE", other)
    while inbox.ask_again(catalog):
        pass
    live = catalog.generations.ready().embedder.bundle
    with catalog.database.write() as session:  # as they were by the model before
        session.execute(update(InboxPhoto).values(bundle_id="of before", vector=bytes(4 * live.dim)))
    assert inbox.ask_again(catalog) == 2
    assert {row.bundle_id for row in photos(catalog)} == {live.id}
    assert inbox.groups(catalog.database).total == 1
    asked(catalog, one, quality=60)
    asked(catalog, third, quality=60)
    assert [len(group.items) for group in inbox.groups(catalog.database).groups] == [2]


def test_the_worker_writes_and_asks_again(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = recognize(catalog, encode(picture(seed), quality=90), asked_by="key till", keep=True)
    waited: list[int] = []

    def also(open_catalog: Catalog) -> int:
        waited.append(inbox.ask_again(open_catalog))
        return waited[-1]

    worker = Worker(catalog, every=0.05, also=also)
    worker.start()
    try:
        wait_for(lambda: ids(catalog) == [[answer.id]])
        create(catalog, "COFFEE", seed)
        wait_for(lambda: ids(catalog) == [])
    finally:
        worker.stop()


def test_while_the_gallery_is_away_it_stays_due(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    with catalog.database.write() as session:
        session.execute(update(InboxPhoto).values(ask_again=True))
    catalog.gallery.on = False  # type: ignore[attr-defined]
    with pytest.raises(GalleryUnavailableError):
        inbox.ask_again(catalog)
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert photos(catalog)[0].ask_again
    assert inbox.ask_again(catalog) == 1

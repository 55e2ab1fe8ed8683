"""Two processes of eight threads each change the same products. More of it: `make torture`."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, photo_rows
from catalog.products import Facts, Intake
from catalog.storage.product_rows import lock_product
from catalog.storage.tables import Removal
from tests.torture import acting
from tests.torture.contention import contend
from tests.torture.model import photo

pytestmark = pytest.mark.slow


def test_nothing_is_overwritten_unseen(env: dict[str, str]) -> None:
    tally = contend(env, seed=1, rounds=6)
    print(dict(tally))
    assert tally["count: done"] > 0


def test_who_waits_for_the_outbox_holds_nothing_that_it_wants(postgres_url: str, tmp_path: Path) -> None:
    """Rows are held in one order, so that a restore and an outbox at work never wait for each other (a deadlock)."""
    catalog = acting.open_catalog({"CATALOG_DATA": str(tmp_path / "data"), "CATALOG_DATABASE": postgres_url})
    products.create(catalog, Facts("S1"), [NewPhoto(f"{n}", photo(n)) for n in range(3)], Intake("anna"))
    generation = catalog.generations.ready().generation_id
    first, *others = sorted(each.id for each in products.get(catalog.database, "S1").photos)
    with catalog.database.write() as session:  # in the table's own order the first one is the last
        session.add_all(Removal(generation_id=generation, point_id=each) for each in others)
        session.flush()
        session.add(Removal(generation_id=generation, point_id=first))

    def restore() -> None:
        with catalog.database.write() as session:
            photo_rows.enqueue_enrollments(session, lock_product(session, "S1"), [*others, first])

    waiting = threading.Thread(target=restore)
    with catalog.database.write() as session:
        session.scalars(select(Removal).where(Removal.point_id == first).with_for_update()).all()
        waiting.start()
        _until_somebody_waits(catalog)
        free = select(Removal.point_id).with_for_update(skip_locked=True)
        assert set(session.scalars(free)) == {first, *others}
    waiting.join()
    catalog.close()


def _until_somebody_waits(catalog: Catalog) -> None:
    began = time.monotonic()
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while True:
        with catalog.database.read() as session:
            if session.scalar(query):
                return
        assert time.monotonic() < began + 30
        time.sleep(0.02)

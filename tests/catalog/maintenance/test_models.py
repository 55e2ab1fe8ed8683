"""The models as the staff sees them, and the way back to the one before, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.errors import ConflictError
from catalog.maintenance import RollingBack
from catalog.storage.tables import AuditEntry, Enrollment, Photo
from embedder.bundle import Bundle
from tests.support.steps import create, first


def finished(rolling_back: RollingBack) -> str:
    """Why it failed, once it has ended."""
    deadline = time.monotonic() + 60
    while rolling_back.is_running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return rolling_back.failure


def test_models_are_listed_with_what_they_can_and_hold(catalog: Catalog, other_bundle: Bundle) -> None:
    assert maintenance.list_models(catalog).models == []
    create(catalog, "A", 1, 2)
    before = catalog.generations.live().embedder.bundle
    maintenance.reembed(catalog, other_bundle)
    create(catalog, "B", 3)
    found = maintenance.list_models(catalog)
    assert [(model.bundle_id, model.live, model.previous, model.embedded) for model in found.models] == [
        (other_bundle.id, True, False, 3),
        (before.id, False, True, 2),
    ]
    assert (found.photos, found.live, found.previous) == (3, *found.models)
    rates = found.models[1].rates
    assert rates is not None and rates.right + rates.wrong + rates.unsure == pytest.approx(1)
    assert rates.right == before.training["second_look"]["rates"]["known"]["right"]
    assert found.models[0].bundle is not None and found.models[0].bundle.id == other_bundle.id


def test_a_re_embedding_that_runs_elsewhere_is_seen(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1, 2)
    generation = catalog.generations.add(other_bundle)
    with catalog.database.write() as session:
        (one, other) = session.scalars(select(Photo.id).order_by(Photo.id))
        session.add(Enrollment(generation_id=generation.id, photo_id=one, done=True))
        session.add(Enrollment(generation_id=generation.id, photo_id=other))
    building = maintenance.list_models(catalog).models[0]
    assert (building.live, building.previous, building.embedded) == (False, False, 1)


@pytest.mark.slow
def test_a_rollback_switches_back_and_is_in_the_audit_log(
    catalog: Catalog, open_catalog: Callable[[], Catalog], other_bundle: Bundle
) -> None:
    create(catalog, "A", 1)
    before = catalog.generations.live().embedder.bundle.id
    rolling_back = RollingBack()
    for live in (before, other_bundle.id):
        with pytest.raises(ConflictError):  # there is none before it; another is live
            rolling_back.start(catalog, live, actor="anna")
    maintenance.reembed(catalog, other_bundle)
    create(catalog, "B", 2)
    catalog.generations.release_old()
    rolling_back.start(catalog, other_bundle.id, actor="anna")
    with pytest.raises(ConflictError, match="already"):
        rolling_back.start(catalog, other_bundle.id, actor="ben")
    assert first(catalog, 2) == "B", "tills are answered meanwhile"
    assert finished(rolling_back) == ""
    found = maintenance.list_models(catalog)
    assert found.live is not None and (found.live.bundle_id, found.live.embedded) == (before, 2)
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry and (entry.actor, entry.action, entry.subject) == ("anna", "model.rollback", before)
    with pytest.raises(ConflictError):  # a second click
        rolling_back.start(catalog, other_bundle.id, actor="anna")
    assert [first(catalog, seed) for seed in (1, 2)] == ["A", "B"]


@pytest.mark.slow
def test_why_a_rollback_failed_is_said(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    maintenance.reembed(catalog, other_bundle)
    with catalog.database.write() as session:
        session.execute(update(Photo).values(sha256="0" * 64))
        session.execute(update(Enrollment).values(done=False))
    catalog.generations.release_old()
    rolling_back = RollingBack()
    rolling_back.start(catalog, other_bundle.id, actor="anna")
    assert "can't be embedded" in finished(rolling_back)
    live = maintenance.list_models(catalog).live
    assert live is not None and live.bundle_id == other_bundle.id

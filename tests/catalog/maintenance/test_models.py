"""The models as the staff sees them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.errors import ConflictError
from catalog.storage.tables import Enrollment, Photo
from embedder.bundle import Bundle
from tests.support.steps import create


def test_models_are_listed_with_what_they_can_and_hold(catalog: Catalog, other_bundle: Bundle) -> None:
    assert maintenance.list_models(catalog).models == []
    create(catalog, "A", 1, 2)
    before = catalog.generations.live().embedder.bundle
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
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


def test_the_way_back_is_from_the_model_that_the_person_saw(catalog: Catalog, other_bundle: Bundle) -> None:
    create(catalog, "A", 1)
    before = catalog.generations.live().embedder.bundle.id
    for live in (before, other_bundle.id):  # there is none before it; another is live
        with pytest.raises(ConflictError):
            maintenance.check_way_back(catalog.database, live)
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    maintenance.check_way_back(catalog.database, other_bundle.id)
    with pytest.raises(ConflictError):
        maintenance.check_way_back(catalog.database, before)

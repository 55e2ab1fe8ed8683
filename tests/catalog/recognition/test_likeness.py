"""Products that look like a photo, to search the catalog by it."""

from __future__ import annotations

import pytest

from catalog import maintenance
from catalog.catalog import Catalog
from catalog.recognition import find_alike
from embedder.bundle import Bundle
from tests.support.pictures import jpeg
from tests.support.steps import create_each


def test_a_switch_between_its_two_looks_mixes_no_models(
    catalog: Catalog, other_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_each(catalog, *range(8))
    expected, old = find_alike(catalog, jpeg(1)), catalog.generations.ready()
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    models = [old, catalog.generations.ready()]
    assert models[1].generation_id != old.generation_id
    monkeypatch.setattr(catalog.generations, "ready", lambda: models.pop(0) if len(models) > 1 else models[0])
    found = find_alike(catalog, jpeg(1))
    assert len(found) == 8 and [(m.sku, m.score) for m in found] == [(m.sku, m.score) for m in expected]

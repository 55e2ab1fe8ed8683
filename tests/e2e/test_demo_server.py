"""The server that the demo and the benchmarks start: which settings of the caller it takes, and which it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.demo import camera
from catalog.demo.products import products
from catalog.demo.server import add_product, serve_catalog

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("second_look", "decided_by"), [("always", "details"), ("off", "embedding")])
def test_what_is_measured_can_be_chosen_and_nothing_else(
    second_look: str, decided_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_SECOND_LOOK", second_look)
    monkeypatch.setenv("CATALOG_DATABASE", f"sqlite:///{tmp_path / 'not-this-one.db'}")
    product = products()[0]
    (tmp_path / "data").mkdir()
    with serve_catalog(tmp_path / "data") as server, server.till() as till:
        add_product(till, product, 1)
        answer = till.post("/api/v1/recognize", content=camera.encode(camera.query(product, 0, 1))).json()
    assert (answer["matches"][0]["sku"], answer["decided_by"]) == (product.sku, decided_by)
    assert not (tmp_path / "not-this-one.db").exists()

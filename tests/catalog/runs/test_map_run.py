"""The map as a run: asked for, told, stopped, and begun again after a kill."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("openTSNE", reason="openTSNE (extra `map`) is not installed")

from catalog import gallery_map
from catalog.catalog import Catalog
from catalog.gallery_map import computing
from catalog.runs import RunWorker, recording
from tests.support.maps import families
from tests.support.margins import put, put_look_alikes


def test_a_map_is_made_and_not_made_again(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    run = recording.start(catalog.database, "map", actor="anna")
    worker = RunWorker(catalog)
    assert worker.step()
    done = recording.get(catalog.database, run)
    assert (done.state, done.result) == ("done", {"photos": 4, "apart": 1, "pairs": 1})
    assert done.message == "4 photos are on the map, 1 of them apart; 1 pair of products looks alike."
    made = gallery_map.state_of(catalog.database).identity
    again = recording.start(catalog.database, "map", actor="every night")
    assert worker.step()
    assert recording.get(catalog.database, again).message == "No photo came or went since the last map."
    assert gallery_map.state_of(catalog.database).identity == made
    recording.start(catalog.database, "map", actor="anna", options={"anew": True})
    assert worker.step()
    assert gallery_map.state_of(catalog.database).identity != made


def test_a_person_stops_it(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    put(catalog, "A", list(families(1, 12)[0]))
    run = recording.start(catalog.database, "map", actor="anna")
    monkeypatch.setattr(computing, "_child", computes_forever)
    threading.Timer(0.5, recording.stop, (catalog.database, run), {"actor": "ben"}).start()
    assert RunWorker(catalog).step()
    assert recording.get(catalog.database, run).state == "stopped"
    assert gallery_map.state_of(catalog.database).identity is None


def computes_forever(given: object, said: object) -> None:
    threading.Event().wait()

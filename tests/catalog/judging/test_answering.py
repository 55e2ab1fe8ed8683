"""What the two sides are asked: which photos may not be found, and photos of tills."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete, select

from catalog import inbox, judging, maintenance, products
from catalog.catalog import Catalog
from catalog.feedback import Judgement as Said
from catalog.feedback import give
from catalog.recognition import Budget, recognize_by
from catalog.storage.tables import Generation, InboxPhoto, JudgedQuery, Judgement, Photo
from embedder.bundle import Bundle
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.inboxes import asked, strangers
from tests.support.judged import put, put_packs, queries
from tests.support.steps import create


def by_sku(catalog: Catalog) -> dict[str, list[JudgedQuery]]:
    found: dict[str, list[JudgedQuery]] = {}
    for query in queries(catalog):
        found.setdefault(query.sku, []).append(query)
    return found


def test_photos_that_are_left_out_are_not_found(catalog: Catalog) -> None:
    put_packs(catalog, 2)
    live, data = catalog.generations.ready(), front(DRAWN[0])
    everything = recognize_by(catalog, live, data, Budget(9))
    assert everything.matches[0].sku == "PACK-0" and everything.matches[0].score > 0.99
    own = everything.matches[0].photo_id
    without_it = recognize_by(catalog, live, data, Budget(9), without=frozenset([str(own)]))
    assert all(match.photo_id != own for match in without_it.matches)
    assert without_it.matches[0].score < 0.99
    with catalog.database.read() as session:
        ids = frozenset(str(photo.id) for photo in session.query(Photo) if photo.filename.startswith("PACK-0"))
    assert len(ids) == 3
    assert [match.sku for match in recognize_by(catalog, live, data, Budget(9), without=ids).matches] == ["PACK-1"]


def test_a_photo_is_asked_without_its_visit_and_one_of_a_single_visit_without_its_product(
    catalog: Catalog, equal_bundle: Bundle
) -> None:
    put(catalog, "TWO", front(DRAWN[0]), front(DRAWN[0], 1), small_and_turned(DRAWN[0]))
    put(catalog, "ONE", front(DRAWN[3]), front(DRAWN[3], 1))
    put(catalog, "SINGLE", front(DRAWN[5]))
    assert maintenance.reembed(catalog, equal_bundle, switch_anyway=True).changed
    maintenance.rollback(catalog)
    judging.judge_generation(catalog, catalog.generations.load(_generation(catalog, equal_bundle)))
    found = by_sku(catalog)
    assert sorted(len(query.left_out or ()) for query in found["TWO"]) == [1, 2, 2]
    assert all(query.known for query in found["TWO"])
    assert [(query.known, len(query.left_out or ())) for query in found["ONE"]] == [(False, 2)] * 2
    assert [(query.known, len(query.left_out or ())) for query in found["SINGLE"]] == [(False, 1)]
    for query in (*found["ONE"], *found["SINGLE"]):
        assert query.live is not None and query.live["sku"] != query.sku
        assert query.live["right"] == (query.live["decision"] != "match")


def _generation(catalog: Catalog, bundle: Bundle) -> Generation:
    with catalog.database.read() as session:
        return session.scalars(select(Generation).where(Generation.bundle_id == bundle.id)).one()


@pytest.mark.slow
def test_photos_of_tills_are_asked_whose_answer_somebody_gave(catalog: Catalog, equal_bundle: Bundle) -> None:
    create(catalog, "TEA", 1, 2)
    foreign, told, undecided = strangers(catalog, 3)
    none = asked(catalog, foreign)
    inbox.not_ours(catalog.database, inbox.groups(catalog.database).groups[0].id, actor="anna")
    tea = asked(catalog, told)
    give(catalog, tea.id, Said(False, "TEA"), actor="key till")
    asked(catalog, undecided)
    maintenance.reembed(catalog, equal_bundle, switch_anyway=True)
    maintenance.rollback(catalog)
    maintenance.reembed(catalog, equal_bundle)
    tills = {query.photo_id: query for query in queries(catalog) if query.kind == "till"}
    assert {identity: (query.sku, query.known) for identity, query in tills.items()} == {
        none.id: ("", False),
        tea.id: ("TEA", True),
    }
    assert all(query.live and query.sha256 == "" for query in tills.values()), "asked, and no copy kept"
    with catalog.database.write() as session:
        session.execute(delete(InboxPhoto))
    maintenance.rollback(catalog)
    maintenance.reembed(catalog, equal_bundle)
    assert [query for query in queries(catalog) if query.kind == "till"] == []


def test_only_an_open_judgement_against_the_live_model_is_answered(catalog: Catalog, equal_bundle: Bundle) -> None:
    put(catalog, "SINGLE", front(DRAWN[5]))
    live, new = catalog.generations.ready(), catalog.generations.add(equal_bundle)
    photo = products.get(catalog.database, "SINGLE").photos[0]
    with catalog.database.write() as session:
        session.add(Judgement(generation_id=new.id, live_id=new.id, seed=1))
        session.flush()
        session.add(
            JudgedQuery(
                generation_id=new.id,
                number=0,
                kind="catalog",
                photo_id=photo.id,
                sha256=photo.sha256,
                product_id=photo.product_id,
                sku="SINGLE",
            )
        )
    assert judging.answer_as_live(catalog) == 0, "it is another one that is to answer"
    with catalog.database.write() as session:
        session.get_one(Judgement, new.id).live_id = live.generation_id
    on_a_server = replace(catalog, settings=replace(catalog.settings, gallery="http://127.0.0.1:6333"))
    assert judging.answer_as_live(on_a_server) == 0, "who judges asks that server itself"
    assert judging.answer_as_live(catalog) == 1
    (query,) = queries(catalog)
    assert (query.left_out, query.known, query.gone) == ([str(photo.id)], False, False)
    assert query.live is not None and query.new is None
    assert judging.answer_as_live(catalog) == 0

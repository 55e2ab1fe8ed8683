"""A new model answers what the live one answers, before it is switched to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from catalog import judging, maintenance
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.judging import JudgingError
from catalog.judging import judging as judging_module
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry, Judgement
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.drawn import DRAWN, front, small_and_turned
from tests.support.judged import put, put_packs, queries
from tests.support.spawning import spawn

FIRST = load_bundle(RELEASED)


def live_id(catalog: Catalog) -> str:
    return catalog.generations.live().embedder.bundle.id


@pytest.mark.slow
def test_an_equal_model_is_switched_to(catalog: Catalog, equal_bundle: Bundle) -> None:
    put_packs(catalog, 4)
    told: list[tuple[int, int]] = []
    switched = maintenance.reembed(catalog, equal_bundle, lambda done, total: told.append((done, total)))
    assert (switched.changed, switched.judged, switched.held) == (True, True, ())
    assert live_id(catalog) == equal_bundle.id
    assert told[-1] == (24, 24), "two answers to each of twelve photos"
    found = judging.find_judgement(catalog.database, equal_bundle.id)
    assert found is not None
    assert (found.state, found.broken, found.live_bundle) == ("passed", (), FIRST.id)
    report = found.report
    assert report.live == report.new and report.asked == {"catalog": 12}
    assert report.live.known >= 8 and report.live.first >= 0.8 * report.live.known
    assert (report.worse, report.better, report.products) == (0, 0, [])
    assert judging.held_generations(catalog.database) == []
    assert judging.list_worse(catalog.database, found.generation_id).total == 0


@pytest.mark.slow
def test_a_worse_model_is_held_and_a_person_may_switch_anyway(catalog: Catalog, worse_bundle: Bundle) -> None:
    put_packs(catalog, 4)
    result = maintenance.reembed(catalog, worse_bundle, actor="anna")
    assert (result.changed, result.judged, result.total) == (False, True, 12)
    assert any("CATALOG_SWITCH_WORSE" in sentence for sentence in result.held)
    assert live_id(catalog) == FIRST.id
    assert recognize(catalog, front(DRAWN[0])).matches[0].sku == "PACK-0", "tills go on"
    (held,) = judging.held_generations(catalog.database)
    assert (held.bundle_id, held.broken, held.state) == (worse_bundle.id, tuple(result.held), "held")
    assert held.report.new.first < held.report.live.first
    worse = judging.list_worse(catalog.database, held.generation_id, limit=2)
    assert worse.total == held.report.worse > 0 and len(worse.queries) == min(2, worse.total)
    query = worse.queries[0]
    assert query.picture and query.live["right"] and not query.new["right"]
    assert query.sku == query.live["sku"] != query.new["sku"]

    again = maintenance.reembed(catalog, worse_bundle)
    assert again.held and again.photos == 0, "it is judged anew, and not embedded anew"
    anyway = maintenance.reembed(catalog, worse_bundle, switch_anyway=True, actor="anna")
    assert (anyway.changed, anyway.judged, anyway.photos) == (True, False, 0)
    assert live_id(catalog) == worse_bundle.id
    assert judging.held_generations(catalog.database) == []
    maintenance.rollback(catalog)
    assert judging.held_generations(catalog.database) == [], "a person has decided"
    with catalog.database.read() as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("model.")).order_by("id"))
        told = [(entry.actor, entry.action, sorted(entry.after or {})) for entry in entries]
    assert told == [
        ("anna", "model.hold", ["because"]),
        ("cli", "model.hold", ["because"]),
        ("anna", "model.switch", ["in_spite_of", "live"]),
        ("cli", "model.rollback", ["live"]),
    ]


@pytest.mark.slow
def test_kill_9_while_it_is_judged(
    env: dict[str, str], open_catalog: Callable[[], Catalog], equal_bundle: Bundle
) -> None:
    catalog = open_catalog()
    put_packs(catalog, 3)
    catalog.close()
    with spawn("judging_killed", equal_bundle.path, env=env) as child:
        assert child.wait(60) == -9
    catalog = open_catalog()
    assert live_id(catalog) == FIRST.id
    assert judging.find_judgement(catalog.database, equal_bundle.id) is None
    before = {query.number: query.live for query in queries(catalog) if query.live}
    assert 0 < len(before) < 9
    with catalog.database.read() as session:
        began = session.scalars(select(Judgement.at)).one()
    marked = {number: {**answer, "by": "before the kill"} for number, answer in before.items()}
    with catalog.database.write() as session:
        for query in session.scalars(select(judging_module.JudgedQuery)):
            if query.number in marked:
                query.live = marked[query.number]
    assert maintenance.reembed(catalog, equal_bundle).changed
    assert {query.number: query.live for query in queries(catalog) if query.number in marked} == marked
    found = judging.find_judgement(catalog.database, equal_bundle.id)
    assert found is not None and found.at > began and sum(found.report.asked.values()) == 9


@pytest.mark.slow
def test_a_server_answers_for_the_live_model_while_it_has_the_gallery(
    env: dict[str, str], open_catalog: Callable[[], Catalog], equal_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog()
    put_packs(catalog, 2)
    catalog.close()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with spawn("serving_live", env=env) as child:
        assert child.stdout is not None and child.stdout.readline() == "serving\n"
        result = CliRunner().invoke(main, ["reembed", "--quiet", "--bundle", str(equal_bundle.path)])
        child.communicate()
    assert result.exit_code == 0, result.output
    assert "asked both: 6 photos of the catalog (seed 1)" in result.output
    catalog = open_catalog()
    assert live_id(catalog) == equal_bundle.id
    assert all(query.live == query.new for query in queries(catalog))


@pytest.mark.slow
def test_nobody_who_answers_for_the_live_model(
    env: dict[str, str], open_catalog: Callable[[], Catalog], equal_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog()
    put_packs(catalog, 1)
    catalog.close()
    monkeypatch.setattr(judging_module, "PATIENCE", 0.5)
    with spawn("serving_live", "silent", env=env) as child:
        assert child.stdout is not None and child.stdout.readline() == "serving\n"
        catalog = open_catalog()
        with pytest.raises(JudgingError, match="did not answer"):
            maintenance.reembed(catalog, equal_bundle)
        assert live_id(catalog) == FIRST.id
        child.communicate()
    assert maintenance.reembed(catalog, equal_bundle).changed, "it goes on when the gallery is free"


@pytest.mark.slow
def test_the_command_says_both_side_by_side_and_its_status_is_3(
    env: dict[str, str], open_catalog: Callable[[], Catalog], worse_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog()
    put_packs(catalog, 4)
    catalog.close()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    command = ["reembed", "--quiet", "--bundle", str(worse_bundle.path)]
    held = CliRunner().invoke(main, command)
    assert held.exit_code == 3, held.output
    assert "asked both: 12 photos of the catalog (seed 1)" in held.stderr and held.stdout == ""
    assert "the right product is first" in held.stderr and "answered worse:" in held.stderr
    assert "held: The right product is first for" in held.stderr and "--switch-anyway" in held.stderr
    anyway = CliRunner().invoke(main, [*command, "--switch-anyway"])
    assert anyway.exit_code == 0 and "12 searchable" in anyway.stdout and "asked both" not in anyway.output
    wrong = CliRunner().invoke(main, ["reembed", "--rollback", "--switch-anyway"])
    assert wrong.exit_code == 2


def test_what_is_deleted_meanwhile_is_not_asked(
    catalog: Catalog, equal_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_packs(catalog, 1)
    put(catalog, "LAST", front(DRAWN[5]), small_and_turned(DRAWN[5]))
    begin = judging_module._begin

    def then_retired(*given: object) -> None:
        begin(*given)  # type: ignore[arg-type]
        from catalog import products

        products.set_active(catalog, "LAST", False, actor="anna")

    monkeypatch.setattr(judging_module, "_begin", then_retired)
    assert maintenance.reembed(catalog, equal_bundle).changed
    found = judging.find_judgement(catalog.database, equal_bundle.id)
    assert found is not None and found.report.asked == {"catalog": 3}
    assert sum(query.gone for query in queries(catalog)) == 2

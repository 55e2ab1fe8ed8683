"""What coverage found is kept: by a run of the server, which goes on after a kill, and by the command."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from catalog import cli, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.maintenance import Coverage, coverage_results
from catalog.maintenance.coverage import Advice, Mistake
from catalog.products import Facts, Intake
from catalog.runs import RunWorker, recording
from catalog.storage.tables import CoverageDay, ProductCoverage, now
from tests.support.drawn import DRAWN, front
from tests.support.steps import create

RUN = uuid.uuid4()


def rows(catalog: Catalog) -> dict[str, ProductCoverage]:
    skus = {product.id: product.sku for product in (products.get(catalog.database, sku) for sku in ("A", "B"))}
    with catalog.database.read() as session:
        return {skus[row.product_id]: row for row in session.scalars(select(ProductCoverage))}


def add(catalog: Catalog, sku: str, *photos: bytes) -> None:
    uploads = [NewPhoto(f"{sku}-{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku), uploads, Intake("test", check="off", read_barcodes=False))


@pytest.fixture
def two(catalog: Catalog) -> Catalog:
    """B has a photo of A's pack."""
    add(catalog, "A", front(DRAWN[3]), front(DRAWN[3], 20, "gray"))
    add(catalog, "B", front(DRAWN[1]), front(DRAWN[1], 15, "gray"), front(DRAWN[3], -20, "tan"))
    return catalog


def test_a_run_keeps_what_it_found_of_each_product_and_of_all(two: Catalog) -> None:
    run = recording.start(two.database, "coverage", actor="anna")
    RunWorker(two).step()
    done = recording.get(two.database, run)
    assert (done.state, done.done, done.total) == ("done", 2, 2)
    kept = rows(two)
    assert (kept["B"].photos, kept["B"].asked, kept["B"].found, kept["B"].rival_times) == (3, 3, 2, 1)
    assert kept["B"].rival_id == products.get(two.database, "A").id
    assert "not_found" in [code for code, _ in kept["B"].advice]
    [day] = coverage_results.trend(two.database)
    assert day.day == datetime.now().astimezone().date().isoformat()
    figures = {"products": 2, "asked": 5, "found": kept["A"].found + 2, "needy": day.needy}
    assert done.result == figures and (day.products, day.asked, day.found) == (2, 5, figures["found"])


def test_it_goes_on_where_a_killed_process_ended(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    run = recording.start(catalog.database, "coverage", actor="anna")
    live = catalog.generations.live().generation_id
    coverage_results.keep(catalog.database, run, [Coverage("A", "A", 9, 9, 9, generation_id=live)])
    RunWorker(catalog).step()
    kept = rows(catalog)
    assert (kept["A"].photos, kept["B"].photos) == (9, 1), "A was not examined again"
    [day] = coverage_results.trend(catalog.database)
    assert (day.products, day.asked, day.needy) == (2, 9, 1)


def test_after_a_switch_of_models_it_begins_anew(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    run = recording.start(catalog.database, "coverage", actor="anna")
    live = catalog.generations.live().generation_id
    coverage_results.keep(catalog.database, run, [Coverage("A", "A", 9, 9, 9, generation_id=live + 1)])
    began = now()
    RunWorker(catalog).step()
    kept = rows(catalog)
    assert (kept["A"].photos, kept["A"].generation_id, kept["B"].generation_id) == (1, live, live)
    assert began <= kept["A"].at == kept["B"].at, "when the page was read"


def test_what_is_gone_is_forgotten_and_a_day_is_replaced(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    for sku in ("A", "B"):
        coverage_results.keep(catalog.database, RUN, [Coverage(sku, sku, 1)])
    coverage_results.complete(catalog.database, RUN)
    other, advice = uuid.uuid4(), (Advice("one_photo", "Take one."),)
    mistaken = (Mistake("NO-SUCH", 1, ()),)
    coverage_results.keep(
        catalog.database, other, [Coverage("A", "A", 2, 2, 1, mistaken, advice), Coverage("X", "X", 1)]
    )
    assert set(rows(catalog)) == {"A", "B"}, "until all are examined"
    coverage_results.complete(catalog.database, other)
    kept = rows(catalog)
    assert set(kept) == {"A"} and kept["A"].rival_id is None and kept["A"].advice == [["one_photo", "Take one."]]
    [day] = coverage_results.trend(catalog.database)
    assert (day.products, day.asked, day.found, day.needy) == (1, 2, 1, 1)


def test_days_are_kept_for_ninety_days(catalog: Catalog) -> None:
    today = datetime.now().astimezone().date()
    with catalog.database.write() as session:
        for ago in (coverage_results.KEPT + 1, coverage_results.KEPT, 1):
            day = (today - timedelta(days=ago)).isoformat()
            session.add(CoverageDay(day=day, products=1, asked=1, found=1, needy=0))
    coverage_results.complete(catalog.database, RUN)
    ago = [(today - datetime.fromisoformat(day.day).date()).days for day in coverage_results.trend(catalog.database)]
    assert ago == [coverage_results.KEPT, 1, 0]


def test_the_command_keeps_it_and_says_the_same(two: Catalog, env: dict[str, str]) -> None:
    two.close()
    run = CliRunner().invoke(cli.main, ["coverage", "--quiet"], env=env)
    assert run.exit_code == 0 and "2 products, 5 photos asked" in run.stdout
    done = recording.latest(two.database, "coverage")
    assert done is not None and (done.state, done.actor, done.result["asked"]) == ("done", "cli", 5)
    assert rows(two)["B"].found == 2
    CliRunner().invoke(cli.main, ["coverage", "--quiet", "--sku", "A"], env=env)
    assert len(recording.list_runs(two.database)) == 1, "a part says nothing about the whole"

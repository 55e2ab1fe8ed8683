from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner
from sqlalchemy import event, func, select, update

from catalog import cli, maintenance, margins, products
from catalog.catalog import Catalog
from catalog.enrollment import Worker, photo_rows, run_pending
from catalog.errors import GalleryUnavailableError
from catalog.gallery import Vector
from catalog.recognition import decide
from catalog.recognition.candidates import nearest_products
from catalog.storage.tables import LeftOutAnswer, MarginDue, Photo, Product, ProductMargin
from embedder.bundle import Bundle
from tests.support.margins import (
    APPLE,
    APPLE_1,
    APPLE_2,
    PEAR,
    PEAR_1,
    PEAR_2,
    keep_up,
    needed,
    put,
    put_look_alikes,
    stored,
    toward,
)
from tests.support.steps import create, create_each

#: Of two answers that would match APPLE, PEAR's has a margin of 0.35; two answers weigh 2 / (2 + 5).
NEEDED = {APPLE: (round(0.08 + 2 / 7 * (0.35 - 0.08), 4), PEAR, 2, 1)}
#: Nearer to APPLE than to PEAR by 0.12: more than the bundle's margin, less than APPLE's.
BETWEEN = toward(x1=0.8, x4=0.6)


def answer(catalog: Catalog, vector: object = BETWEEN) -> str:
    live = catalog.generations.ready()
    return decide(nearest_products(catalog, live, vector), live.embedder.bundle.thresholds)  # type: ignore[arg-type]


def count(catalog: Catalog, table: type) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_product_that_others_are_taken_for_needs_a_greater_margin(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    best, second = nearest_products(catalog, catalog.generations.ready(), BETWEEN)[:2]
    assert (best.sku, second.sku, round(best.score - second.score, 2)) == (APPLE, PEAR, 0.12)
    assert (answer(catalog), needed(catalog)) == ("match", {})
    keep_up(catalog)
    assert needed(catalog) == NEEDED
    assert answer(catalog) == "ambiguous"
    assert answer(catalog, APPLE_1) == "ambiguous"  # by 0.15: PEAR's photo of the other visit is that near
    assert keep_up(catalog, margins.Upkeep(catalog)) == 0


def test_what_a_product_is_mistaken_for_is_told_of_both(catalog: Catalog) -> None:
    ids = put_look_alikes(catalog)
    keep_up(catalog)
    with catalog.database.write() as session:
        session.get_one(Photo, ids[PEAR][1]).cover = True
    of = {sku: products.get(catalog.database, sku) for sku in (APPLE, PEAR)}
    (rival,) = margins.rivals(catalog.database, of[APPLE].id)
    assert (rival.sku, rival.name, rival.ours, rival.theirs) == (PEAR, "Name of PEAR", 0, 1)
    assert rival.photo == next(photo.sha256 for photo in of[PEAR].photos if photo.id == ids[PEAR][1])
    (rival,) = margins.rivals(catalog.database, of[PEAR].id)
    assert (rival.sku, rival.ours, rival.theirs) == (APPLE, 1, 0)
    products.set_active(catalog, APPLE, False, actor="anna")
    assert margins.rivals(catalog.database, of[PEAR].id) == []


def test_products_of_one_photo_and_of_one_visit_keep_the_bundles_margin(catalog: Catalog) -> None:
    put(catalog, APPLE, [APPLE_1])
    put(catalog, PEAR, [PEAR_1, PEAR_2])
    keep_up(catalog)
    assert needed(catalog) == {}
    put(catalog, "ONE-VISIT", [toward(x7=1.0), toward(x7=0.95)])
    keep_up(catalog)
    assert needed(catalog) == {}


def test_an_upkeep_that_runs_follows_every_change(catalog: Catalog) -> None:
    upkeep = margins.Upkeep(catalog)
    keep_up(catalog, upkeep)
    ids = put_look_alikes(catalog)
    assert keep_up(catalog, upkeep) > 0
    assert needed(catalog) == NEEDED
    products.delete_photos(catalog, PEAR, [ids[PEAR][1]], actor="anna")
    keep_up(catalog, upkeep)
    assert needed(catalog) == {}
    (again,) = put(catalog, PEAR, [PEAR_2])
    keep_up(catalog, upkeep)
    assert needed(catalog) == NEEDED
    products.move_photos(catalog, PEAR, [again], APPLE, actor="anna")  # it was of APPLE all the time
    keep_up(catalog, upkeep)
    assert needed(catalog) == {}


def test_a_retired_rival_and_a_purged_one_are_rivals_no_longer(catalog: Catalog) -> None:
    upkeep = margins.Upkeep(catalog)
    put_look_alikes(catalog)
    keep_up(catalog, upkeep)
    products.set_active(catalog, PEAR, False, actor="anna")
    keep_up(catalog, upkeep)
    assert needed(catalog) == {}
    products.purge(catalog, PEAR, actor="anna")
    products.purge(catalog, APPLE, actor="anna")
    keep_up(catalog, upkeep)
    assert (count(catalog, LeftOutAnswer), count(catalog, ProductMargin), count(catalog, MarginDue)) == (0, 0, 0)


def test_a_merged_rival_is_the_product_itself(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    keep_up(catalog)
    products.merge(catalog, PEAR, APPLE, actor="anna")
    keep_up(catalog)
    assert needed(catalog) == {}


def test_a_new_product_changes_what_photos_near_it_are_answered(catalog: Catalog) -> None:
    """A nearer one is first now: the older photo is asked again, though its own product did not change."""
    upkeep = margins.Upkeep(catalog)
    put_look_alikes(catalog)
    keep_up(catalog, upkeep)
    put(catalog, "QUINCE", [toward(x0=0.5, x1=0.84, x9=0.2), toward(x9=1.0)])
    keep_up(catalog, upkeep)
    assert APPLE not in needed(catalog)
    followed = stored(catalog)
    margins.refresh(catalog, catalog.generations.ready(), anew=True)
    assert stored(catalog) == followed


def test_what_follows_is_what_a_full_computation_says(catalog: Catalog) -> None:
    upkeep = margins.Upkeep(catalog)
    ids = put_look_alikes(catalog)
    for place in range(6):
        fruit = [toward(x1=0.6 + 0.04 * place, x10=0.3), toward(x0=0.8, x11=0.1 * place), toward(x10=0.9, x1=0.3)]
        ids[f"F{place}"] = put(catalog, f"F{place}", fruit)
        keep_up(catalog, upkeep)
    products.delete_photos(catalog, "F5", [ids["F5"][0]], actor="anna")
    products.set_active(catalog, "F2", False, actor="anna")
    products.purge(catalog, "F4", actor="anna")
    keep_up(catalog, upkeep)
    followed = stored(catalog)
    assert followed[1]
    margins.refresh(catalog, catalog.generations.ready(), anew=True)
    assert stored(catalog) == followed


def test_the_rate_is_a_setting(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    lenient = replace(catalog, settings=replace(catalog.settings, wrong_matches=0.5))
    keep_up(lenient)
    assert needed(catalog) == {}  # one of two is what was asked for
    keep_up(catalog)  # another process, started with the default
    assert needed(catalog) == NEEDED


def test_a_product_is_changed_while_another_writer_of_answers_takes_its_time(catalog: Catalog) -> None:
    """An add and a deletion never wait for what the background writes."""
    put_look_alikes(catalog)
    keep_up(catalog)
    if catalog.database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    with catalog.database.write() as session:
        session.execute(update(LeftOutAnswer).values(stale=True))
        session.execute(update(ProductMargin).values(matches=9))
        done = threading.Event()
        thread = threading.Thread(target=lambda: (products.purge(catalog, PEAR, actor="anna"), done.set()))
        thread.start()
        assert done.wait(10)
    thread.join()
    keep_up(catalog)
    assert needed(catalog) == {}


def test_two_processes_keep_up_at_once_while_products_change(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    failures: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        upkeep = margins.Upkeep(catalog)
        try:
            while not stop.is_set() or upkeep.run():
                upkeep.run()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for place in range(8):
        (identity,) = put(catalog, APPLE, [toward(x1=0.7, x3=0.08 * place)])
        put(catalog, f"N{place}", [toward(x1=0.8, x4=0.06 * place), toward(x6=0.9)])
        products.delete_photos(catalog, APPLE, [identity], actor="anna")
        products.purge(catalog, f"N{place}", actor="anna")
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    keep_up(catalog)
    assert needed(catalog) == NEEDED
    assert count(catalog, LeftOutAnswer) == 4


def test_the_margins_cost_recognition_no_statement(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    live = catalog.generations.ready()
    statements: list[str] = []
    event.listen(catalog.database.engine, "before_cursor_execute", lambda _c, _u, said, *_: statements.append(said))
    nearest_products(catalog, live, BETWEEN)
    (said,) = [said for said in statements if not said.startswith("BEGIN")]
    assert "product_margin" in said


def test_it_waits_for_the_gallery(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    upkeep = margins.Upkeep(catalog)
    assert upkeep.run() and upkeep.run()
    catalog.gallery.on = False
    with pytest.raises(GalleryUnavailableError):
        keep_up(catalog, upkeep)
    catalog.gallery.on = True
    keep_up(catalog, margins.Upkeep(catalog))
    assert needed(catalog) == NEEDED


def test_points_that_the_gallery_lost_are_left_alone(catalog: Catalog) -> None:
    ids = put_look_alikes(catalog)
    catalog.gallery.delete(catalog.generations.ready().collection, [str(ids[PEAR][1])])
    keep_up(catalog)
    assert (needed(catalog), count(catalog, LeftOutAnswer)) == ({}, 3)


def test_a_photo_that_is_deleted_while_it_is_asked_leaves_no_answer(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put_look_alikes(catalog)
    real = catalog.gallery.real.vectors

    def vectors(generation: str, asked: list[str]) -> dict[str, Vector]:
        found: dict[str, Vector] = real(generation, asked)
        if str(ids[PEAR][1]) in asked:
            monkeypatch.undo()
            products.delete_photos(catalog, PEAR, [ids[PEAR][1]], actor="anna")
            keep_up(catalog)  # another process, that settles the deletion at once
        return found

    upkeep = margins.Upkeep(catalog)
    monkeypatch.setattr(catalog.gallery.real, "vectors", vectors)
    keep_up(catalog, upkeep)
    assert (needed(catalog), count(catalog, LeftOutAnswer)) == ({}, 3)


def test_a_pending_photo_is_waited_for(catalog: Catalog) -> None:
    upkeep = margins.Upkeep(catalog)
    create(catalog, "A", 1, 2)
    keep_up(catalog, upkeep)
    catalog.gallery.on = False
    create(catalog, "B", 3, 4)
    catalog.gallery.on = True
    keep_up(catalog, upkeep)
    assert (count(catalog, LeftOutAnswer), count(catalog, MarginDue)) == (2, 1)
    while run_pending(catalog):
        pass
    keep_up(catalog, upkeep)
    assert (count(catalog, LeftOutAnswer), count(catalog, MarginDue)) == (4, 0)


def test_the_worker_keeps_up(catalog: Catalog) -> None:
    worker = Worker(catalog, every=0.02)
    worker.start()
    put_look_alikes(catalog)
    began = time.monotonic()
    while needed(catalog) != NEEDED:
        assert time.monotonic() - began < 20
        time.sleep(0.05)
    worker.stop()


@pytest.mark.slow
def test_a_new_models_margins_are_there_before_it_is_live(catalog: Catalog, other_bundle: Bundle) -> None:
    create_each(catalog, 1, 2)
    create(catalog, "S3", 3, 4)
    keep_up(catalog)
    before = catalog.generations.live().generation_id
    maintenance.reembed(catalog, other_bundle, switch_anyway=True)
    live = catalog.generations.live()
    with catalog.database.read() as session:
        mine = LeftOutAnswer.generation_id == live.generation_id
        asked = session.scalar(select(func.count()).select_from(LeftOutAnswer).where(mine))
    assert (asked, live.generation_id != before) == (4, True)
    assert margins.products_to_ask(catalog.database, live.generation_id) == []
    # What changes now is settled for the generation that can be gone back to as well.
    gone = products.get(catalog.database, "S3").photos[0].id
    products.delete_photos(catalog, "S3", [gone], actor="anna")
    keep_up(catalog)
    maintenance.rollback(catalog)
    back = catalog.generations.live().generation_id
    with catalog.database.read() as session:
        asked = set(session.scalars(select(LeftOutAnswer.photo_id).where(LeftOutAnswer.generation_id == back)))
    assert (back, gone in asked, len(asked)) == (before, False, 3)


def test_the_doctor_finds_a_wrong_margin_and_mends_it(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    keep_up(catalog)

    def wrong(**options: bool) -> list[tuple[str, bool]]:
        found = maintenance.examine(catalog, **options)
        return [(finding.sku, finding.mended) for finding in found if finding.kind == "margin_wrong"]

    assert wrong(ask_gallery=False) == []
    with catalog.database.write() as session:
        session.execute(update(ProductMargin).values(margin=0.9))
        pear = session.scalars(select(Product).where(Product.sku == PEAR)).one()
        live = catalog.generations.live().generation_id
        row = {"generation_id": live, "product_id": pear.id, "rival_id": uuid.uuid4(), "margin": 0.5}
        session.add(ProductMargin(matches=1, wrong=1, **row))
    assert sorted(wrong(ask_gallery=False)) == [(APPLE, False), (PEAR, False)]
    assert sorted(wrong(ask_gallery=False, repair=True)) == [(APPLE, True), (PEAR, True)]
    assert (wrong(ask_gallery=False), needed(catalog)) == ([], NEEDED)


def test_the_command_lists_what_is_needed(
    open_catalog: Callable[[], Catalog], env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog()
    put_look_alikes(catalog)
    catalog.close()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    listed = CliRunner().invoke(cli.main, ["margins", "--quiet"])
    assert listed.exit_code == 0, listed.output
    assert "APPLE: 0.157: 1 of 2 photos that would match it show others, such as PEAR" in listed.output
    assert "4 photos asked; 1 products need a margin above 0.08" in listed.output
    again = CliRunner().invoke(cli.main, ["margins", "--quiet"])
    assert "0 photos asked" in again.output
    (line,) = CliRunner().invoke(cli.main, ["margins", "--quiet", "--anew", "--json"]).stdout.splitlines()
    found = json.loads(line)
    assert (found["sku"], found["rival"], found["matches"], found["wrong"]) == (APPLE, PEAR, 2, 1)


def test_a_photo_that_comes_again_is_asked_again(catalog: Catalog) -> None:
    """Retired and restored: its answer was removed, and nothing else says that it has to be asked."""
    put(catalog, APPLE, [APPLE_1, APPLE_2])
    upkeep = margins.Upkeep(catalog)
    keep_up(catalog, upkeep)
    with catalog.database.write() as session:
        product = session.scalars(select(Product).where(Product.sku == APPLE)).one()
        ids = [photo.id for photo in product.photos]
        photo_rows.enqueue_removals(session, product, ids)
    keep_up(catalog, upkeep)
    assert count(catalog, LeftOutAnswer) == 0

"""Jobs, and the pages that ask for runs: needs work, overview, models."""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from catalog import accounts, maintenance, nightly, products
from catalog.catalog import Catalog
from catalog.maintenance import Coverage, coverage_results
from catalog.maintenance.coverage import Advice, Mistake
from catalog.maintenance.findings import Kind
from catalog.recognition import recognize
from catalog.runs import KINDS, NIGHT, RunWorker, recording
from catalog.storage.tables import CoverageDay, Enrollment, Generation, Photo, Run
from catalog.transfer import import_jobs
from embedder.bundle import Bundle
from tests.support.apps import open_app
from tests.support.margins import keep_up
from tests.support.pictures import jpeg
from tests.support.staff import NAME, PASSWORD, Staff
from tests.support.steps import create
from web.admin import findings, jobs
from web.admin.trends import HEIGHT, WIDTH, trend_of
from web.security import limiter


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with open_app(tmp_path_factory.mktemp("jobs")) as app:
        yield app


@pytest.fixture
def catalog(app: Flask) -> Catalog:
    found: Catalog = app.config["CATALOG"]
    return found


def as_role(app: Flask, role: str) -> Staff:
    limiter.reset()
    accounts.add_user(app.config["CATALOG"].database, f"a {role}", PASSWORD, role=role, actor="test")
    return Staff(app.test_client(), f"a {role}", PASSWORD)


def text(staff: Staff, page: str) -> str:
    reply = staff.get(page)
    assert reply.status_code == 200, page
    return reply.get_data(as_text=True)


def last(catalog: Catalog, kind: str) -> Run:
    run = recording.latest(catalog.database, kind)
    assert run is not None
    return run


def test_the_empty_page_says_what_will_be_here(staff: Staff) -> None:
    page = text(staff, "/jobs/")
    assert "Nothing has run yet" in page and "imports" in page and "data-open" not in page


def test_every_kind_has_its_pages_and_every_finding_what_to_do(app: Flask) -> None:
    assert set(jobs.PAGES) == {*KINDS, NIGHT}
    for of in jobs.PAGES.values():
        assert {of.page, of.form} <= set(app.view_functions)
    assert set(findings.WHAT_TO_DO) == set(Kind.__args__)


def test_a_night_says_what_came_of_each_step(staff: Staff, catalog: Catalog) -> None:
    assert "Last night" not in text(staff, "/overview/")
    create(catalog, "N", 70)
    catalog.generations.release(catalog.generations.live().collection)
    assert not nightly.run_night(catalog.settings, nightly.Plan(catalog.settings.data)).is_well
    page = text(staff, "/overview/")
    run = last(catalog, NIGHT)
    assert "Last night" in page and "A person is to look at: model." in page and f'href="/jobs/{run.id}"' in page
    page = text(staff, f"/jobs/{run.id}")
    check = last(catalog, "doctor")
    assert "The night" in page and f'href="/jobs/{check.id}">check</a>' in page and page.count("<tr>") == 5
    assert "The night" in text(staff, "/jobs/")


def test_a_check_from_the_overview_to_its_end(staff: Staff, catalog: Catalog) -> None:
    sha256 = create(catalog, "A", 1).photos[0].sha256
    assert "It was not checked yet" in text(staff, "/overview/")
    assert staff.send("/overview/check", {}, page="/overview/").location == "/overview/"
    page = text(staff, "/overview/")
    assert "is being checked" in page and "data-refresh" in page and "Check now" not in page
    staff.send("/overview/check", {}, page="/overview/")
    assert "asked for already" in text(staff, "/overview/")
    run = last(catalog, "doctor")
    listed = text(staff, "/jobs/")
    assert "Check the catalog" in listed and f"/jobs/{run.id}/stop" in listed and "data-open" in listed
    assert "It waits until" in text(staff, f"/jobs/{run.id}/progress")
    RunWorker(catalog).step()
    assert "All is well." in text(staff, "/overview/") and "Nothing is amiss" in text(staff, f"/jobs/{run.id}")
    (catalog.settings.data / "photos" / sha256[:2] / sha256[2:4] / sha256).unlink()
    staff.send("/overview/check", {}, page="/overview/")
    RunWorker(catalog).step()
    page = text(staff, "/overview/")
    run = last(catalog, "doctor")
    assert "1 thing is amiss." in page and f'href="/jobs/{run.id}"' in page
    page = text(staff, f"/jobs/{run.id}")
    assert (
        "Something is amiss" in page and 'href="/products/A"' in page and findings.what_to_do("photo_missing") in page
    )
    staff.send("/overview/mend", {}, page=f"/jobs/{run.id}")
    assert last(catalog, "doctor").options == {"repair": True, "remove_orphans": True}
    RunWorker(catalog).step()
    assert last(catalog, "doctor").state == "done"


def test_a_gallery_that_can_not_be_read_is_filled_again_by_an_admin(app: Flask, staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1)
    broken = catalog.generations.ready().collection
    catalog.generations.release(broken)
    (catalog.settings.data / "gallery" / broken / "edge_config.json").write_text("{")
    staff.send("/overview/check", {}, page="/overview/")
    RunWorker(catalog).step()
    run = last(catalog, "doctor")
    assert run.result["kinds"] == {"collection_broken": 1}
    page = text(staff, f"/jobs/{run.id}")
    assert "Fill the gallery again" in page and findings.what_to_do("collection_broken") in page
    assert "Fill the gallery again" not in text(as_role(app, "editor"), f"/jobs/{run.id}")
    staff.send("/overview/mend", {"remake": "1"}, page=f"/jobs/{run.id}")
    assert last(catalog, "doctor").options == {"repair": True, "remove_orphans": True, "remake": True}
    assert "is being filled again" in text(staff, "/overview/")
    RunWorker(catalog).step()
    assert "1 thing was mended." in text(staff, "/overview/")
    answer = recognize(catalog, jpeg(1))
    assert (answer.decision, answer.matches[0].sku) == ("match", "A")


def test_a_run_is_stopped_and_the_way_back_is_of_this_site(staff: Staff, catalog: Catalog) -> None:
    run = recording.start(catalog.database, "doctor", actor="anna")
    reply = staff.send(f"/jobs/{run}/stop", {"back": "/overview/"}, page="/jobs/")
    assert (reply.status_code, reply.location) == (302, "/overview/")
    assert recording.get(catalog.database, run).state == "stopped"
    assert staff.send(f"/jobs/{run}/stop", {"back": "//elsewhere/"}, page="/jobs/").location == "/jobs/"
    assert staff.send(f"/jobs/{uuid.uuid4()}/stop", {}, page="/jobs/").status_code == 404


def test_imports_are_listed_with_the_runs(app: Flask, staff: Staff, catalog: Catalog) -> None:
    job = import_jobs.start(catalog, "autumn.csv", actor="ben")
    import_jobs.add_files(catalog, job, [import_jobs.Piece("A/1.jpg", 0, io.BytesIO(jpeg(1)))])
    import_jobs.complete(catalog, job)
    page = text(staff, "/jobs/")
    assert "autumn.csv" in page and f"/import/{job}/cancel" in page and "data-open" in page
    assert "autumn.csv" not in text(as_role(app, "viewer"), "/jobs/")


def test_who_may_ask_for_a_run_may_stop_it(app: Flask, catalog: Catalog) -> None:
    editor = as_role(app, "editor")
    run = recording.start(catalog.database, "reembed", actor="anna", options={"rollback": True})
    assert "Switch back to the model before" in text(editor, "/jobs/") and "/stop" not in text(editor, "/jobs/")
    assert editor.send(f"/jobs/{run}/stop", {}, page="/add/").status_code == 403
    for path in ("/models/embed", "/overview/mend"):
        assert editor.send(path, {}, page="/add/").status_code == 403
    mend = recording.start(catalog.database, "doctor", actor="anna", options={"repair": True})
    assert "/stop" not in text(editor, "/jobs/")
    assert editor.send(f"/jobs/{mend}/stop", {}, page="/add/").status_code == 403
    viewer = as_role(app, "viewer")
    recording.start(catalog.database, "coverage", actor="anna")
    assert "/stop" not in text(viewer, "/jobs/") and "/stop" in text(editor, "/jobs/")
    for path in ("/needs-work/examine", "/overview/check"):
        assert viewer.send(path, {}, page="/account/").status_code == 403


def test_examining_from_needs_work_with_the_days_before(staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1)
    page = text(staff, "/needs-work/")
    assert (
        "Not examined yet" in page
        and f"every night at 03:00 {time.tzname[time.localtime().tm_isdst]}" in page
        and "<svg" not in page
    )
    for ago, found in ((2, 8), (1, 9)):
        with catalog.database.write() as session:
            day = (date.today() - timedelta(days=ago)).isoformat()
            session.add(CoverageDay(day=day, products=3, asked=10, found=found, needy=1))
        none = (date.today() - timedelta(days=5)).isoformat()
        with catalog.database.write() as session:
            session.merge(CoverageDay(day=none, products=3, asked=0, found=0, needy=3))
    page = text(staff, "/needs-work/")
    assert f"% · {(date.today() - timedelta(days=2)).isoformat()}" in page, "where the line begins"
    assert "9 of 10 photos (90.0 %)" in page and '<path class="line"' in page and "80.0 %" in page
    staff.send("/needs-work/examine", {}, page="/needs-work/")
    assert "data-refresh" in text(staff, "/needs-work/")
    RunWorker(catalog).step()
    assert last(catalog, "coverage").state == "done"
    assert "none could be asked" in text(staff, "/needs-work/")


def test_what_coverage_found_is_beside_each_product(staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1, 2)
    create(catalog, "RIVAL", 3)
    close = Advice("close_no_print", "It looks like RIVAL, and no print says which.")
    found = Coverage("A", "A", 2, 2, 1, (Mistake("RIVAL", 1, ()),), (Advice("not_found", "1 of 2"), close))
    found = replace(found, generation_id=catalog.generations.live().generation_id)
    coverage_results.keep(catalog.database, uuid.uuid4(), [found])
    page = text(staff, "/needs-work/")
    assert "1 of its 2 photos is taken for another product, also at a closer look" in page
    assert "1 of 2 photos found it" in page and "the side that tells it from RIVAL" in page
    create_more = staff.send("/products/A/photos", {"photos": (io.BytesIO(jpeg(4)), "4.jpg")}, page="/products/A")
    assert create_more.status_code == 302
    assert "closer look" not in text(staff, "/needs-work/"), "its photos are others than those that were examined"


def test_the_photo_that_is_missing_is_taken_and_the_list_has_the_proof(staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1)
    keep_up(catalog)
    link = re.search(r'href="(/needs-work/A/photo[^"]*)"', text(staff, "/needs-work/"))
    assert link
    page = text(staff, f"{link[1]}?page=2")
    assert 'capture="environment"' in page and "another side than these" in page and 'name="page" value="2"' in page
    form = {"photos": (io.BytesIO(jpeg(2)), "2.jpg"), "page": "0"}
    reply = staff.send("/needs-work/A/photo", form)
    assert (reply.status_code, reply.location) == (302, "/needs-work/")
    assert "is kept, and found" in text(staff, "/needs-work/")
    assert len(products.get(catalog.database, "A").photos) == 2
    form = {"photos": (io.BytesIO(jpeg(2)), "2.jpg"), "page": "1"}
    assert staff.send("/needs-work/A/photo", form).location == "/needs-work/?page=1"
    assert "has this photo already" in text(staff, "/needs-work/")
    reply = staff.send("/needs-work/A/photo", {"photos": (io.BytesIO(b"no photo"), "x.jpg")})
    assert reply.status_code == 415 and "x.jpg" in reply.get_data(as_text=True)
    assert staff.get("/needs-work/NO-SUCH/photo").status_code == 404


def test_a_script_is_asked_about_a_questionable_photo_first(staff: Staff, catalog: Catalog) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    photo = {"photos": (io.BytesIO(jpeg(2)), "2.jpg")}
    reply = staff.send("/needs-work/A/photo", photo, script=True, anyway=False)
    assert reply.status_code == 422 and "Nothing is kept yet" in reply.get_data(as_text=True)
    assert len(products.get(catalog.database, "A").photos) == 1
    photo = {"photos": (io.BytesIO(jpeg(2)), "2.jpg")}
    reply = staff.send("/needs-work/A/photo", photo, script=True)
    assert (reply.status_code, reply.headers["Location"]) == (204, "/needs-work/")


def test_another_model_is_chosen_of_those_that_are_known(staff: Staff, catalog: Catalog, other_bundle: Bundle) -> None:
    catalog.generations.ready()
    live = catalog.generations.live().embedder.bundle.id
    assert {live, other_bundle.id} <= {bundle.id for bundle in maintenance.known_bundles(catalog.settings)}
    page = text(staff, "/models/")
    assert f'value="{other_bundle.id}"' in page and f'name="bundle" value="{live}"' not in page
    staff.send("/models/embed", {"bundle": "0" * 12}, page="/models/", anyway=False)
    assert recording.latest(catalog.database, "reembed") is None
    staff.send("/models/embed", {"bundle": other_bundle.id}, page="/models/")
    run = last(catalog, "reembed")
    assert run.options == {"bundle_id": other_bundle.id} and run.actor == NAME
    page = text(staff, "/models/")
    assert f"/jobs/{run.id}/stop" in page and "Yes, switch back" not in page and "radio" not in page
    staff.send(f"/jobs/{run.id}/stop", {"back": "/models/"}, page="/models/")
    assert "radio" in text(staff, "/models/")


def test_an_added_model_is_shown_as_one_and_an_unfinished_one_as_that(
    staff: Staff, catalog: Catalog, other_bundle: Bundle
) -> None:
    create(catalog, "A", 1)
    create(catalog, "B", 2)
    maintenance.add_model(catalog, other_bundle.path, actor="anna")
    page = text(staff, "/models/")
    assert ">added</span>" in page and "not complete" not in page and "0 of 2 photos are embedded" in page
    assert "Model added" in text(staff, "/audit/")
    generation = catalog.generations.add(other_bundle)
    with catalog.database.write() as session:
        photo = session.scalars(select(Photo.id)).first()
        session.add(Enrollment(generation_id=generation.id, photo_id=photo, done=True))
    page = text(staff, "/models/")
    assert ">added</span>" not in page and "not complete" in page
    maintenance.remove_model(catalog, other_bundle.id, actor="anna")
    assert "Model removed" in text(staff, "/audit/")


def test_switching_back_says_from_which_model(staff: Staff, catalog: Catalog) -> None:
    live = catalog.generations.live()
    with catalog.database.write() as session:
        older = Generation(bundle_id="0" * 12, bundle_name="older", collection="older", dim=4, live=False)
        session.add(older)
        session.flush()
        session.get_one(Generation, live.generation_id).previous_id = older.id
    staff.send("/models/rollback", {"live": "0" * 12}, page="/models/")
    assert recording.latest(catalog.database, "reembed") is None
    staff.send("/models/rollback", {"live": live.embedder.bundle.id}, page="/models/")
    assert last(catalog, "reembed").options == {"rollback": True, "live": live.embedder.bundle.id}


def test_the_line_of_the_trend() -> None:
    def day(on: str, found: int) -> CoverageDay:
        return CoverageDay(day=on, products=1, asked=100, found=found, needy=0)

    assert trend_of([]) is None
    one = trend_of([day("2026-01-01", 100)])
    assert one is not None and (one.line, one.dots) == ("M0.0 0.0", "M0.0 0.0h0") and one.floor < 1
    weeks = trend_of([day("2026-01-01", 85), day("2026-01-02", 90), day("2026-01-11", 100)])
    assert weeks is not None and (weeks.floor, weeks.first, weeks.last) == (0.8, "2026-01-01", "2026-01-11")
    assert weeks.line == f"M0.0 {HEIGHT * 0.75:.1f} L{WIDTH / 10:.1f} {HEIGHT / 2:.1f} L{WIDTH:.1f} 0.0"

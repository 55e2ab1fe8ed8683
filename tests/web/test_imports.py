"""The page Import: from files to products, with and without the page's script."""

from __future__ import annotations

import io
import re
import uuid

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from catalog import products
from catalog.catalog import Catalog
from catalog.transfer import ImportWorker, import_jobs, uploads
from tests.support.pictures import jpeg
from tests.support.staff import Staff
from web import routes
from web.gate import Gate
from web.serving import Head

LIST = b"Nr;photos;Title;Farbe\nIMP-1;1.jpg;Tea <b>;=green\nIMP-2;gone.jpg;Milk;\n"


def text(reply: TestResponse) -> str:
    return reply.get_data(as_text=True)


def upload(staff: Staff, *files: tuple[str, bytes]) -> str:
    """The address of the import of these files, sent as a form."""
    form = {"files": [(io.BytesIO(data), name) for name, data in files]}
    reply = staff.send("/import/", form, page="/import/")
    assert reply.status_code == 302, text(reply)
    return reply.headers["Location"]


def send(staff: Staff, target: str, form: dict[str, object] | None = None) -> TestResponse:
    return staff.send(target, form or {}, page="/import/")


def test_from_a_list_to_products(staff: Staff, catalog: Catalog) -> None:
    page = upload(staff, ("shop/list.csv", LIST), ("shop/1.jpg", jpeg(701)))
    columns = text(staff.get(page))
    assert "<option selected>photos</option>" in columns
    assert 'name="attribute" value="Farbe"' in columns
    form = {
        "column_sku": "Nr",
        "column_photos": "photos",
        "column_name": "Title",
        "other": ["Farbe"],
        "attribute": ["Farbe"],
    }
    assert send(staff, f"{page}/columns", form).status_code == 302
    assert "Each line is checked" in text(staff.get(page))
    assert 'http-equiv="refresh"' in text(staff.get(page))
    ImportWorker(catalog).step()
    shown = text(staff.get(page))
    assert "1 of new products" in shown and "1 wrong" in shown and "gone.jpg" in shown
    assert "IMP-1" in shown and "IMP-1" not in text(staff.get(f"{page}?only=wrong"))
    errors = text(staff.get(f"{page}/errors.csv"))
    assert "shop/list.csv:3,IMP-2," in errors
    assert send(staff, f"{page}/run").status_code == 302
    assert "waits for another import" in text(staff.get(f"{page}/progress"))
    ImportWorker(catalog).step()
    assert "1 product and 1 photo added" in text(staff.get(page))
    assert "1 product and 1 photo added" in text(staff.get("/import/"))
    product = products.get(catalog.database, "IMP-1")
    assert (product.name, product.attributes) == ("Tea <b>", {"Farbe": "=green"})


def test_what_is_there_is_changed_only_when_it_is_ticked(staff: Staff, catalog: Catalog) -> None:
    for name, update in (("First", True), ("Second", False), ("Third", True)):
        files = [("list.csv", f"sku,photos,name\nIMP-U,1.jpg,{name}\n".encode()), ("1.jpg", jpeg(702))]
        page = upload(staff, *files)
        send(staff, f"{page}/columns", {"column_sku": "sku", "column_photos": "photos", "column_name": "name"})
        ImportWorker(catalog).step()
        send(staff, f"{page}/run", {"update": "1"} if update else {})
        ImportWorker(catalog).step()
    assert products.get(catalog.database, "IMP-U").name == "Third"
    assert "<del>" not in text(staff.get(page))


def test_the_script_sends_pieces(staff: Staff, catalog: Catalog) -> None:
    begun = staff.send("/import/", {"name": "folder (2 files)"}, script=True)
    page = begun.get_json()["job"]
    csv = b"sku,photos\nIMP-P,1.jpg\n"
    form = {
        "path": ["list.csv", "list.csv", "1.jpg"],
        "offset": ["0", "5", "0"],
        "files": [(io.BytesIO(csv[:5]), "piece"), (io.BytesIO(csv[5:]), "piece"), (io.BytesIO(jpeg(703)), "piece")],
    }
    sent = staff.send(f"{page}/files", form, page="/import/", script=True)
    assert (sent.status_code, sent.get_json()) == (200, {"stored": 3})
    form = {"path": ["../evil"], "offset": ["0"], "files": [(io.BytesIO(b"x"), "piece")]}
    refused = staff.send(f"{page}/files", form, page="/import/", script=True)
    assert (refused.status_code, refused.get_json()["code"]) == (422, "invalid_input")
    assert staff.send(f"{page}/complete", {}, page="/import/", script=True).get_json()["job"] == page
    job = import_jobs.get(catalog.database, uuid.UUID(page.rsplit("/", 1)[1]))
    assert (job.state, job.files) == ("columns", 2)


def test_files_that_are_no_import_are_refused_and_leave_no_open_import(staff: Staff, catalog: Catalog) -> None:
    for files, words in (
        ((), "Choose a list"),
        ((("1.jpg", jpeg(1)), ("2.jpg", jpeg(2))), "a folder for each product"),
        ((("a.csv", b"PK\3\4"),), "not a CSV"),
        ((("../a.csv", b"sku\n"),), "No file can have the name"),
    ):
        reply = staff.send("/import/", {"files": [(io.BytesIO(data), name) for name, data in files]}, page="/import/")
        assert reply.status_code == 422 and words in text(reply)
    assert not [
        job
        for job in import_jobs.latest(catalog.database)
        if job.state == "uploading" and not job.name.startswith("folder")
    ]
    page = upload(staff, ("list.csv", b"sku,photos\nA,1.jpg\n"))
    wrong = send(staff, f"{page}/columns", {"column_sku": "photos", "column_photos": "photos"})
    assert wrong.status_code == 422 and "chosen twice" in text(wrong)
    assert re.search(r'id="column_photos".*?<option selected>photos', text(wrong), re.S)  # what was chosen stays


def test_an_import_is_discarded(staff: Staff, catalog: Catalog) -> None:
    page = upload(staff, ("list.csv", b"sku,photos\nA,1.jpg\n"))
    send(staff, f"{page}/cancel")
    shown = text(staff.get(page))
    assert "cancelled" in shown and "Go on" not in shown
    assert "It was not begun" in text(staff.client.get(send(staff, f"{page}/again").headers["Location"]))
    assert "has gone on meanwhile" in text(staff.client.get(send(staff, f"{page}/run").headers["Location"]))
    assert staff.get(f"/import/{uuid.uuid4()}").status_code == 404
    assert send(staff, f"/import/{uuid.uuid4()}/cancel").status_code == 404


def test_a_check_that_failed_has_a_way_on(staff: Staff, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    page = upload(staff, ("list.csv", b"sku,photos\nA,1.jpg\n"))
    columns = {"column_sku": "sku", "column_photos": "photos"}
    send(staff, f"{page}/columns", columns)

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(ImportWorker, "_check", broken)
        ImportWorker(catalog).step()
    failed = text(staff.get(page))
    assert "Input/output error" in failed and "Check again" in failed and "Discard" in failed
    assert "Go on" not in failed and f"{page}?columns=1" in failed
    assert 'id="column_sku"' in text(staff.get(f"{page}?columns=1"))
    wrong = send(staff, f"{page}/columns", {"column_sku": "photos", "column_photos": "photos"})
    assert wrong.status_code == 422 and "chosen twice" in text(wrong)
    send(staff, f"{page}/again")
    assert "Each line is checked" in text(staff.get(page))
    ImportWorker(catalog).step()
    assert "1 wrong" in text(staff.get(page))


def test_only_the_staff_import_and_a_large_body_is_refused_before_it_is_read(app: Flask, anybody: FlaskClient) -> None:
    job = uuid.uuid4()
    for path in ("/import/", f"/import/{job}", f"/import/{job}/errors.csv"):
        assert anybody.get(path).status_code == 302
    gate = Gate(app)
    for path in ("/import/", f"/import/{job}/files"):
        verdict = gate(Head("POST", path, {}, 20_000_000))
        assert verdict.refused is not None and verdict.refused.code == "not_signed_in"
        assert (verdict.lane, verdict.max_body) == ("adding", routes.MAX_REQUEST)
    assert gate(Head("POST", f"/import/{job}/run", {}, 100)).max_body == routes.MAX_FORM_REQUEST


def test_the_page_says_what_it_takes(staff: Staff) -> None:
    page = text(staff.get("/import/"))
    said = re.search(r'data-free="(\d+)" data-most="(\d+)"', page)
    assert said and int(said[1]) <= int(said[2]) == uploads.MAX_BYTES
    assert "100,000 files" in page and "256.0 MiB and 900 files" in page

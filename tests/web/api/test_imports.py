from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable, Mapping

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.errors import NotFoundError
from catalog.products import Facts
from catalog.storage import Database, named_requests
from catalog.transfer import ImportWorker, import_jobs
from tests.support.pictures import jpeg
from web.api import idempotency
from web.api.schemas import Import, ImportErrors

LIST = b"Nr;photos;Title\nAPI-IMP-1;1.jpg;Tea\nAPI-IMP-2;gone.jpg;Milk\nAPI-IMP-3;2.jpg;\x01\nAPI-IMP-4;;Water\n"
MAP = ["sku=Nr", "name=Title"]


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return out.getvalue()


def start(till: FlaskClient, *files: tuple[str, bytes], headers: Mapping[str, str] | None = None, **fields: object):
    form = {"files": [(io.BytesIO(data), name) for name, data in files], **fields}
    return till.post("/api/v1/imports", data=form, headers=headers)


def work(catalog: Catalog) -> None:
    while ImportWorker(catalog).step():
        pass


def test_a_zip_is_imported_and_its_errors_are_told_by_line(till: FlaskClient, catalog: Catalog) -> None:
    data = zipped(list_csv=LIST, **{"1_jpg": jpeg(9201), "2_jpg": jpeg(9202)})
    reply = start(till, ("shop.zip", data), map=MAP)
    assert reply.status_code == 202, reply.get_data(as_text=True)
    begun = reply.get_json()
    assert Import.model_validate(begun).state == "checking" and begun["name"] == "shop.zip"
    place = reply.headers["Location"]
    work(catalog)
    done = till.get(place).get_json()
    assert Import.model_validate(done).state == "done"
    assert (done["counts"]["products"], done["counts"]["photos"], done["counts"]["left_out"]) == (1, 1, 3)
    assert products.get(catalog.database, "API-IMP-1").name == "Tea"
    errors = till.get(f"{place}/errors").get_json()
    assert ImportErrors.model_validate(errors)
    assert sorted((one["line"], one["sku"]) for one in errors["errors"]) == [
        (3, "API-IMP-2"),
        (4, "API-IMP-3"),
        (5, "API-IMP-4"),
    ]
    listed = till.get(f"{place}/errors.csv")
    assert listed.mimetype == "text/csv"
    rows = listed.get_data(as_text=True).removeprefix("\ufeff").splitlines()
    assert rows[0] == "line,sku,error" and len(rows) == 4 and any("API-IMP-2" in row for row in rows)


def test_a_list_changes_products_with_update_alone(till: FlaskClient, catalog: Catalog) -> None:
    start(till, ("a.zip", zipped(API_UPD__1_jpg=jpeg(9211)).replace(b"API.UPD", b"API-UPD")))
    work(catalog)
    change = ("list.csv", b"sku,name\nAPI-UPD,Fresh\n")
    for fields, name in (({"check": "true", "update": "true"}, "API-UPD"), ({}, "API-UPD"), ({"update": "1"}, "Fresh")):
        place = start(till, change, **fields).headers["Location"]
        work(catalog)
        assert products.get(catalog.database, "API-UPD").name == name, fields
        assert till.get(place).get_json()["state"] == ("checked" if "check" in fields else "done")
        till.post(f"{place}/cancel")


def test_what_a_check_finds_is_told_and_nothing_is_imported(till: FlaskClient, catalog: Catalog) -> None:
    place = start(till, ("list.csv", b"sku;barcode\nAPI-CHK;123\n"), check="true").headers["Location"]
    work(catalog)
    errors = till.get(f"{place}/errors").get_json()["errors"]
    assert {(one["source"], one["line"], one["sku"]) for one in errors} == {("list.csv:2", 2, "API-CHK")}
    assert len(errors) == 2, "all that is wrong with a line: its barcode, and that a new product needs a photo"
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "API-CHK")
    ended = till.post(f"{place}/cancel")
    assert (ended.status_code, ended.get_json()["state"]) == (202, "cancelled")
    assert till.post(f"{place}/cancel").get_json()["state"] == "cancelled"


def test_an_import_is_cancelled_before_it_runs(till: FlaskClient, catalog: Catalog) -> None:
    data = zipped(**{"C__1_jpg": jpeg(9221)}).replace(b"C/1.jpg", b"Z/1.jpg")
    place = start(till, ("c.zip", data)).headers["Location"]
    assert till.post(f"{place}/cancel").get_json()["cancelling"] is True
    work(catalog)
    assert till.get(place).get_json()["state"] == "cancelled"
    with pytest.raises(NotFoundError):
        products.get(catalog.database, "Z")


@pytest.mark.parametrize(
    ("files", "fields"),
    [
        ([], {}),
        ([("list.csv", b"name\nTea\n")], {}),
        ([("list.csv", b"")], {}),
        ([("list.csv", b"sku\nA\n")], {"map": "sku=Other"}),
        ([("list.csv", b"sku\nA\n")], {"map": "nonsense"}),
        ([("list.csv", b"sku\nA\n")], {"update": "maybe"}),
        ([("list.csv", b"sku\nA\n")], {"mapping": "sku=sku"}),
        ([("a.zip", b"no zip")], {}),
        ([("a.zip", zipped(A__1_jpg=b"x")), ("b.zip", zipped(B__1_jpg=b"x"))], {}),
        ([("../../etc/x.csv", b"sku\nA\n")], {}),
    ],
)
def test_what_can_not_be_imported_leaves_nothing_open(
    till: FlaskClient, catalog: Catalog, files: list[tuple[str, bytes]], fields: dict[str, str]
) -> None:
    open_before = {job.id for job in import_jobs.latest(catalog.database, 1000) if job.state not in import_jobs.OVER}
    reply = start(till, *files, **fields)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input")
    still = {job.id for job in import_jobs.latest(catalog.database, 1000) if job.state not in import_jobs.OVER}
    assert still == open_before


def test_an_import_that_there_is_not_and_a_key_that_may_not(app: Flask, till: FlaskClient, catalog: Catalog) -> None:
    nowhere = f"/api/v1/imports/{uuid.uuid4()}"
    assert [till.get(nowhere).status_code, till.post(f"{nowhere}/cancel").status_code] == [404, 404]
    assert till.get(f"{nowhere}/errors").status_code == 404
    key = accounts.add_key(catalog.database, "asks", ["recognize", "catalog:read"], actor="test").key
    headers = {"Authorization": f"Bearer {key}"}
    assert app.test_client().post("/api/v1/imports", headers=headers).status_code == 403
    assert app.test_client().get(nowhere, headers=headers).status_code == 403


def test_facts_of_a_product_stay_as_they_are_without_update(till: FlaskClient, catalog: Catalog) -> None:
    """What an import without update passes over is counted."""
    start(till, ("a.zip", zipped(K__1_jpg=jpeg(9231))))
    work(catalog)
    products.change(catalog.database, Facts("K", "Kept"), actor="anna")
    place = start(till, ("list.csv", b"sku,name\nK,Other\n")).headers["Location"]
    work(catalog)
    assert till.get(place).get_json()["counts"]["ignored"] == 1
    assert products.get(catalog.database, "K").name == "Kept"


def test_a_large_zip_is_sent_in_pieces(till: FlaskClient, catalog: Catalog) -> None:
    data = zipped(list_csv=b"Nr,photos\nAPI-PIECES,1.jpg\n", **{"1_jpg": jpeg(9241)})
    begun = till.post("/api/v1/imports", data={"name": "large.zip", "map": "sku=Nr"})
    assert (begun.status_code, begun.get_json()["state"]) == (202, "uploading")
    place = begun.headers["Location"]

    def send(at: int, part: bytes, **other: object):
        form = {"files": (io.BytesIO(part), "piece"), "path": "large.zip", "offset": str(at)}
        return till.post(f"{place}/files", data={**form, **other})

    assert send(1000, data[1000:]).status_code == 422, "the piece before it is missing"
    for offset in (0, 1000, 0):  # of which the last comes again
        reply = send(offset, data[offset : offset + 1000] if offset == 0 else data[1000:])
        assert reply.status_code == 200, reply.get_data(as_text=True)
    assert (reply.get_json()["files"], reply.get_json()["bytes"]) == (1, len(data))
    for wrong in ({"offset": "-1"}, {"offset": "x"}, {"path": "../x"}, {"path": ["a", "b"]}):
        assert send(0, b"x", **wrong).status_code == 422, wrong
    done = till.post(f"{place}/complete")
    assert (done.status_code, done.get_json()["state"]) == (202, "checking")
    assert till.post(f"{place}/complete").status_code == send(0, b"x").status_code == 409
    work(catalog)
    assert till.get(place).get_json()["state"] == "done"
    assert len(products.get(catalog.database, "API-PIECES").photos) == 1


def begun(catalog: Catalog) -> int:
    """Imports that were begun, or ordered."""
    states = [job.state for job in import_jobs.latest(catalog.database, 1000)]
    return sum(state not in ("uploading", "columns", "cancelled") for state in states)


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "killed before the answer was kept"])
@pytest.mark.parametrize("name", ["list.csv", "shop.zip", "in pieces"])
def test_a_repeated_import_is_one_import(
    till: FlaskClient, catalog: Catalog, lose_answers: Callable[[], None], name: str, answered: bool
) -> None:
    data = {"list.csv": b"sku,name\nK,Other\n", "shop.zip": zipped(R__1_jpg=jpeg(9251))}.get(name)
    files = [] if data is None else [(name, data)]
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    before, jobs = begun(catalog), len(import_jobs.latest(catalog.database, 1000))
    first = start(till, *files, headers=headers, name=name)
    assert first.status_code == 202, first.get_data(as_text=True)
    if not answered:
        lose_answers()
    again = start(till, *files, headers=headers, name=name)
    assert (again.status_code, again.get_json()) == (first.status_code, first.get_json())
    assert again.headers["Location"] == first.headers["Location"] and again.headers["Idempotency-Replayed"] == "true"
    assert len(import_jobs.latest(catalog.database, 1000)) == jobs + 1
    assert begun(catalog) == before + (data is not None)
    other = start(till, ("list.csv", b"sku,name\nK,Another\n"), headers=headers, name=name)
    assert (other.status_code, other.get_json(force=True)["code"]) == (422, "idempotency_mismatch")
    till.post(f"{first.headers['Location']}/cancel")
    work(catalog)


def test_an_import_that_was_refused_is_tried_again(till: FlaskClient, catalog: Catalog) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        reply = start(till, ("list.csv", b"name\nTea\n"), headers=headers)
        assert (reply.status_code, reply.get_json(force=True)["code"]) == (422, "invalid_input")
    reply = start(till, ("list.csv", b"sku,name\nK,Other\n"), headers=headers)
    assert reply.status_code == 202 and "Idempotency-Replayed" not in reply.headers
    work(catalog)


def test_of_two_processes_at_the_same_import_one_does_it(
    till: FlaskClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found nothing done: the second one's import is discarded, and the first one's goes on."""
    headers, real, inner = {"Idempotency-Key": str(uuid.uuid4())}, named_requests.find, []

    def find(database: Database, request: named_requests.Named) -> named_requests.Known | None:
        found = real(database, request)
        if not inner:  # meanwhile, in the other process, which knows nothing of this one's requests in hand
            inner.append(None)
            idempotency._IN_HAND.clear()
            inner[0] = start(till, ("list.csv", b"sku,name\nK,Other\n"), headers=headers)
        return found

    before = begun(catalog)
    monkeypatch.setattr(named_requests, "find", find)
    outer = start(till, ("list.csv", b"sku,name\nK,Other\n"), headers=headers)
    assert (outer.status_code, outer.get_json()) == (202, inner[0].get_json())
    assert begun(catalog) == before + 1
    work(catalog)
    assert till.get(outer.headers["Location"]).get_json()["state"] == "done"


@pytest.mark.parametrize("moment", ["nothing", "columns"])
def test_a_repeated_end_of_an_upload_is_answered_the_same(
    till: FlaskClient, catalog: Catalog, lose_answers: Callable[[], None], moment: str
) -> None:
    place = till.post("/api/v1/imports", data={"name": "x"}).headers["Location"]
    till.post(f"{place}/files", data={"files": (io.BytesIO(b"sku\nA\n"), "l.csv"), "path": "l.csv", "offset": "0"})
    if moment == "columns":  # so a process was killed
        import_jobs.complete(catalog, uuid.UUID(place.rpartition("/")[2]))
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = till.post(f"{place}/complete", headers=headers)
    assert (first.status_code, first.get_json()["state"]) == (202, "checking")
    lose_answers()
    for _ in range(2):
        again = till.post(f"{place}/complete", headers=headers)
        assert (again.status_code, again.get_json()) == (202, first.get_json())
    assert till.post(f"{place}/complete").status_code == 409
    work(catalog)
    assert till.get(place).get_json()["state"] == "done"


def test_pieces_that_are_no_import_are_discarded(till: FlaskClient, catalog: Catalog) -> None:
    place = till.post("/api/v1/imports", data={"name": "x"}).headers["Location"]
    assert till.post(f"{place}/complete").status_code == 422
    assert till.get(place).get_json()["state"] == "cancelled"
    place = till.post("/api/v1/imports", data={"name": "x", "map": "sku=Other"}).headers["Location"]
    till.post(f"{place}/files", data={"files": (io.BytesIO(b"sku\nA\n"), "l.csv"), "path": "l.csv", "offset": "0"})
    assert till.post(f"{place}/complete").status_code == 422
    assert till.get(place).get_json()["state"] == "cancelled"

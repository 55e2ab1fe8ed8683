from __future__ import annotations

import io
import re

import pytest
from flask.testing import FlaskClient

from catalog import accounts, products
from catalog.catalog import Catalog
from tests.support import pictures
from web.api import schemas

BAD_SKUS = {
    "empty": "",
    "blank": "   ",
    "10,000 characters": "A" * 10_000,
    "a path": "../../etc/passwd",
    "a part of a path": "a/../b",
    "a part of a path of Windows": "a\\..\\b",
    "dots": "..",
    "a control character": "A\x00B",
}


def files(*seeds: int) -> list[tuple[io.BytesIO, str]]:
    return [(io.BytesIO(pictures.jpeg(seed)), f"{seed}.jpg") for seed in seeds]


def add(till: FlaskClient, sku: str, *seeds: int, **facts: str):
    return till.post("/api/v1/products", data={"sku": sku, "photos": files(*seeds), **facts})


def ask(till: FlaskClient, data: bytes):
    return till.post("/api/v1/recognize", data=data, content_type="image/jpeg")


def state(catalog: Catalog) -> tuple[int, int, int]:
    counts = products.counts(catalog.database)
    return counts.products, counts.photos, catalog.gallery.count(catalog.generations.ready().collection)


def problem(reply, status: int, code: str) -> dict[str, object]:
    """Checks the form of RFC 9457 on the way."""
    assert reply.status_code == status, reply.get_data(as_text=True)
    assert reply.content_type == "application/problem+json"
    body: dict[str, object] = reply.get_json(force=True)
    assert body["status"] == status and body["code"] == code and body["title"] and body["detail"]
    schemas.Problem.model_validate(body, extra="forbid")
    return body


def test_added_by_the_reply_it_is_recognized(till: FlaskClient) -> None:
    reply = add(till, "API-1", 1, 2, 3, 4, name="First", brand="Brand")
    assert reply.status_code == 201
    body = reply.get_json()
    assert (body["sku"], body["name"], body["searchable"]) == ("API-1", "First", True)
    assert [photo["state"] for photo in body["photos"]] == ["searchable"] * 4
    assert body["milliseconds"] > 0
    assert schemas.Added.model_validate(body, extra="forbid").model_dump(mode="json") == body
    answer = ask(till, pictures.jpeg(3)).get_json()
    assert schemas.Recognition.model_validate(answer, extra="forbid").model_dump() == answer
    assert answer["matches"][0]["sku"] == "API-1" and answer["matches"][0]["name"] == "First"
    assert answer["matches"][0]["score"] == pytest.approx(1.0, abs=1e-3)


def test_multipart_and_body_are_answered_alike(till: FlaskClient) -> None:
    add(till, "API-2", 11)
    body = ask(till, pictures.jpeg(11)).get_json()
    form = till.post("/api/v1/recognize", data={"photo": files(11)}).get_json()
    assert body["matches"] == form["matches"] and body["decision"] == form["decision"]


@pytest.mark.parametrize("name", pictures.bad_files())
@pytest.mark.parametrize("way", ["body", "form"])
def test_recognize_refuses(till: FlaskClient, name: str, way: str) -> None:
    data, status, code = pictures.bad_files()[name]
    if way == "body":
        reply = ask(till, data)
    else:
        reply = till.post("/api/v1/recognize", data={"photo": (io.BytesIO(data), name)})
    assert problem(reply, status, code)["field"] == "photo"


@pytest.mark.parametrize("name", pictures.bad_files())
def test_add_refuses_the_whole_product(till: FlaskClient, catalog: Catalog, name: str) -> None:
    data, status, code = pictures.bad_files()[name]
    before = state(catalog)
    photos = [*files(21), (io.BytesIO(data), name), *files(22)]
    body = problem(till.post("/api/v1/products", data={"sku": f"BAD {name}", "photos": photos}), status, code)
    assert name in str(body["detail"]), "the message names the file"
    assert state(catalog) == before, "nothing is half-written"


@pytest.mark.parametrize("name", pictures.odd_files(0))
def test_unusual_images_are_recognized(till: FlaskClient, name: str) -> None:
    seed = 1000 + 2 * list(pictures.odd_files(0)).index(name)
    add(till, f"ODD-{seed}", seed)
    reply = till.post("/api/v1/recognize", data={"photo": (io.BytesIO(pictures.odd_files(seed)[name]), name)})
    assert reply.status_code == 200
    if name != "16-bit.png":  # grey, so its vector is another; that it is answered is what counts
        assert f"ODD-{seed}" in [match["sku"] for match in reply.get_json()["matches"]]


@pytest.mark.parametrize("name", pictures.odd_files(0))
def test_unusual_images_are_added(till: FlaskClient, name: str) -> None:
    data = pictures.odd_files(2000 + 2 * list(pictures.odd_files(0)).index(name))[name]
    reply = till.post("/api/v1/products", data={"sku": f"ADD {name}", "photos": [(io.BytesIO(data), name)]})
    assert reply.status_code == 201 and reply.get_json()["searchable"] is True


@pytest.mark.parametrize(
    "name", [b"r\xfcckseite.jpg", b"r\x81ckseite.jpg", "rückseite.jpg".encode(), b"C:\\\\r\xfcck.jpg"]
)
def test_a_form_whose_file_name_is_of_any_encoding(till: FlaskClient, name: bytes) -> None:
    seed = 3000 + sum(name)

    def form(field: bytes) -> bytes:
        sku = b'--x\r\nContent-Disposition: form-data; name="sku"\r\n\r\nNAME-%d\r\n' % seed
        head = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: image/jpeg\r\n\r\n'
        return sku + head % (field, name) + pictures.jpeg(seed) + b"\r\n--x--\r\n"

    kind = "multipart/form-data; boundary=x"
    reply = till.post("/api/v1/products", data=form(b"photos"), content_type=kind)
    assert reply.status_code == 201, reply.get_data(as_text=True)
    [photo] = reply.get_json()["photos"]
    assert photo["filename"].endswith(".jpg") and photo["filename"].encode()
    asked = form(b"photo")
    answer = till.post("/api/v1/recognize", data=asked, content_type=kind).get_json()
    assert answer["matches"][0]["sku"] == f"NAME-{seed}"


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n", b"no form", b"--x\r\nContent-Disposition: \xfc\r\n\r\n\r\n--x--"]
)
def test_a_form_that_is_cut_short_or_none(till: FlaskClient, body: bytes) -> None:
    reply = till.post("/api/v1/recognize", data=body, content_type="multipart/form-data; boundary=x")
    problem(reply, 422, "invalid_input")
    reply = till.post("/api/v1/recognize", data=body, content_type="multipart/form-data")
    problem(reply, 422, "invalid_input")


def test_a_field_of_a_form_that_is_too_large(till: FlaskClient) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="sku"\r\n\r\n' + b"A" * 600_000 + b"\r\n--x--\r\n"
    reply = till.post("/api/v1/products", data=body, content_type="multipart/form-data; boundary=x")
    problem(reply, 413, "request_entity_too_large")


@pytest.mark.parametrize("kind", BAD_SKUS)
def test_bad_skus(till: FlaskClient, catalog: Catalog, kind: str) -> None:
    before = state(catalog)
    assert problem(add(till, BAD_SKUS[kind], 31), 422, "invalid_input")["field"] == "sku"
    assert state(catalog) == before


def test_a_sku_that_exists(till: FlaskClient, catalog: Catalog) -> None:
    add(till, "API-TWICE", 41)
    before = state(catalog)
    problem(add(till, "API-TWICE", 42), 409, "sku_exists")
    assert state(catalog) == before


def test_no_photo(till: FlaskClient) -> None:
    assert problem(add(till, "API-NONE"), 422, "invalid_input")["field"] == "photos"
    reply = till.post("/api/v1/recognize", data={"label": ""}, content_type="multipart/form-data")
    assert problem(reply, 422, "invalid_input")["field"] == "photo"
    assert problem(till.post("/api/v1/recognize"), 422, "empty")["field"] == "photo"


def test_a_request_that_is_too_large(till: FlaskClient) -> None:
    problem(ask(till, b"\xff" * (27 * 1024 * 1024)), 413, "request_entity_too_large")


@pytest.mark.parametrize("path", ["/api/v1/recognize", "/api/v1/products"])
def test_keys(anybody: FlaskClient, catalog: Catalog, path: str) -> None:
    for header in [None, "Bearer", "Bearer ", "Basic YTpi"]:
        headers = {"Authorization": header} if header else {}
        reply = anybody.post(path, data=pictures.jpeg(1), headers=headers)
        problem(reply, 401, "key_missing")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    problem(anybody.post(path, headers={"Authorization": "Bearer pc_wrong"}), 401, "key_unknown")
    made = accounts.add_key(catalog.database, "soon gone", accounts.SCOPES, actor="test")
    headers = {"Authorization": f"Bearer {made.key}"}
    assert anybody.post(path, headers=headers).status_code == 422, "the key opens, the request is empty"
    accounts.revoke_key(catalog.database, made.id, actor="test")
    problem(anybody.post(path, headers=headers), 401, "key_unknown")


def test_unknown_path_and_method_are_problems_too(till: FlaskClient) -> None:
    problem(till.get("/api/v1/nothing"), 404, "not_found")
    problem(till.get("/api/v1/recognize"), 405, "method_not_allowed")


def test_retired_is_gone_from_the_next_answer(till: FlaskClient, catalog: Catalog) -> None:
    add(till, "API-OLD", 51)
    products.set_active(catalog, "API-OLD", False, actor="test")
    skus = [match["sku"] for match in ask(till, pictures.jpeg(51)).get_json()["matches"]]
    assert "API-OLD" not in skus
    products.set_active(catalog, "API-OLD", True, actor="test")
    assert ask(till, pictures.jpeg(51)).get_json()["matches"][0]["sku"] == "API-OLD"


def test_health(anybody: FlaskClient, catalog: Catalog) -> None:
    assert anybody.get("/health").get_json() == {"status": "ok"}
    ready = anybody.get("/health/ready").get_json()
    assert ready["bundle"] == catalog.generations.ready().embedder.bundle.id
    assert ready["gallery"] == ready["photos"] and ready["pending"] == 0


def test_the_description_names_every_answer(anybody: FlaskClient, app) -> None:
    described = anybody.get("/openapi/v1.json").get_json()
    paths = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api.")
    }
    assert set(described["paths"]) == paths
    recognize = described["paths"]["/api/v1/recognize"]["post"]
    assert {"200", "401", "413", "415", "422", "503"} <= set(recognize["responses"])
    assert {"multipart/form-data", "image/*"} <= set(recognize["requestBody"]["content"])
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"

"""gzip of requests and of answers."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest
from flask.testing import FlaskClient

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.products import Facts, Intake
from tests.support.pictures import jpeg

SEED = 6000


@pytest.fixture(scope="module", autouse=True)
def stock(catalog: Catalog) -> None:
    for at in range(6):
        facts = Facts(f"ZIP-{at}", labels=("zipped",))
        products.create(catalog, facts, [NewPhoto(f"{at}.jpg", jpeg(SEED + at))], Intake("test"))


def send(till: FlaskClient, data: bytes, coding: str = "gzip", kind: str = "image/jpeg", **headers: str):
    headers = {"Content-Encoding": coding, **headers}
    return till.post("/api/v1/recognize?label=zipped", data=data, content_type=kind, headers=headers)


def code(reply) -> tuple[int, str]:
    return reply.status_code, reply.get_json(force=True)["code"]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity"])
def test_a_compressed_photo(till: FlaskClient, coding: str) -> None:
    data = jpeg(SEED + 2) if coding == "identity" else gzip.compress(jpeg(SEED + 2))
    reply = send(till, data, coding)
    assert (reply.status_code, reply.get_json()["matches"][0]["sku"]) == (200, "ZIP-2")


def test_a_compressed_form(till: FlaskClient) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    form = head + jpeg(SEED + 3) + b"\r\n--x--\r\n"
    half = len(form) // 2  # a gzip stream may have several members
    reply = send(till, gzip.compress(form[:half]) + gzip.compress(form[half:]), kind="multipart/form-data; boundary=x")
    assert (reply.status_code, reply.get_json()["matches"][0]["sku"]) == (200, "ZIP-3")


NO_GZIP = {
    "nothing": b"",
    "text": b"no gzip",
    "cut short": gzip.compress(b"x" * 5000)[:-9],
    "damaged": b"\x1f\x8b\x08" + 40 * b"\xff",
}


@pytest.mark.parametrize("name", NO_GZIP)
@pytest.mark.parametrize("kind", ["image/jpeg", "application/json", "multipart/form-data; boundary=x"])
def test_what_is_no_gzip(till: FlaskClient, name: str, kind: str) -> None:
    assert send(till, NO_GZIP[name], kind=kind).status_code == 422


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "\xfc"])
def test_another_coding(till: FlaskClient, coding: str) -> None:
    reply = send(till, b"data", coding)
    assert code(reply) == (415, "unsupported_media_type")
    assert reply.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("kind", ["image/jpeg", "application/json", "multipart/form-data; boundary=x"])
def test_the_limit_is_that_of_what_comes_out(till: FlaskClient, kind: str) -> None:
    """A gigabyte of zeros in one megabyte: refused, and never held in memory."""
    million = gzip.compress(bytes(2**20), 9)
    head = gzip.compress(b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n')
    bomb = (head if "multipart" in kind else b"") + 1024 * million
    tracemalloc.start()
    reply = send(till, bomb, kind=kind)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert code(reply) == (413, "request_entity_too_large")
    assert most < 120 * 2**20


def test_an_answer_is_compressed_for_who_takes_it(till: FlaskClient) -> None:
    plain = send(till, jpeg(SEED), "identity")
    assert "Content-Encoding" not in plain.headers and "Accept-Encoding" in plain.headers["Vary"]
    zipped = send(till, jpeg(SEED), "identity", Accept_Encoding="br, gzip;q=0.5")
    assert zipped.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in zipped.headers["Vary"]
    assert len(zipped.data) == int(zipped.headers["Content-Length"]) < len(plain.data) / 2
    one, other = (products_of(data) for data in (plain.data, gzip.decompress(zipped.data)))
    assert one == other
    assert "Content-Encoding" not in send(till, jpeg(SEED), "identity", Accept_Encoding="gzip;q=0").headers


def products_of(data: bytes) -> list[str]:
    return [match["sku"] for match in json.loads(data)["matches"]]


def test_what_is_small_or_a_picture_is_not_compressed(till: FlaskClient) -> None:
    takes = {"Accept-Encoding": "gzip"}
    problem = till.post("/api/v1/recognize?labels=a", data=jpeg(SEED), headers=takes)
    assert problem.status_code == 422 and "Content-Encoding" not in problem.headers
    path = send(till, jpeg(SEED), "identity").get_json()["matches"][0]["photo"]["thumbnail"]
    picture = till.get(path, headers=takes)
    assert picture.data[:2] == b"\xff\xd8" and "Content-Encoding" not in picture.headers
    assert "Accept-Encoding" not in picture.headers.get("Vary", "")

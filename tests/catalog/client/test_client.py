"""The client against the server in a process of its own, and against one that fails on purpose."""

from __future__ import annotations

import asyncio
import inspect
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from catalog import accounts
from catalog.client import AsyncClient, Client, ProblemError, Retries, calls, models
from catalog.client.decoding import decode
from tests.support import pictures
from tests.support.served import Served, environment, run, served

QUICK = Retries(tries=4, first=0.01, longest=2.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    folder = tmp_path_factory.mktemp("client")
    env = environment(CATALOG_DATA=str(folder / "data"))
    scopes = [argument for scope in accounts.SCOPES for argument in ("--scope", scope)]
    key = run(["key", "create", "client", *scopes], env).stdout.split()[-1]
    with served(folder / "log", env) as server:
        yield server, key


@pytest.mark.slow
def test_a_day_of_a_till(site: tuple[Served, str], tmp_path: Path) -> None:
    server, key = site
    photo = tmp_path / "front.jpg"
    photo.write_bytes(pictures.jpeg(1))
    with Client(server.url, key) as catalog:
        added = catalog.add_product("TEA/1", [photo, pictures.jpeg(2)], name="Green tea", barcodes=["4006381333931"])
        assert isinstance(added, models.Added) and added.searchable and added.barcodes == ["04006381333931"]
        assert [(one.filename, one.state) for one in added.photos] == [
            ("front.jpg", "searchable"),
            ("photo.jpg", "searchable"),
        ]
        for given in (photo, pictures.jpeg(1), io.BytesIO(pictures.jpeg(1)), photo.open("rb")):
            answer = catalog.recognize(given, skus=["TEA/1"])
            assert isinstance(answer, models.Recognition)
            assert (answer.matches[0].sku, answer.matches[0].name) == ("TEA/1", "Green tea")
            if hasattr(given, "close"):
                given.close()
        assert catalog.add_feedback(answer.id, correct=True) is None
        logged = catalog.recognition(answer.id)
        assert isinstance(logged, models.LoggedRecognition) and logged.feedback and logged.feedback.correct
        assert [one.id for one in catalog.recognitions("TEA/1", limit=1).recognitions] == [answer.id]
        shown = answer.matches[0].photo
        assert shown and catalog.thumbnail(shown.sha256).startswith(b"\xff\xd8\xff")
        assert "product.created" in {change.type for change in catalog.changes().changes}
        with pytest.raises(ProblemError, match="invalid_input") as refused:
            catalog.add_product("..", [pictures.jpeg(3)], barcodes=["4006381333931", "1"])
        assert refused.value.status == 422 and refused.value.problem.errors
        assert [error.field for error in refused.value.problem.errors] == ["sku", "barcode.1"]
        with pytest.raises(ProblemError) as bad:
            catalog.recognize(b"no photo")
        assert bad.value.code == "not_an_image" and bad.value.problem.request_id


@pytest.mark.slow
def test_the_same_with_asyncio(site: tuple[Served, str]) -> None:
    server, key = site

    async def day() -> list[models.Recognition]:
        async with AsyncClient(server.url, key) as catalog:
            await catalog.add_product("ASYNC-1", [pictures.jpeg(11)])
            answers = await asyncio.gather(*(catalog.recognize(pictures.jpeg(11), skus=["ASYNC-1"]) for _ in range(4)))
            await catalog.add_feedback(answers[0].id, correct=False, note="no")
            with pytest.raises(ProblemError, match="key_unknown"):
                async with AsyncClient(server.url, "pc_wrong") as other:
                    await other.recognize(pictures.jpeg(11))
            return list(answers)

    assert {answer.matches[0].sku for answer in asyncio.run(day())} == {"ASYNC-1"}


@pytest.mark.slow
def test_an_erp(site: tuple[Served, str]) -> None:
    server, key = site
    with Client(server.url, key) as catalog:
        made = catalog.put_product("ERP/1", name="Tea", labels=["erp"], photos=[pictures.jpeg(51)])
        assert (made.name, made.labels, len(made.photos), made.searchable) == ("Tea", ["erp"], 1, True)
        assert catalog.put_product("ERP/1", name="Tea", labels=["erp"]) == made, "the same again changes nothing"
        changed = catalog.change_product("ERP/1", etag=made.etag, brand="KIBO")
        assert changed.brand == "KIBO" and catalog.get_product("ERP/1") == changed
        with pytest.raises(ProblemError) as outdated:
            catalog.change_product("ERP/1", etag=made.etag, brand="other")
        assert outdated.value.status == 412
        added = catalog.add_photos("ERP/1", [pictures.jpeg(52), pictures.jpeg(51)])
        assert [photo.duplicate for photo in added.photos] == [False, True]
        assert catalog.photo_file("ERP/1", added.photos[0].id) == pictures.jpeg(52)
        catalog.restore(catalog.delete_photo("ERP/1", added.photos[0].id).entry)
        assert [product.sku for product in catalog.products(label="erp").products] == ["ERP/1"]
        assert catalog.rename_product("ERP/1", "ERP 2").sku == "ERP 2"
        answers = catalog.recognize_batch([pictures.jpeg(51), b"no photo"], skus=["ERP 2"]).answers
        assert answers[0].recognition and answers[0].recognition.matches[0].sku == "ERP 2"
        assert answers[1].problem and answers[1].problem.code == "not_an_image"
        deleted = catalog.delete_product("ERP 2")
        assert catalog.products(label="erp").products == []
        assert catalog.restore(deleted.entry).sku == "ERP 2"


@pytest.mark.slow
def test_an_import(site: tuple[Served, str], tmp_path: Path) -> None:
    server, key = site
    photo, rows = tmp_path / "a.jpg", tmp_path / "list.csv"
    photo.write_bytes(pictures.jpeg(21))
    rows.write_text("Artikel,name,photos\nIMPORT-1,Tea,a.jpg\nIMPORT-2,Cup,none.jpg\n")
    with Client(server.url, key) as catalog:
        begun = catalog.start_import([rows, photo], columns={"sku": "Artikel"})
        deadline = time.monotonic() + 120
        while (job := catalog.get_import(begun.id)).state not in ("done", "failed") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert (job.state, job.counts.products, job.counts.left_out) == ("done", 1, 1), job
        assert [error.sku for error in catalog.import_errors(begun.id).errors] == ["IMPORT-2"]
        assert catalog.cancel_import(begun.id).state == "done", "one that is over stays as it is"


def test_both_clients_do_the_same() -> None:
    def methods(kind: type) -> dict[str, str]:
        found = {name: inspect.signature(what) for name, what in vars(kind).items() if not name.startswith("_")}
        return {name: str(signature) for name, signature in found.items()}

    assert methods(Client) == methods(AsyncClient) and len(methods(Client)) > 10


class Failing(BaseHTTPRequestHandler):
    """Answers what it is told to, in turn, and remembers what it was asked."""

    answers: ClassVar[list[tuple[int, dict[str, str], bytes]]] = []
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).asked.append((self.headers["Idempotency-Key"], body))
        status, headers, answer = type(self).answers.pop(0)
        if not status:  # hang up
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[tuple[str, type[Failing]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    Failing.answers, Failing.asked = [], []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Failing
    server.shutdown()
    server.server_close()
    thread.join()


DONE = (204, {}, b"")


def test_what_the_server_had_no_time_for_is_repeated_with_one_key(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    server.answers = [(503, {"Retry-After": "0"}, b""), (429, {"Retry-After": "1"}, b""), (0, {}, b""), DONE]
    with Client(url, "key", retries=QUICK) as catalog:
        catalog.add_feedback("1", correct=True)
    assert len(server.asked) == 4 and len(set(server.asked)) == 1, "the same body, with the same key"
    server.asked.clear()
    server.answers = [DONE, DONE]
    with Client(url, "key", retries=QUICK) as catalog:
        catalog.add_feedback("1", correct=True)
        catalog.add_feedback("1", correct=True)
    assert len({key for key, _ in server.asked}) == 2, "another request has another key"


def test_a_request_that_the_server_is_still_at_work_at_is_repeated(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    server.answers = [(0, {}, b""), (409, {"Retry-After": "0"}, b""), DONE]  # as after a timeout
    with Client(url, "key", retries=QUICK) as catalog:
        catalog.add_feedback("1", correct=True)
    assert len(server.asked) == 3 and len(set(server.asked)) == 1


def test_asyncio_repeats_as_well(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    server.answers = [(503, {}, b""), (0, {}, b""), DONE]

    async def judge() -> None:
        async with AsyncClient(url, "key", retries=QUICK) as catalog:
            await catalog.add_feedback("1", correct=True)

    asyncio.run(judge())
    assert len(server.asked) == 3 and len(set(server.asked)) == 1


def test_what_would_be_answered_the_same_is_not_repeated(failing: tuple[str, type[Failing]]) -> None:
    url, server = failing
    problem = b'{"type": "/problems/conflict", "title": "Conflict", "status": 409, "code": "conflict", "detail": "No.",'
    problem += b' "request_id": "r", "a member of a later version": 1}'
    server.answers = [
        (409, {"Content-Type": "application/problem+json"}, problem),
        (502, {"X-Request-Id": "p"}, b"<h1>Bad gateway</h1>"),
        (503, {"Retry-After": "3600"}, b""),
    ]
    with Client(url, "key", retries=QUICK) as catalog:
        with pytest.raises(ProblemError, match=r"No\. \(conflict, request r\)"):
            catalog.add_feedback("1", correct=True)
        with pytest.raises(ProblemError) as page:
            catalog.add_feedback("1", correct=True)
        assert (page.value.code, page.value.status, page.value.problem.request_id) == ("bad_gateway", 502, "p")
        with pytest.raises(ProblemError, match="503"):
            catalog.add_feedback("1", correct=True)
    assert len(server.asked) == 3


def test_an_unreachable_server_is_given_up() -> None:
    with Client("http://127.0.0.1:1", "key", retries=QUICK) as catalog, pytest.raises(httpx.ConnectError):
        catalog.add_feedback("1", correct=True)
    assert QUICK.wait(3, httpx.ConnectError("")) is None
    waits = [Retries(tries=20).wait(repeat, httpx.ConnectError("")) or 0 for repeat in range(12)]
    assert waits[0] <= 0.25 and waits[2] > waits[0] and max(waits) <= 30


@pytest.mark.parametrize(
    ("sku", "part"), [("A 1", "A%201"), ("A/1", "A%252F1"), ("50%", "50%2525"), ("ä?#", "%C3%A4%3F%23")]
)
def test_skus_in_paths(sku: str, part: str) -> None:
    assert calls.escaped(sku) == part


def test_answers_of_another_version() -> None:
    said = {"photos": 3, "of": 5, "new": {"a": 1}}
    assert decode(models.LookedAt, said) == models.LookedAt(photos=3, of=5)
    with pytest.raises(ValueError, match="has no of"):
        decode(models.LookedAt, {"photos": 3})


def test_it_loads_nothing_of_the_server() -> None:
    code = "import sys, catalog.client; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not {"flask", "numpy", "sqlalchemy", "pydantic", "qdrant_edge", "PIL", "cv2", "web", "embedder"} & loaded

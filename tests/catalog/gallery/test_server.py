"""A gallery on a server: how it bears what networks and servers do, and what it asks for. Over real sockets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from qdrant_client import models

from catalog.config import ServerOptions
from catalog.errors import ConfigError, GalleryError, GalleryMismatchError, GalleryUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.gallery.collection_schema import VECTOR_NAME
from tests.support.galleries import DIM, GENERATION, point_id, points, unit_vectors, words_of
from tests.support.qdrants import HttpFault, closes, forgets, grpc_qdrant, http_qdrant, names_of, says

HTML = b"<html><body>502 Bad Gateway</body></html>"


def by_grpc(port: int, **options: Any) -> Gallery:
    return open_gallery("http://127.0.0.1:6333", options=ServerOptions(grpc_port=port, **options))


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PASSING: dict[str, HttpFault] = {
    "500": says(500, b"broken"),
    "502 in HTML": says(502, HTML),
    "503": says(503, b'{"status": {"error": "starting"}}'),
    "429": says(429, b"slow down"),
    "429 for a second": says(429, b"slow down", Retry_After="1"),
    "closed half-way": closes,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_passes_is_tried_again(fault: HttpFault) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(timeout=4))
        gallery.create(GENERATION, DIM)
        server.faults = [fault]
        gallery.upsert(GENERATION, points(unit_vectors(3)))
        server.faults = [fault]
        assert gallery.search(GENERATION, unit_vectors(1)[0], 1)[0].id == point_id(0)
        assert gallery.count(GENERATION) == 3
        asked = names_of(server.calls)
        assert asked.count(f"PUT /collections/{GENERATION}/points") == 2
        assert asked.count(f"POST /collections/{GENERATION}/points/query") == 2
        assert asked.count(f"POST /collections/{GENERATION}/points/count") == 1
        gallery.close()


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (says(401, b"Must provide an API key"), GalleryError, "refuses the API key"),
        (says(403, b"Forbidden"), GalleryError, "refuses the API key"),
        (says(400, b"Wrong input"), GalleryError, "Wrong input"),
        (says(404, f"Not found: Collection `{GENERATION}` doesn't exist!".encode()), GalleryMismatchError, GENERATION),
        (says(404, HTML), GalleryUnavailableError, "status 404"),
        (says(200, HTML), GalleryError, GENERATION),
        (says(200, b'{"result": {"cou'), GalleryError, GENERATION),
        (says(200, b'{"result": {"count": "many"}, "status": "ok", "time": 0}'), GalleryError, "many"),
        (says(200, b"\xff\xfe"), GalleryError, GENERATION),
        (says(200), GalleryError, GENERATION),
    ],
    ids=["401", "403", "400", "no collection", "404", "HTML", "half a JSON", "another JSON", "no text", "nothing"],
)
def test_what_stays_is_not_tried_again(fault: HttpFault, error: type[GalleryError], said: str) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        gallery.create(GENERATION, DIM)
        before = len(server.calls)
        server.faults = [fault]
        with pytest.raises(GalleryError, match=r"127\.0\.0\.1") as caught:
            gallery.count(GENERATION)
        assert type(caught.value) is error
        assert said in str(caught.value)
        assert len(server.calls) == before + 1
        assert gallery.count(GENERATION) == 0
        gallery.close()


@pytest.mark.parametrize("tries", [1, 2, 4])
def test_tries_are_counted(tries: int) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(tries=tries))
        server.faults = [says(503)] * tries
        with pytest.raises(GalleryUnavailableError, match="status 503"):
            gallery.generations()
        assert len(server.calls) == tries
        assert gallery.generations() == []
        gallery.close()


@pytest.mark.parametrize("after", ["60", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_server_that_wants_to_be_left_alone_for_long_is(after: str) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(tries=2))
        server.faults = [says(429, b"slow down", Retry_After=after)] * 2
        started = time.monotonic()
        with pytest.raises(GalleryUnavailableError, match="status 429"):
            gallery.generations()
        assert time.monotonic() - started < 5
        gallery.close()


def test_a_dead_server_is_named_within_seconds() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    gallery = open_gallery(url, api_key="key", options=ServerOptions(timeout=2))
    started = time.monotonic()
    calls: list[Callable[[], object]] = [
        lambda: gallery.create(GENERATION, DIM),
        lambda: gallery.search(GENERATION, unit_vectors(1)[0], 5),
        gallery.generations,
    ]
    for call in calls:
        with pytest.raises(GalleryUnavailableError, match=url):
            call()
    assert time.monotonic() - started < 5
    gallery.close()


@pytest.mark.parametrize("spoken", ["http", "grpc"])
def test_a_server_that_comes_back_is_found_at_once(spoken: str) -> None:
    port = closed_port()
    url = f"http://127.0.0.1:{port}"
    gallery = open_gallery(url) if spoken == "http" else by_grpc(port)
    for _ in range(5):
        with pytest.raises(GalleryUnavailableError, match=str(port)):
            gallery.generations()
    with http_qdrant(port=port) if spoken == "http" else grpc_qdrant(port=port):
        deadline = time.monotonic() + 5
        while True:
            try:
                assert gallery.generations() == []
                break
            except GalleryUnavailableError:
                assert time.monotonic() < deadline
    gallery.close()


def test_a_refused_connection_is_tried_again() -> None:
    port, done = closed_port(), threading.Event()

    def start() -> None:
        with http_qdrant(port=port):
            done.wait(30)

    thread = threading.Timer(0.2, start)
    thread.start()
    gallery = open_gallery(f"http://127.0.0.1:{port}", options=ServerOptions(tries=6))
    try:
        assert gallery.generations() == []
    finally:
        done.set()
        thread.join()
        gallery.close()


@pytest.mark.parametrize("times", [1, 2])
def test_writes_whose_answer_was_lost_are_repeated_without_harm(times: int) -> None:
    new = says(200, b'{"result": {"exists": false}, "status": "ok", "time": 0}')
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        server.faults = [new, forgets]
        gallery.create(GENERATION, DIM)
        server.faults = [forgets] * times
        gallery.upsert(GENERATION, points(unit_vectors(3)))
        server.faults = [forgets] * times
        gallery.delete(GENERATION, [point_id(0)])
        assert gallery.ids(GENERATION) == {point_id(1), point_id(2)}
        server.faults = [forgets] * times
        gallery.drop(GENERATION)
        assert gallery.generations() == []
        asked = names_of(server.calls)
        assert asked.count(f"PUT /collections/{GENERATION}") == 2
        assert asked.count(f"PUT /collections/{GENERATION}/points") == 1 + times
        assert asked.count(f"DELETE /collections/{GENERATION}") == 1 + times
        gallery.close()


GRPC_PASSING: dict[str, tuple[StatusCode, str]] = {
    "unavailable": (StatusCode.UNAVAILABLE, "starting"),
    "internal": (StatusCode.INTERNAL, "broken"),
    "too many": (StatusCode.RESOURCE_EXHAUSTED, "slow down"),
}


@pytest.mark.parametrize("fault", GRPC_PASSING.values(), ids=GRPC_PASSING.keys())
def test_grpc_what_passes_is_tried_again(fault: tuple[StatusCode, str]) -> None:
    with grpc_qdrant() as server:
        gallery = by_grpc(server.port)
        gallery.create(GENERATION, DIM)
        server.faults = [fault]
        gallery.upsert(GENERATION, points(unit_vectors(3)))
        server.faults = [fault]
        assert gallery.search(GENERATION, unit_vectors(1)[0], 1)[0].id == point_id(0)
        asked = names_of(server.calls)
        assert (asked.count("Upsert"), asked.count("Query")) == (2, 2)
        gallery.close()


@pytest.mark.parametrize(
    ("code", "details", "error", "said"),
    [
        (StatusCode.UNAUTHENTICATED, "Must provide an API key", GalleryError, "refuses the API key"),
        (StatusCode.PERMISSION_DENIED, "Forbidden", GalleryError, "refuses the API key"),
        (StatusCode.INVALID_ARGUMENT, "Wrong input", GalleryError, "Wrong input"),
        (StatusCode.FAILED_PRECONDITION, "not now", GalleryError, "not now"),
        (StatusCode.NOT_FOUND, f"Collection `{GENERATION}` doesn't exist!", GalleryMismatchError, GENERATION),
        (StatusCode.UNIMPLEMENTED, "", GalleryUnavailableError, "UNIMPLEMENTED"),
    ],
    ids=["no key", "no right", "wrong input", "not now", "no collection", "no such call"],
)
def test_grpc_what_stays_is_not_tried_again(
    code: StatusCode, details: str, error: type[GalleryError], said: str
) -> None:
    with grpc_qdrant() as server:
        gallery = by_grpc(server.port)
        gallery.create(GENERATION, DIM)
        before = len(server.calls)
        server.faults = [(code, details)]
        with pytest.raises(GalleryError, match=rf"127\.0\.0\.1.*{server.port}") as caught:
            gallery.count(GENERATION)
        assert type(caught.value) is error
        assert said in str(caught.value)
        assert len(server.calls) == before + 1
        gallery.close()


def test_grpc_tries_end() -> None:
    with grpc_qdrant() as server:
        gallery = by_grpc(server.port, timeout=1, tries=3)
        server.faults = [(StatusCode.UNAVAILABLE, "starting")] * 3
        with pytest.raises(GalleryUnavailableError, match="UNAVAILABLE: starting"):
            gallery.generations()
        assert len(server.calls) == 3
        gallery.close()


def test_grpc_an_old_server_says_to_embed_anew() -> None:
    with grpc_qdrant() as server:
        dense = models.VectorParams(size=DIM, distance=models.Distance.COSINE)
        server.behind.client.create_collection(GENERATION, vectors_config={VECTOR_NAME: dense})
        gallery = by_grpc(server.port)
        assert gallery.count(GENERATION) == 0
        server.faults = [(StatusCode.UNIMPLEMENTED, "")]
        with pytest.raises(GalleryMismatchError, match=r"1\.18.*re-embed"):
            gallery.upsert(GENERATION, points(unit_vectors(1), words={0: words_of(7)}))
        gallery.close()


def test_grpc_asked_of_something_else_is_an_error() -> None:
    with http_qdrant() as server:
        gallery = by_grpc(server.server_port, timeout=1)
        with pytest.raises(GalleryUnavailableError, match=r"127\.0\.0\.1"):
            gallery.generations()
        gallery.close()


def test_a_new_generation_is_kept_as_the_options_say() -> None:
    options = ServerOptions(shards=6, replicas=2, on_disk=True, quantized=True)
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=options)
        gallery.create(GENERATION, DIM)
        gallery.close()
        (body,) = [body for call, body in server.calls if call == f"PUT /collections/{GENERATION}"]
    assert body == {
        "vectors": {"embedding": {"size": DIM, "distance": "Cosine", "on_disk": True}},
        "sparse_vectors": {"words": {"modifier": "idf", "index": {"on_disk": True}}},
        "shard_number": 6,
        "replication_factor": 2,
        "quantization_config": {"scalar": {"type": "int8", "always_ram": True}},
    }


def test_grpc_a_new_generation_is_kept_as_the_options_say() -> None:
    with grpc_qdrant() as server:
        gallery = by_grpc(server.port, shards=6, replicas=2, on_disk=True, quantized=True)
        gallery.create(GENERATION, DIM)
        gallery.close()
        (made,) = [message for call, message in server.calls if call == "Create"]
    assert (made.shard_number, made.replication_factor) == (6, 2)
    assert made.vectors_config.params_map.map["embedding"].on_disk
    assert made.sparse_vectors_config.map["words"].index.on_disk
    assert made.quantization_config.scalar.always_ram


def test_by_default_the_server_decides() -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        gallery.create(GENERATION, DIM)
        gallery.close()
        (body,) = [body for call, body in server.calls if call == f"PUT /collections/{GENERATION}"]
    assert body == {
        "vectors": {"embedding": {"size": DIM, "distance": "Cosine"}},
        "sparse_vectors": {"words": {"modifier": "idf"}},
    }


@pytest.mark.parametrize("quantized", [False, True])
def test_quantized_vectors_only_choose_candidates(quantized: bool) -> None:
    vector = unit_vectors(1)[0]
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(quantized=quantized))
        gallery.create(GENERATION, DIM)
        gallery.search(GENERATION, vector, 5)
        search = server.calls[-1][1]
        gallery.shortlist(GENERATION, vector, words_of(7), 5)
        near, alike = server.calls[-1][1]["prefetch"]
        gallery.close()
    rescored = {"quantization": {"rescore": True, "oversampling": 2.0}} if quantized else {}
    assert search["params"] == near["params"] == {"hnsw_ef": 256, **rescored}
    assert "params" not in alike


def test_the_api_key_goes_along() -> None:
    with http_qdrant() as http, grpc_qdrant() as spoken:
        for url, options in (
            (http.url, ServerOptions()),
            ("http://127.0.0.1", ServerOptions(grpc_port=spoken.port)),
        ):
            gallery = open_gallery(url, api_key="hidden-word", options=options)
            gallery.generations()
            gallery.close()
        assert http.keys == spoken.keys == ["hidden-word"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that nobody but this test trusts, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "ca.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


def test_a_private_ca(certificate: tuple[Path, Path]) -> None:
    with http_qdrant(tls=certificate) as http, grpc_qdrant(tls=certificate) as spoken:
        for port in (None, spoken.port):
            gallery = open_gallery(http.url, options=ServerOptions(ca=certificate[0], grpc_port=port))
            gallery.create(GENERATION, DIM)
            gallery.upsert(GENERATION, points(unit_vectors(3)))
            assert gallery.search(GENERATION, unit_vectors(1)[0], 1)[0].id == point_id(0)
            gallery.close()
            stranger = open_gallery(http.url, options=ServerOptions(grpc_port=port, tries=1))
            with pytest.raises(GalleryUnavailableError, match="CATALOG_GALLERY_CA"):
                stranger.count(GENERATION)
            stranger.close()
        assert len(http.calls) == len(spoken.calls) > 0


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_can_not_be_used(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"CATALOG_GALLERY_CA=.*ca\.pem.* PEM"):
        open_gallery("https://127.0.0.1", options=ServerOptions(ca=path))


def test_a_ca_does_not_go_with_plain_http(certificate: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match=r"CATALOG_GALLERY_CA.*https"):
        open_gallery("http://127.0.0.1", options=ServerOptions(ca=certificate[0]))

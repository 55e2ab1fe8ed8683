"""Several nodes of one cluster, asked in turn; what a server says of its failures; and what is logged of calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from grpc import StatusCode

from catalog.config import ServerOptions
from catalog.errors import ConfigError, GalleryError, GalleryMismatchError, GalleryUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.gallery.silence import REST
from tests.support.galleries import DIM, GENERATION, point_id, points, unit_vectors
from tests.support.qdrants import forgets, grpc_qdrant, http_qdrant, names_of, refuses, says, silence
from tests.support.redises import free_port

HOSTS = ("127.0.0.1", "127.0.0.2")


class Cluster:
    """Two nodes with the same collections, and a gallery that has the addresses of both."""

    def __init__(self, stack: ExitStack, spoken: str, **options: Any) -> None:
        if spoken == "http":
            first = stack.enter_context(http_qdrant())
            self.nodes: list[Any] = [first, stack.enter_context(http_qdrant(behind=first.behind))]
            urls = [node.url for node in self.nodes]
        else:
            port = free_port()
            one = stack.enter_context(grpc_qdrant(port=port))
            self.nodes = [one, stack.enter_context(grpc_qdrant(port=port, behind=one.behind, host=HOSTS[1]))]
            urls = [f"http://{host}:6333" for host in HOSTS]
            options["grpc_port"] = port
        self.spoken = spoken
        self.gallery = open_gallery(", ".join(urls), options=ServerOptions(**options))
        stack.callback(self.gallery.close)

    def stop(self, node: Any) -> None:
        """End it, with its connections."""
        if self.spoken == "grpc":
            node.server.stop(None).wait()
        else:
            node.shutdown()
            node.server_close()

    def unavailable(self, reason: str) -> Any:
        return refuses(503, reason) if self.spoken == "http" else (StatusCode.UNAVAILABLE, reason)

    def waiting(self, seconds: float) -> Any:
        if self.spoken == "grpc":
            return seconds, ""
        return lambda handler: time.sleep(seconds)


@pytest.fixture(params=["http", "grpc"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack, request.param, timeout=1)


def counted(cluster: Cluster) -> list[int]:
    return [len(node.calls) for node in cluster.nodes]


def test_one_node_is_asked_until_it_fails(cluster: Cluster) -> None:
    gallery, (first, second) = cluster.gallery, cluster.nodes
    gallery.create(GENERATION, DIM)
    gallery.upsert(GENERATION, points(unit_vectors(3)))
    assert len(first.calls) > 3 and not second.calls
    cluster.stop(first)
    began = time.monotonic()
    for _ in range(5):
        assert gallery.search(GENERATION, unit_vectors(1)[0], 1)[0].id == point_id(0)
    assert gallery.count(GENERATION) == 3
    assert time.monotonic() - began < 2
    gallery.delete(GENERATION, [point_id(0)])
    assert gallery.ids(GENERATION) == {point_id(1), point_id(2)}


def test_after_a_failure_the_next_node_is_asked_at_once_and_from_then_on(cluster: Cluster) -> None:
    gallery, (first, _) = cluster.gallery, cluster.nodes
    gallery.create(GENERATION, DIM)
    before = counted(cluster)
    first.faults = [cluster.unavailable("starting")]
    began = time.monotonic()
    for _ in range(4):
        assert gallery.count(GENERATION) == 0
    assert time.monotonic() - began < 1
    assert [now - then for now, then in zip(counted(cluster), before, strict=True)] == [1, 4]


def test_a_node_that_is_silent_is_waited_for_once(cluster: Cluster) -> None:
    """By those that asked it before it was known to be."""
    gallery, (first, _) = cluster.gallery, cluster.nodes
    gallery.create(GENERATION, DIM)
    time.sleep(0.6)  # so that its last answer is not of this moment
    first.faults = [cluster.waiting(2.5)] * 100
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: gallery.count(GENERATION), range(8))) == [0] * 8
    assert 0.9 < time.monotonic() - began < 2.5
    asked = len(first.calls)
    began = time.monotonic()
    while time.monotonic() - began < REST + 0.5:  # also when its rest is over, as the other one answers
        assert gallery.count(GENERATION) == 0
        time.sleep(0.1)
    assert len(first.calls) == asked


def test_a_write_that_a_node_did_and_did_not_confirm_is_repeated_on_the_next() -> None:
    with ExitStack() as stack:
        cluster = Cluster(stack, "http")
        gallery, (first, second) = cluster.gallery, cluster.nodes
        first.faults = [says(200, b'{"result": {"exists": false}, "status": "ok", "time": 0}'), forgets]
        gallery.create(GENERATION, DIM)
        second.faults = [forgets]
        gallery.upsert(GENERATION, points(unit_vectors(3)))
        assert gallery.count(GENERATION) == 3
        for server in (first, second):
            server.faults = [forgets]
        gallery.delete(GENERATION, [point_id(0)])
        assert gallery.ids(GENERATION) == {point_id(1), point_id(2)}
        for call in (f"PUT /collections/{GENERATION}", f"PUT /collections/{GENERATION}/points"):
            assert [names_of(node.calls).count(call) for node in cluster.nodes] == [1, 1], call


def test_a_write_that_timed_out_is_repeated_on_no_node(cluster: Cluster) -> None:
    """It may be done yet, after what comes between: the outbox writes again what SQL says then."""
    gallery, (first, second) = cluster.gallery, cluster.nodes
    gallery.create(GENERATION, DIM)
    gallery.count(GENERATION)
    before = len(second.calls)
    first.faults = [cluster.waiting(2.5)]
    with pytest.raises(GalleryUnavailableError):
        gallery.upsert(GENERATION, points(unit_vectors(1)))
    assert len(second.calls) == before
    first.faults = []


def test_a_node_that_lacks_a_generation_is_not_believed_while_another_can_not_be_asked(cluster: Cluster) -> None:
    gallery, (first, second) = cluster.gallery, cluster.nodes
    gallery.create(GENERATION, DIM)
    assert gallery.search(GENERATION, unit_vectors(1)[0], 1) == [] and not second.calls
    gallery._connection.call(GENERATION, lambda client: client.delete_collection(GENERATION))  # by somebody else
    first.faults = [cluster.unavailable("starting")] * 100
    for _ in range(2):
        with pytest.raises(GalleryUnavailableError):
            gallery.search(GENERATION, unit_vectors(1)[0], 1)
    first.faults = []
    with pytest.raises(GalleryMismatchError):
        gallery.search(GENERATION, unit_vectors(1)[0], 1)
    assert second.calls, "both say so"


def test_when_all_nodes_fail_it_is_tried_again_and_then_each_is_named(cluster: Cluster) -> None:
    gallery = cluster.gallery
    gallery.create(GENERATION, DIM)
    for node in cluster.nodes:
        node.faults = [cluster.unavailable("starting")]
    assert gallery.generations() == [GENERATION]  # in the second round
    before = counted(cluster)
    for name, node in zip(("one", "other"), cluster.nodes, strict=True):
        node.faults = [cluster.unavailable(f"{name} is starting")] * 3
    with pytest.raises(GalleryUnavailableError, match=r"No node of the cluster") as caught:
        gallery.generations()
    assert "one is starting" in str(caught.value) and "other is starting" in str(caught.value)
    tries = [now - then for now, then in zip(counted(cluster), before, strict=True)]
    assert tries[0] == tries[1] in (2, 3)  # no round begins after half a time-out
    for node in cluster.nodes:
        node.faults = []
    assert gallery.generations() == [GENERATION]


def test_a_request_that_a_node_refuses_is_not_taken_to_the_next() -> None:
    with ExitStack() as stack:
        cluster = Cluster(stack, "http")
        cluster.gallery.create(GENERATION, DIM)
        for fault in (says(401, b"Invalid API key or JWT"), refuses(400, "Wrong input")):
            cluster.nodes[0].faults = [fault]
            with pytest.raises(GalleryError):
                cluster.gallery.count(GENERATION)
        assert not cluster.nodes[1].calls


def test_a_silent_cluster_costs_each_node_s_time_out_once() -> None:
    with silence() as one, silence() as other:
        gallery = open_gallery(f"{one},{other}", options=ServerOptions(timeout=1))
        for least, most in ((1.8, 4.0), (0, 0.2)):
            began = time.monotonic()
            with pytest.raises(GalleryUnavailableError, match="No node"):
                gallery.generations()
            assert least <= time.monotonic() - began < most
        gallery.close()


@pytest.mark.parametrize("url", ["http://one,two", "http://one,", "http://one,edge:here", "http://one,http://k:s@two"])
def test_addresses_that_are_not_all_of_servers(url: str) -> None:
    with pytest.raises(ConfigError, match="commas"):
        open_gallery(url)


def test_a_private_ca_is_for_addresses_by_tls_alone(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"CATALOG_GALLERY_CA.*https"):
        open_gallery("http://one", options=ServerOptions(ca=tmp_path / "ca.pem"))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (refuses(500, "Service internal error: No space left on device"), r"status 500: .*No space left on device"),
        (refuses(503, "x" * 5000), r"status 503: x{200}\)"),
        (says(502, b"<html>Bad Gateway</html>"), r"\(status 502\)"),
        (says(500, b'{"status": "error"}'), r"\(status 500\)"),
        (says(500, b"[1, 2]"), r"\(status 500\)"),
        (says(500, b'{"status": {"error": 7}}'), r"\(status 500\)"),
    ],
    ids=["a full disk", "long", "a proxy", "no reason", "a list", "a number"],
)
def test_the_server_s_own_reason_is_told(fault: Any, said: str) -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url, options=ServerOptions(tries=1))
        server.faults = [fault]
        with pytest.raises(GalleryUnavailableError, match=said):
            gallery.generations()
        gallery.close()


WRITES: dict[str, Callable[[Gallery], object]] = {
    "create": lambda gallery: gallery.create("sku-gallery-feedfeedfeed", DIM),
    "upsert": lambda gallery: gallery.upsert(GENERATION, points(unit_vectors(1))),
    "delete": lambda gallery: gallery.delete(GENERATION, [point_id(0)]),
    "drop": lambda gallery: gallery.drop(GENERATION),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_key_that_may_only_read(write: Callable[[Gallery], object]) -> None:
    with http_qdrant() as server, grpc_qdrant() as spoken:
        by_grpc = ServerOptions(grpc_port=spoken.port)
        for gallery in (open_gallery(server.url), open_gallery("http://127.0.0.1:6333", options=by_grpc)):
            gallery.create(GENERATION, DIM)
            gallery.upsert(GENERATION, points(unit_vectors(1)))
            server.read_only = spoken.read_only = True
            with pytest.raises(GalleryError, match=r"key may not write .*Global manage access") as caught:
                write(gallery)
            assert not isinstance(caught.value, GalleryUnavailableError)
            assert gallery.search(GENERATION, unit_vectors(1)[0], 1)[0].id == point_id(0)
            server.read_only = spoken.read_only = False
            gallery.close()


def test_a_key_that_is_out_of_date_is_refused() -> None:
    with http_qdrant() as server:
        gallery = open_gallery(server.url)
        gallery.create(GENERATION, DIM)
        server.faults = [says(403, b"ExpiredSignature")]
        with pytest.raises(GalleryError, match="refuses the API key"):
            gallery.upsert(GENERATION, points(unit_vectors(1)))
        gallery.close()


def test_calls_are_not_logged_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    with http_qdrant() as server, caplog.at_level(logging.INFO):
        gallery = open_gallery(server.url)
        gallery.create(GENERATION, DIM)
        assert server.calls and not caplog.records
        server.faults = [says(503)]
        gallery.generations()
        gallery.close()
        assert [record.name for record in caplog.records] == ["catalog.gallery.server_connection"]  # a try that failed

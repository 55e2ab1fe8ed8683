"""Servers that speak Qdrant's HTTP and gRPC over real sockets, with qdrant-client's local mode behind them.

They are no Qdrant: they show what the gallery sends and how it bears what comes back. `faults` are what the next calls
meet in place of an answer; `calls` are what was asked, with the JSON of it (HTTP) or the message (gRPC).
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

HttpFault = Callable[[BaseHTTPRequestHandler], None]

#: What Qdrant says to a key that may not write.
READ_ONLY = "Forbidden: Global manage access is required"


class Unknown(Exception):
    """A collection that isn't there, in Qdrant's words."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Not found: Collection `{name}` doesn't exist!")


class Behind:
    """qdrant-client's local mode, one call at a time, and what it leaves out: payload indexes, unknown collections."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.client = QdrantClient(":memory:")
        self.indexed: set[str] = set()

    def names(self) -> list[str]:
        return [one.name for one in self.client.get_collections().collections]

    def known(self, name: str) -> str:
        if name not in self.names():
            raise Unknown(name)
        return name

    def info(self, name: str) -> models.CollectionInfo:
        found = self.client.get_collection(self.known(name))
        if name in self.indexed:
            keyword = models.PayloadIndexInfo(data_type=models.PayloadSchemaType.KEYWORD, points=0)
            found.payload_schema = {"product": keyword}
        return found

    def create(self, name: str, vectors: Any, words: Any) -> bool:
        if name in self.names():
            raise ValueError(f"Collection `{name}` already exists!")
        return self.client.create_collection(name, vectors_config=vectors, sparse_vectors_config=words)

    def drop(self, name: str) -> bool:
        self.indexed.discard(name)
        return self.client.delete_collection(name)

    def query(self, name: str, asked: models.QueryRequest) -> models.QueryResponse:
        lists = [asked.prefetch] if isinstance(asked.prefetch, models.Prefetch) else asked.prefetch
        return self.client.query_points(
            self.known(name),
            query=asked.query,
            using=asked.using,
            # Local mode always scans, and warns about parameters.
            prefetch=[one.model_copy(update={"params": None}) for one in lists or []],
            query_filter=asked.filter,
            limit=asked.limit or 10,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )

    def records(self, name: str, ids: Sequence[Any], vectors: Any, payload: bool) -> list[models.Record]:
        return self.client.retrieve(self.known(name), ids, with_payload=payload, with_vectors=vectors)

    def add_words(self, name: str, vector: str, config: models.SparseVectorNameConfig) -> None:
        self.client.create_vector_name(self.known(name), vector, config)


def _writes(method: str, place: str) -> bool:
    return method in ("PUT", "DELETE") or place.endswith("/points/delete")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: HttpQdrant

    def answer_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlsplit(self.path).path
        self.server.calls.append((f"{self.command} {place}", json.loads(body) if body else None))
        self.server.keys.append(self.headers.get("api-key"))
        time.sleep(self.server.delay)
        if self.server.read_only and _writes(self.command, place):
            refuses(403, READ_ONLY)(self)
            return
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault not in (None, forgets):
            fault(self)
            return
        try:
            with self.server.behind.turn:
                result = self.result(f"{self.command} {place}".split("/"), json.loads(body) if body else {})
            if fault is forgets:
                return
            self.say(200, {"result": result, "status": "ok", "time": 0})
        except Unknown as error:
            self.say(404, {"status": {"error": str(error)}, "time": 0})
        except Exception as error:
            self.say(400, {"status": {"error": f"Wrong input: {error}"}, "time": 0})

    do_GET = do_PUT = do_POST = do_DELETE = answer_request

    def result(self, path: list[str], body: Any) -> Any:
        behind = self.server.behind
        completed = {"operation_id": 1, "status": "completed"}
        match path:
            case ["GET ", "collections"]:
                return {"collections": [{"name": name} for name in behind.names()]}
            case ["GET ", "collections", name, "exists"]:
                return {"exists": name in behind.names()}
            case ["GET ", "collections", name]:
                return behind.info(name).model_dump(mode="json")
            case ["PUT ", "collections", name]:
                made = models.CreateCollection.model_validate(body)
                return behind.create(name, made.vectors, made.sparse_vectors)
            case ["DELETE ", "collections", name]:
                return behind.drop(name)
            case ["PUT ", "collections", name, "index"]:
                behind.indexed.add(behind.known(name))
                return completed
            case ["PUT ", "collections", name, "vectors", vector]:
                behind.add_words(name, vector, models.SparseVectorNameConfig.model_validate(body))
                return completed
            case ["PUT ", "collections", name, "points"]:
                behind.client.upsert(behind.known(name), models.PointsList.model_validate(body).points)
                return completed
            case ["POST ", "collections", name, "points"]:
                asked = models.PointRequest.model_validate(body)
                records = behind.records(name, asked.ids, asked.with_vector, bool(asked.with_payload))
                return [one.model_dump(mode="json") for one in records]
            case ["POST ", "collections", name, "points", "delete"]:
                behind.client.delete(behind.known(name), models.PointIdsList.model_validate(body))
                return completed
            case ["POST ", "collections", name, "points", "query"]:
                return behind.query(name, models.QueryRequest.model_validate(body)).model_dump(mode="json")
            case ["POST ", "collections", name, "points", "scroll"]:
                records, following = behind.client.scroll(
                    behind.known(name), limit=body["limit"], offset=body.get("offset"), with_payload=False
                )
                return {"points": [one.model_dump(mode="json") for one in records], "next_page_offset": following}
            case ["POST ", "collections", name, "points", "count"]:
                return {"count": behind.client.count(behind.known(name)).count}
        raise ValueError(f"unknown request: {path}")

    def say(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class HttpQdrant(ThreadingHTTPServer):
    """Listens on 127.0.0.1, at `url`. `behind`: what another one has, as two nodes of a cluster."""

    daemon_threads = True

    def __init__(self, port: int = 0, tls: tuple[Path, Path] | None = None, behind: Behind | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.behind = behind or Behind()
        self.calls: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []
        self.faults: list[Any] = []
        self.delay = 0.0  # seconds before each answer
        self.read_only = False  # as to a key that may not write
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def http_qdrant(
    *, port: int = 0, tls: tuple[Path, Path] | None = None, behind: Behind | None = None
) -> Iterator[HttpQdrant]:
    with HttpQdrant(port, tls, behind) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield server
        finally:
            server.shutdown()


def refuses(status: int, reason: str) -> HttpFault:
    """Answers with this status, and gives its reason as Qdrant does."""
    return says(status, json.dumps({"status": {"error": reason}, "time": 0.0}).encode())


def says(status: int, body: bytes = b"", **headers: str) -> HttpFault:
    """Answers with this status and these bytes."""
    return lambda handler: handler.say(status, body, **headers)  # type: ignore[attr-defined]


def closes(handler: BaseHTTPRequestHandler) -> None:
    """Promises an answer, sends half of it and closes the connection."""
    half = b'{"result": {"exi'
    handler.send_response(200)
    handler.send_header("Content-Length", str(2 * len(half)))
    handler.end_headers()
    handler.wfile.write(half)


def forgets(handler: BaseHTTPRequestHandler) -> None:
    """Does what was asked, and closes the connection without a word."""


def resets(handler: BaseHTTPRequestHandler) -> None:
    """Resets the connection in place of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def waits(seconds: float) -> HttpFault:
    """Says nothing for so long, then closes the connection."""
    return lambda handler: time.sleep(seconds)


@contextmanager
def silence() -> Iterator[str]:
    """The URL of something that takes connections and never answers, as a server does that was stopped by a signal."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def drips(handler: BaseHTTPRequestHandler) -> None:
    """Answers byte by byte, five in a second, and never comes to the end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "4000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.2)


class Collections(messages.CollectionsServicer):
    def __init__(self, server: GrpcQdrant) -> None:
        self.server = server

    def List(self, request: Any, context: Any) -> Any:
        with self.server.call("List", request, context) as behind:
            names = [messages.CollectionDescription(name=name) for name in behind.names()]
            return messages.ListCollectionsResponse(collections=names)

    def CollectionExists(self, request: Any, context: Any) -> Any:
        with self.server.call("CollectionExists", request, context) as behind:
            there = messages.CollectionExists(exists=request.collection_name in behind.names())
            return messages.CollectionExistsResponse(result=there)

    def Get(self, request: Any, context: Any) -> Any:
        with self.server.call("Get", request, context) as behind:
            info = RestToGrpc.convert_collection_info(behind.info(request.collection_name))
            return messages.GetCollectionInfoResponse(result=info)

    def Create(self, request: Any, context: Any) -> Any:
        with self.server.call("Create", request, context) as behind:
            vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
            words = GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config)
            made = behind.create(request.collection_name, vectors, words)
            return messages.CollectionOperationResponse(result=made)

    def Delete(self, request: Any, context: Any) -> Any:
        with self.server.call("DeleteCollection", request, context) as behind:
            return messages.CollectionOperationResponse(result=behind.drop(request.collection_name))


class Points(messages.PointsServicer):
    def __init__(self, server: GrpcQdrant) -> None:
        self.server = server
        self.completed = messages.PointsOperationResponse(
            result=messages.UpdateResult(operation_id=1, status=messages.UpdateStatus.Completed)
        )

    def Upsert(self, request: Any, context: Any) -> Any:
        with self.server.call("Upsert", request, context) as behind:
            points = [GrpcToRest.convert_point_struct(point) for point in request.points]
            behind.client.upsert(behind.known(request.collection_name), points)
            return self.completed

    def Delete(self, request: Any, context: Any) -> Any:
        with self.server.call("Delete", request, context) as behind:
            selector = GrpcToRest.convert_points_selector(request.points)
            behind.client.delete(behind.known(request.collection_name), selector)
            return self.completed

    def Query(self, request: Any, context: Any) -> Any:
        with self.server.call("Query", request, context) as behind:
            found = behind.query(request.collection_name, GrpcToRest.convert_query_points(request))
            return messages.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in found.points])

    def Get(self, request: Any, context: Any) -> Any:
        with self.server.call("GetPoints", request, context) as behind:
            ids = [GrpcToRest.convert_point_id(one) for one in request.ids]
            vectors = GrpcToRest.convert_with_vectors_selector(request.with_vectors)
            records = behind.records(request.collection_name, ids, vectors, request.with_payload.enable)
            plain = [one.model_copy(update={"payload": one.payload or {}}) for one in records]
            return messages.GetResponse(result=[RestToGrpc.convert_record(one) for one in plain])

    def Scroll(self, request: Any, context: Any) -> Any:
        with self.server.call("Scroll", request, context) as behind:
            offset = GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None
            name = behind.known(request.collection_name)
            records, following = behind.client.scroll(name, limit=request.limit, offset=offset, with_payload=False)
            return messages.ScrollResponse(
                result=[messages.RetrievedPoint(id=RestToGrpc.convert_extended_point_id(one.id)) for one in records],
                next_page_offset=None if following is None else RestToGrpc.convert_extended_point_id(following),
            )

    def Count(self, request: Any, context: Any) -> Any:
        with self.server.call("Count", request, context) as behind:
            count = behind.client.count(behind.known(request.collection_name)).count
            return messages.CountResponse(result=messages.CountResult(count=count))

    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        with self.server.call("CreateFieldIndex", request, context) as behind:
            behind.indexed.add(behind.known(request.collection_name))
            return self.completed

    def CreateVectorName(self, request: Any, context: Any) -> Any:
        with self.server.call("CreateVectorName", request, context) as behind:
            config = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))
            behind.add_words(request.collection_name, request.vector_name, config)
            return self.completed


class GrpcQdrant:
    """Listens on `host`, at `port`. `behind`: what another one has, as two nodes of a cluster."""

    def __init__(
        self,
        port: int = 0,
        tls: tuple[Path, Path] | None = None,
        behind: Behind | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.behind = behind or Behind()
        self.calls: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []
        self.faults: list[tuple[grpc.StatusCode | float, str]] = []
        self.read_only = False
        # Without SO_REUSEPORT, two servers never share a port that a test takes for its own.
        self.server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        messages.add_CollectionsServicer_to_server(Collections(self), self.server)
        messages.add_PointsServicer_to_server(Points(self), self.server)
        if tls:
            certificate, key = (path.read_bytes() for path in tls)
            credentials = grpc.ssl_server_credentials([(key, certificate)])
            self.port = self.server.add_secure_port(f"{host}:{port}", credentials)
        else:
            self.port = self.server.add_insecure_port(f"{host}:{port}")

    @contextmanager
    def call(self, name: str, request: Any, context: grpc.ServicerContext) -> Iterator[Behind]:
        self.calls.append((name, request))
        self.keys.append(dict(context.invocation_metadata()).get("api-key"))
        if self.read_only and name.startswith(("Create", "Delete", "Upsert")):
            context.abort(grpc.StatusCode.PERMISSION_DENIED, READ_ONLY)
        if self.faults:
            fault, details = self.faults.pop(0)
            if isinstance(fault, float):
                time.sleep(fault)
            else:
                context.abort(fault, details)
        try:
            with self.behind.turn:
                yield self.behind
        except Unknown as error:
            context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except Exception as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}")


@contextmanager
def grpc_qdrant(
    *,
    port: int = 0,
    tls: tuple[Path, Path] | None = None,
    behind: Behind | None = None,
    host: str = "127.0.0.1",
) -> Iterator[GrpcQdrant]:
    server = GrpcQdrant(port, tls, behind, host)
    server.server.start()
    try:
        yield server
    finally:
        server.server.stop(None).wait()


def names_of(calls: Sequence[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in calls]

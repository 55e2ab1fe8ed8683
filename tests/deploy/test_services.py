"""The services, run as processes by the very commands, settings and health checks of docker-compose.yml.

Where this machine permits it they are confined as their containers are: nothing can be written but what is a volume
there, and they have no capability. PostgreSQL and Redis are real ones; photos are in a folder, or in the stand-in for a
bucket of tests/support/buckets.py, and the gallery is the stand-in of tests/support/qdrants.py.
"""

from __future__ import annotations

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from catalog.runs import KINDS, recording
from catalog.storage import Database, content_hash
from catalog.storage.photo_store import photo_key
from tests.support import pictures
from tests.support.buckets import s3_server
from tests.support.deployed import checked, interpolated, make_secrets, ours, services
from tests.support.qdrants import http_qdrant
from tests.support.redises import free_port
from tests.support.served import environment

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

#: Seconds that a service may take until its health check passes, on a busy machine.
START = 90.0
REDIS = services()["redis"]
#: The runs of every night: what they write must have a place, too.
NIGHTLY = [kind.name for kind in KINDS.values() if kind.nightly]
#: Libraries that the image `python:...-slim` has for Python itself; the Dockerfile installs none.
OF_THE_BASE = {"ld-linux-x", "ld-linux-aarch", "libc", "libm", "libdl", "librt", "libpthread", "libutil", "libresolv"}
OF_THE_BASE |= {
    "libstdc++",
    "libgcc_s",
    "libz",
    "libbz",
    "liblzma",
    "libffi",
    "libssl",
    "libcrypto",
    "libsqlite",
    "libuuid",
}
OF_THE_BASE |= {"libnss_files", "libnss_dns", "libexpat"}
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


#: Runs "$@" with everything read-only but the folder $0, and without any capability.
CONFINED = """
mount --bind "$0" "$0"
mount -o remount,ro,bind /
exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs -- "$@"
"""


def confined(folder: Path, command: list[str]) -> list[str]:
    return ["unshare", "--mount", "sh", "-euc", CONFINED, str(folder), *command]


@cache
def can_confine(folder: Path) -> bool:
    """Root may, unless this is a container itself."""
    programs = all(map(shutil.which, ("unshare", "setpriv")))
    return programs and subprocess.run(confined(folder, ["true"]), capture_output=True).returncode == 0


@dataclass
class Host:
    """What the containers' addresses and paths are on this machine."""

    places: dict[str, str]
    port: int
    folder: Path
    database: str = ""
    gallery_keys: list[str | None] = field(default_factory=list)

    def placed(self, value: str) -> str:
        for theirs, here in self.places.items():
            value = value.replace(theirs, here)
        return value

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def environment(self, name: str, file: str = "docker-compose.yml", **given: str) -> dict[str, str]:
        own = {key: interpolated(value, {}) for key, value in ours(file)[name]["environment"].items()}
        own |= {"CATALOG_DATA": str(self.folder / "data"), "TMPDIR": str(self.folder)}
        return environment(PATH=PATH, **{k: self.placed(v) for k, v in own.items()} | given)

    def command(self, words: list[str]) -> list[str]:
        placed = [self.placed(word).replace("8000", str(self.port)) for word in words]
        return confined(self.folder, placed) if can_confine(self.folder) else placed

    def is_healthy(self, name: str, file: str = "docker-compose.yml") -> bool:
        check = ours(file)[name]["healthcheck"]
        limit = float(check["timeout"].removesuffix("s"))
        test = self.command(checked(check["test"]))
        env = self.environment(name, file)
        try:
            return subprocess.run(test, env=env, capture_output=True, timeout=limit).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    @contextmanager
    def running(self, name: str, file: str = "docker-compose.yml") -> Iterator[int]:
        """A service whose health check passes, to its orderly end after the block; its process's number."""
        assert not self.is_healthy(name, file), "a check that always passes is none"
        log = self.log(name)
        command = self.command(ours(file)[name]["command"])
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=self.environment(name, file), stdout=out, stderr=out)
        try:
            until = time.monotonic() + START
            while not self.is_healthy(name, file):
                assert process.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.2)
            yield process.pid
            process.terminate()
            grace = float(ours(file)[name]["stop_grace_period"].removesuffix("s"))
            assert process.wait(grace) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    def run(self, name: str, words: list[str], file: str = "docker-compose.yml") -> subprocess.CompletedProcess[str]:
        """A command in a service's environment, as by `docker compose exec`."""
        env = self.environment(name, file)
        return subprocess.run(self.command(words), env=env, capture_output=True, text=True, timeout=120)


@contextmanager
def redis_of_compose(folder: Path) -> Iterator[int]:
    """A Redis of the test's own with the arguments of the service, until its health check fails; its port."""
    program, client = shutil.which("redis-server"), shutil.which("redis-cli")
    if program is None or client is None:
        pytest.skip("no redis-server on this machine")
    port = free_port()
    command = [program, *REDIS["command"][1:], "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    check = [client, "-p", str(port), *checked(REDIS["healthcheck"]["test"])[1:]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while subprocess.run(check, capture_output=True).returncode:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()
    assert subprocess.run(check, capture_output=True).returncode != 0, "the check sees that it is gone"


@pytest.fixture
def database(postgres: Engine | None) -> Iterator[str]:
    """The name of a database of the test's own."""
    if postgres is None:
        pytest.skip("no PostgreSQL server")
    name = f"deploy_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield name
    with postgres.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def host(postgres: Engine, database: str, tmp_path: Path) -> Iterator[Host]:
    url = postgres.url
    secrets = make_secrets(tmp_path / "secrets")
    with ExitStack() as opened:
        gallery = opened.enter_context(http_qdrant())
        redis = opened.enter_context(redis_of_compose(tmp_path))
        places = {
            "/run/secrets/": f"{secrets}/",
            "catalog@postgres:5432/catalog": f"{url.username}@{url.host}:{url.port or 5432}/{database}",
            "http://qdrant:6333": gallery.url,
            "redis:6379": f"127.0.0.1:{redis}",
            "s3://photos/catalog": f"file:{tmp_path / 'photos'}",
            "/tmp/worker-alive": str(tmp_path / "worker-alive"),
        }
        url_here = f"postgresql+psycopg://{places['catalog@postgres:5432/catalog']}"
        yield Host(places, free_port(), tmp_path, url_here, gallery.keys)


def test_they_are_confined_where_that_is_possible(tmp_path: Path) -> None:
    if not can_confine(tmp_path):
        pytest.skip("this user may not make a mount namespace")
    (tmp_path / "volume").mkdir()
    script = (
        f"touch {tmp_path}/volume/in && ! touch {tmp_path}/out && grep -q 'CapEff:.*0000000000000000' /proc/self/status"
    )
    tried = subprocess.run(confined(tmp_path / "volume", ["sh", "-c", script]), capture_output=True, text=True)
    assert tried.returncode == 0 and "Read-only file system" in tried.stderr, tried.stderr


def test_all_services_of_ours(host: Host) -> None:
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    for _ in range(2):  # once for a new catalog, once as with each later `up`
        made = host.run("migrate", ours()["migrate"]["command"])
        assert made.returncode == 0 and "model" in made.stdout, made.stderr
    with host.running("web"), host.running("worker"):
        site = f"http://127.0.0.1:{host.port}"
        assert httpx.get(f"{site}/health/ready", timeout=30).json()["status"] == "ok"
        key = host.run("web", ["catalog", "key", "create", "till", "--scope", "recognize", "--scope", "catalog:write"])
        headers = {"Authorization": f"Bearer {key.stdout.strip()}"}
        photos = [("photos", (f"{seed}.jpg", pictures.jpeg(seed), "image/jpeg")) for seed in (1, 2, 3)]
        added = httpx.post(f"{site}/api/v1/products", data={"sku": "A"}, files=photos, headers=headers, timeout=60)
        assert added.status_code == 201 and added.json()["searchable"] is True, added.text
        answer = httpx.post(f"{site}/api/v1/recognize", content=pictures.jpeg(2), headers=headers, timeout=60)
        assert answer.json()["matches"][0]["sku"] == "A"
        with closing(Database(host.database)) as opened:
            for kind in NIGHTLY:
                asked = recording.start(opened, kind, actor="anna")
                until = time.monotonic() + START
                while (run := recording.get(opened, asked)).ended_at is None:
                    assert time.monotonic() < until, host.log("web").read_text() + host.log("worker").read_text()
                    time.sleep(0.2)
                assert run.state == "done", f"{kind}: {run.message}"
        done = re.findall(r"Task catalog\.run\S+ succeeded", host.log("worker").read_text())
        assert len(done) == len(NIGHTLY), "the worker did them, as the gallery has a server"
    assert set(host.gallery_keys) == {(host.folder / "secrets" / "gallery-api-key").read_text()}, "each call had it"
    assert list((host.folder / "photos").rglob("??/??/*")), "photos are where the setting says"
    assert not (host.folder / "data" / "catalog.db").exists(), "SQL is in PostgreSQL"
    assert not (host.folder / "data" / "secret-key").exists(), "the key of sessions is the secret"


def test_without_its_gallery_web_serves_and_keeps_what_is_added(host: Host) -> None:
    """So it is alive, which the health check asks for, and not ready."""
    host.places["http://qdrant:6333"] = f"http://127.0.0.1:{free_port()}"
    with host.running("web"):
        site = f"http://127.0.0.1:{host.port}"
        ready = httpx.get(f"{site}/health/ready", timeout=30)
        assert ready.status_code == 503 and ready.json()["code"] == "gallery_unavailable"
        key = host.run("web", ["catalog", "key", "create", "till", "--scope", "recognize", "--scope", "catalog:write"])
        headers = {"Authorization": f"Bearer {key.stdout.strip()}"}
        photo = [("photos", ("1.jpg", pictures.jpeg(1), "image/jpeg"))]
        added = httpx.post(f"{site}/api/v1/products", data={"sku": "B"}, files=photo, headers=headers, timeout=60)
        assert added.status_code == 201 and added.json()["photos"][0]["state"] == "pending", added.text
        answer = httpx.post(f"{site}/api/v1/recognize", content=pictures.jpeg(1), headers=headers, timeout=60)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert host.run("web", ["catalog", "list"]).stdout.startswith("B\t"), "what was acknowledged is kept"


def test_without_the_secret_nothing_listens(host: Host) -> None:
    (host.folder / "secrets" / "secret-key").unlink()
    refused = host.run("web", ours()["web"]["command"])
    assert refused.returncode != 0 and "CATALOG_SECRET_KEY_FILE" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_small_setting(tmp_path: Path) -> None:
    """One process with everything embedded, and one secret."""
    small = "docker-compose.small.yml"
    secrets = make_secrets(tmp_path / "secrets")
    host = Host({"/run/secrets/": f"{secrets}/"}, free_port(), tmp_path)
    with host.running("web", small) as process:
        key = host.run("web", ["catalog", "key", "create", "till", "--scope", "catalog:write"], small).stdout.strip()
        photo = [("photos", ("1.jpg", pictures.jpeg(1), "image/jpeg"))]
        headers = {"Authorization": f"Bearer {key}"}
        site = f"http://127.0.0.1:{host.port}"
        added = httpx.post(f"{site}/api/v1/products", data={"sku": "C"}, files=photo, headers=headers, timeout=60)
        assert added.status_code == 201 and added.json()["searchable"] is True, added.text
        assert {re.sub(r"[-.\d]*\.so.*", "", library) for library in libraries_of_the_system(process)} <= OF_THE_BASE
    assert (tmp_path / "data" / "catalog.db").exists()


def libraries_of_the_system(process: int) -> set[str]:
    """Names of the libraries that a process has loaded, but for those of Python and of wheels."""
    mapped = {
        Path(line.split()[-1]) for line in Path(f"/proc/{process}/maps").read_text().splitlines() if ".so" in line
    }
    own = [Path(folder).resolve() for folder in (sys.prefix, sys.base_prefix)]
    return {path.name for path in mapped if not any(path.is_relative_to(folder) for folder in own)}


def test_the_check_of_postgresql(postgres: Engine | None) -> None:
    program = shutil.which("pg_isready")
    if postgres is None or program is None:
        pytest.skip("no PostgreSQL server, or no pg_isready")
    check = [program, *checked(services()["postgres"]["healthcheck"]["test"])[1:]]
    port = str(postgres.url.port or 5432)
    assert subprocess.run([*check, "--port", port], capture_output=True).returncode == 0
    assert subprocess.run([*check, "--port", str(free_port())], capture_output=True).returncode != 0


class Ready(http.server.BaseHTTPRequestHandler):
    """`/readyz` as Qdrant has it: 200, or 503 while shards are loaded."""

    status = 200

    def do_GET(self) -> None:
        assert self.path == "/readyz"
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


def test_the_check_of_qdrant() -> None:
    """Its image has bash, and neither curl nor wget."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
    threading.Thread(target=server.serve_forever, args=[0.01]).start()
    check = checked(services()["qdrant"]["healthcheck"]["test"])
    command = [word.replace("6333", str(server.server_port)) for word in check]
    try:
        assert subprocess.run(command, capture_output=True, timeout=10).returncode == 0
        Ready.status = 503
        assert subprocess.run(command, capture_output=True, timeout=10).returncode != 0
    finally:
        server.shutdown()
        server.server_close()
    assert subprocess.run(command, capture_output=True, timeout=10).returncode != 0


def test_photos_in_a_bucket(host: Host) -> None:
    """By the variables of AWS's own tools: address, region, and credentials as a file."""
    pytest.importorskip("s3fs", reason="s3fs (extra `s3`) is not installed")
    with s3_server() as server:
        del host.places["s3://photos/catalog"]
        host.places["http://s3:8333"] = server.url
        for _ in range(2):
            made = host.run("migrate", ours()["migrate"]["command"])
            assert made.returncode == 0, made.stderr
        assert list(server.buckets) == ["photos"], "the bucket is made once"
        assert {key.rsplit("/", 2)[0] for key in server.buckets["photos"]} == {"catalog/bundles"}
        photo = host.folder / "photo.jpg"
        photo.write_bytes(pictures.jpeg(1))
        added = host.run("web", ["catalog", "add", "D", str(photo)])
        assert added.returncode == 0 and "searchable" in added.stdout, added.stderr
        key = f"catalog/{photo_key(content_hash(photo.read_bytes()))}"
        assert server.buckets["photos"][key] == photo.read_bytes()
        backup = ["catalog", "backup", "--quiet", str(host.folder / "backup.tar")]
        whole = host.run("web", backup)
        assert whole.returncode == 0 and "1 photo files" in whole.stdout, whole.stderr
        del server.buckets["photos"][key]
        assert host.run("web", backup).returncode == 1, "what is not in the bucket is missed"
        assert server.users == {"catalog"}, "all requests are signed by the user of the file"

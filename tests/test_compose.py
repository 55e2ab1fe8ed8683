"""docker-compose.yml and Dockerfile: no engine is needed to read them and to run their command lines as processes."""

from __future__ import annotations

import re
import shlex
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support import pictures
from tests.support.served import environment, run, served

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
WEB: dict[str, Any] = COMPOSE["services"]["web"]


@pytest.fixture
def database() -> Iterator[str]:
    """A fresh database on the real PostgreSQL."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg (extra `postgres`) is not installed")
    server = "postgresql://root@127.0.0.1:5432/"
    try:
        admin = psycopg.connect(server + "test", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    name = f"compose_{uuid.uuid4().hex[:12]}"
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield f"postgresql+psycopg://root@127.0.0.1:5432/{name}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def web_environment(**given: str) -> dict[str, str]:
    """The service's own variables, those that name other containers replaced."""
    assert set(given) <= {*WEB["environment"], "CATALOG_DATA"}, "only what compose sets, by variables alone"
    own = {name: re.sub(r"\$\{\w+:\?[^}]*\}", uuid.uuid4().hex, value) for name, value in WEB["environment"].items()}
    own = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in own.items()}
    return environment(**{**own, **given})


def command(port: int) -> list[str]:
    """The service's command line, on a port that is free here."""
    program, *arguments = WEB["command"]
    assert program == "catalog"
    return [str(port) if argument == "8000" else argument for argument in arguments]


def test_compose_is_complete() -> None:
    assert set(COMPOSE["services"]) == {"web", "postgres", "qdrant"}
    assert set(WEB["depends_on"]) == {"postgres", "qdrant"}
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nothing listens beyond the loopback by default"
        image = service.get("image", "local:build")
        assert not image.endswith(":latest") and ":" in image, f"{image} is not pinned"
    secrets = [name for name, value in WEB["environment"].items() if ":?" in value]
    assert "CATALOG_SECRET_KEY" in secrets, "there is no default key: compose refuses to start without one"


def test_dockerfile_copies_what_there_is_and_runs_what_compose_runs() -> None:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        if line.startswith("COPY"):
            *sources, _ = shlex.split(line)[1:]
            for source in sources:
                assert (ROOT / source).exists(), f"{source} is copied, but not there"
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    copied = {shlex.split(line)[1] for line in lines if line.startswith("COPY") and len(shlex.split(line)) == 3}
    assert packages <= copied, "every package goes into the image"
    assert [line for line in lines if line.startswith("CMD")] == [
        "CMD " + str(WEB["command"]).replace("'", '"'),
    ]
    assert any(line.startswith("USER ") and "root" not in line for line in lines)


def test_the_command_line_serves_on_postgresql(database: str, tmp_path: Path) -> None:
    env = web_environment(
        CATALOG_DATABASE=database, CATALOG_GALLERY=f"edge:{tmp_path / 'gallery'}", CATALOG_DATA=str(tmp_path / "data")
    )
    key = run(["key", "create", "till", "--scope", "recognize", "--scope", "catalog:write"], env).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with served(tmp_path / "log", env, command(free_port())) as server:
        photos = [("photos", (f"{seed}.jpg", pictures.jpeg(seed), "image/jpeg")) for seed in (1, 2, 3, 4)]
        added = httpx.post(f"{server.url}/api/v1/products", data={"sku": "PG-1"}, files=photos, headers=headers)
        assert added.status_code == 201 and added.json()["searchable"] is True, added.text
        answer = httpx.post(f"{server.url}/api/v1/recognize", content=pictures.jpeg(2), headers=headers).json()
        assert answer["matches"][0]["sku"] == "PG-1"
    assert not (tmp_path / "data" / "catalog.db").exists(), "SQL is in PostgreSQL"


def test_without_its_qdrant_server_it_serves_and_keeps_what_is_added(database: str, tmp_path: Path) -> None:
    env = web_environment(
        CATALOG_DATABASE=database,
        CATALOG_GALLERY=f"http://127.0.0.1:{free_port()}",
        CATALOG_DATA=str(tmp_path / "data"),
    )
    key = run(["key", "create", "till", "--scope", "recognize", "--scope", "catalog:write"], env).stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    with served(tmp_path / "log", env, command(free_port())) as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        ready = httpx.get(f"{server.url}/health/ready", timeout=30)
        assert ready.status_code == 503 and ready.json()["code"] == "gallery_unavailable"
        photo = [("photos", ("1.jpg", pictures.jpeg(1), "image/jpeg"))]
        added = httpx.post(
            f"{server.url}/api/v1/products", data={"sku": "PG-2"}, files=photo, headers=headers, timeout=60
        )
        assert added.status_code == 201 and added.json()["photos"][0]["state"] == "pending", added.text
        answer = httpx.post(f"{server.url}/api/v1/recognize", content=pictures.jpeg(1), headers=headers, timeout=60)
        assert answer.status_code == 503 and answer.headers["Retry-After"]
    listed = run(["list"], env).stdout
    assert listed.startswith("PG-2\t"), "what was acknowledged is kept"


def test_no_key_no_open_network(database: str, tmp_path: Path) -> None:
    env = web_environment(CATALOG_DATABASE=database, CATALOG_DATA=str(tmp_path / "data"))
    del env["CATALOG_SECRET_KEY"]
    refused = run(command(free_port()), env)
    assert refused.returncode != 0 and "CATALOG_SECRET_KEY must be set" in refused.stderr
    assert "Traceback" not in refused.stderr

"""`catalog till` and its server as two programs: fetch, answer alone, take feedback, be killed, update."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.storage.tables import Feedback, RecognitionEntry
from tests.support.catalogs import open_catalog
from tests.support.offline import add
from tests.support.pictures import jpeg
from tests.support.served import Served, environment, run, served


def eventually(holds: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.3)


def ask(url: str, key: str, seed: int) -> dict[str, object]:
    reply = httpx.post(
        f"{url}/api/v1/recognize", content=jpeg(seed), timeout=60,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"},
    )  # fmt: skip
    assert reply.status_code == 200, reply.text
    return {name: value for name, value in reply.json().items() if name not in ("milliseconds", "timings")}


def judge(url: str, key: str, answer: object, **said: str) -> int:
    path = f"{url}/api/v1/recognitions/{answer}/feedback"
    return httpx.post(path, data=said, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code


def state(till: Served) -> dict[str, object]:
    found: dict[str, object] = httpx.get(f"{till.url}/health/ready", timeout=60).json()
    return found


def stored(data: Path) -> tuple[int, int]:
    """Answers and feedback in the server's log."""
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(data)}))
    with catalog.database.read() as session:
        counts = [session.scalar(select(func.count()).select_from(table)) for table in (RecognitionEntry, Feedback)]
    catalog.close()
    return counts[0] or 0, counts[1] or 0


@pytest.mark.slow
def test_a_day_of_a_till(tmp_path: Path) -> None:
    data, folder = tmp_path / "server", tmp_path / "till"
    env = environment(CATALOG_DATA=str(data), CATALOG_NIGHTLY="off", CATALOG_SECOND_LOOK_MS="60000")
    catalog: Catalog = open_catalog(Settings.from_env(env))
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    catalog.close()
    scopes = ("recognize", "feedback", "catalog:read", "catalog:write")
    key = run(["key", "create", "till", *(f"--scope={scope}" for scope in scopes)], env).stdout.strip()
    trust = run(["offline-key"], env).stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", trust)
    (tmp_path / "key").write_text(key)
    command = ["till", "--data", str(folder), "--key-file", str(tmp_path / "key"), "--port", "0", "--every", "1"]

    with served(tmp_path / "server.log", env) as server:
        port = server.url.rpartition(":")[2]
        archive = tmp_path / "whole.zip"
        headers = {"Authorization": f"Bearer {key}"}
        while (reply := httpx.get(f"{server.url}/api/v1/offline-bundle", headers=headers, timeout=300)).is_server_error:
            assert reply.json()["code"] == "offline_bundle_building"
            time.sleep(int(reply.headers["Retry-After"]))
        assert reply.status_code == 200
        archive.write_bytes(reply.content)
        at_server = [ask(server.url, key, seed) | {"id": ""} for seed in (1, 2, 9)]

    # The server is gone: the till works by the file, and without any setting of the catalog.
    first = [*command, "--bundle", str(archive), "--trust", trust]
    alone = environment()
    assert "Which key" in run([*first[:3], "--bundle", str(archive)], alone).stderr
    with served(tmp_path / "till.log", alone, first) as till:
        assert [ask(till.url, key, seed) | {"id": ""} for seed in (1, 2, 9)] == at_server
        answer = ask(till.url, key, 1)
        assert judge(till.url, key, answer["id"], correct="false", sku="S2") == 204
        till.process.send_signal(signal.SIGKILL)
        till.process.wait()

    # After a kill, with a server that is not there yet: it goes on with what it has, and what it was told waits.
    again = [*command, "--update-from", f"http://127.0.0.1:{port}"]
    with served(tmp_path / "again.log", alone, again) as till:
        assert ask(till.url, key, 1)["decision"] == answer["decision"]
        assert state(till)["waiting"] != 0
        version = state(till)["version"]
        with served(tmp_path / "back.log", env, ["serve", "--port", port]) as server:
            eventually(lambda: state(till)["waiting"] == 0)
            added = httpx.post(
                f"{server.url}/api/v1/products",
                data={"sku": "S3"},
                files={"photos": ("3.jpg", jpeg(3))},
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            )
            assert added.status_code == 201, added.text
            eventually(lambda: state(till)["version"] != version)
            matches = ask(till.url, key, 3)["matches"]
            assert matches[0]["sku"] == "S3"  # type: ignore[index]
            # The last answer is sent a moment after it was given. Three at the server; three, one and one, and one at
            # the till.
            eventually(lambda: stored(data) == (3 + 3 + 3, 1))
    assert stored(data) == (3 + 3 + 3, 1), "each once"

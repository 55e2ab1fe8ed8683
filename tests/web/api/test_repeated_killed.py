"""The real server, killed between the commit of a change and its answer; and two servers on one PostgreSQL."""

from __future__ import annotations

import signal
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from catalog import accounts
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, ImportJob, Photo, Product
from tests.support.pictures import jpeg
from tests.support.qdrants import http_qdrant
from tests.support.sending import sent
from tests.support.served import environment, served
from tests.support.steps import create

pytestmark = pytest.mark.slow

PATH = "/api/v1/products"
#: What a request is in the audit log.
ACTIONS = {
    "add": "product.create",
    "form": "photos.add",
    "change": "product.change",
    "delete": "product.delete",
}


def prepared(env: dict[str, str]) -> str:
    """A catalog with the product OLD; returns an API key."""
    catalog = Catalog.open(Settings.from_env(env))
    create(catalog, "OLD", 1)
    key = accounts.add_key(catalog.database, "erp", accounts.SCOPES, actor="test").key
    catalog.close()
    return key


def send(url: str, key: str, what: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": f'"{what} 8e03978e-40d5-43dd-bc93-6894a57f9324"'}
    options: dict[str, Any] = {"headers": headers, "timeout": 60}
    if what == "add":
        body = {"sku": "NEW", "photos": [sent(2), sent(1)], "barcodes": ["4006381333931"]}
        return httpx.post(f"{url}{PATH}", json=body, **options)
    if what == "form":
        files = [("photos", ("2.jpg", jpeg(2), "image/jpeg"))]
        return httpx.post(f"{url}{PATH}/OLD/photos", files=files, **options)
    if what == "import":
        files = [("files", ("list.csv", b"sku,name\nOLD,Tea\n", "text/csv"))]
        return httpx.post(f"{url}/api/v1/imports", files=files, data={"update": "true"}, **options)
    if what == "change":
        return httpx.patch(f"{url}{PATH}/OLD", json={"name": "Tea", "active": False}, **options)
    return httpx.delete(f"{url}{PATH}/OLD", **options)


def count(database: Database, table: Any, *where: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table).where(*where)) or 0


def done(database: Database, what: str) -> int:
    """How often it was done."""
    if what == "import":  # and not begun by who was killed, or was the second of two
        return count(database, ImportJob, ImportJob.state.not_in(("uploading", "columns", "cancelled")))
    return count(database, AuditEntry, AuditEntry.action == ACTIONS[what], AuditEntry.actor == "key erp")


@pytest.mark.parametrize(
    ("what", "moment"),
    [
        ("add", "written"),
        ("add", "committed"),
        ("form", "done"),
        ("change", "done"),
        ("delete", "done"),
        ("add", "kept"),
        ("import", "written"),
        ("import", "done"),
    ],
)
def test_done_once_though_the_server_is_killed(env: dict[str, str], tmp_path: Path, what: str, moment: str) -> None:
    whole = environment(**env)
    key = prepared(env)
    with (
        served(tmp_path / "first.log", whole, [moment], module="tests.support.programs.serving_killed") as server,
        pytest.raises(httpx.TransportError),
    ):
        send(server.url, key, what)
    assert server.process.returncode == -signal.SIGKILL
    database = Database(whole["CATALOG_DATABASE"])
    assert done(database, what) == (0 if moment == "written" else 1)
    with served(tmp_path / "second.log", whole) as server:
        first = send(server.url, key, what)
        again = send(server.url, key, what)
    assert first.status_code == {"add": 201, "form": 201, "import": 202}.get(what, 200), first.text
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert done(database, what) == 1
    body = first.json()
    if what == "add":
        assert [photo["duplicate"] for photo in body["photos"]] == [False, False] and body["searchable"]
        assert [warning["sku"] for warning in body["photos"][1]["warnings"]] == ["OLD"]
        assert (count(database, Product), count(database, Photo)) == (2, 3)
    elif what == "form":
        assert [(photo["duplicate"], photo["state"]) for photo in body["photos"]] == [(False, "searchable")]
        assert count(database, Photo) == 2
    elif what == "import":
        assert count(database, ImportJob, ImportJob.id == uuid.UUID(body["id"])) == 1 and body["state"] != "columns"
    elif what == "change":
        assert (body["name"], body["active"]) == ("Tea", False)
    else:
        assert body["restore_url"].endswith(f"{body['entry']}/restore") and count(database, Product) == 0
    database.close()


@pytest.mark.postgres
def test_two_servers_on_one_database_do_it_once(postgres_url: str, tmp_path: Path) -> None:
    with http_qdrant() as qdrant:
        both = [
            environment(
                CATALOG_DATA=str(tmp_path / name),
                CATALOG_DATABASE=postgres_url,
                CATALOG_GALLERY=qdrant.url,
                CATALOG_PHOTOS=f"file:{tmp_path / 'photos'}",
                CATALOG_SECRET_KEY="a key for tests only, long enough",
            )
            for name in ("one", "two")
        ]
        key = prepared(both[0])
        with served(tmp_path / "1.log", both[0]) as one, served(tmp_path / "2.log", both[1]) as two:
            for what in ("add", "import", "delete"):
                ask_both(one.url, two.url, key, what)
                database = Database(postgres_url)
                assert done(database, what) == 1
                database.close()


def ask_both(one: str, two: str, key: str, what: str) -> None:
    """The same request at both servers at once, three times each: whatever is no 409 is one answer."""
    ready, replies = threading.Barrier(6), []

    def ask(url: str) -> None:
        ready.wait()
        replies.append(send(url, key, what))

    threads = [threading.Thread(target=ask, args=(url,)) for url in (one, two) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = {reply.content for reply in replies if reply.status_code < 300}
    busy = {reply.json()["code"] for reply in replies if reply.status_code >= 300}
    assert len(done) == 1 and busy <= {"idempotency_busy"}, [reply.text for reply in replies]
    assert {send(url, key, what).content for url in (one, two)} == done

"""Two real serving processes on one PostgreSQL, one Redis and one gallery behind a socket: what they must do together.

The gallery is that of tests/support/qdrants.py, which speaks Qdrant's HTTP. Photos are in a folder that both have.
`served_shop` shares CATALOG_DATA, too, as two processes of one host do, and two hosts with a network folder.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, text

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.storage import Database
from catalog.storage.tables import AuditEntry, Enrollment, Run
from catalog.transfer import ImportWorker, import_jobs
from catalog.transfer.import_jobs import Piece
from embedder.bundle import META_FILE, RELEASED, Bundle, load_bundle, rewrite_bundle
from tests.support import pictures
from tests.support.qdrants import HttpQdrant, http_qdrant, says
from tests.support.redises import free_port, redis_server
from tests.support.served import PASSWORD, Served, environment, run, served

pytestmark = pytest.mark.slow

SKUS, IMPORTED = 6, 60
Pair = tuple[Served, Served]


@dataclass
class Shop:
    """What the processes share, and a key that may do everything."""

    env: dict[str, str]
    folder: Path
    qdrant: HttpQdrant
    database: Database
    key: str

    def start(self, stack: ExitStack, name: str, **more: str) -> Served:
        return stack.enter_context(served(self.folder / f"{name}.log", self.env | more))

    def post(self, server: Served, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | request.pop("headers", {})
        return httpx.post(f"{server.url}/api/v1/{path}", headers=headers, timeout=60, **request)

    def ask(self, server: Served, seed: int) -> httpx.Response:
        return self.post(server, "recognize", content=pictures.jpeg(seed))

    def add(self, server: Served, sku: str, *seeds: int, **more: Any) -> httpx.Response:
        photos = [("photos", (f"{seed}.jpg", pictures.jpeg(seed))) for seed in seeds]
        return self.post(server, "products", data={"sku": sku}, files=photos, **more)

    def count(self, query: Any) -> int:
        with self.database.read() as session:
            return session.scalar(query) or 0


@contextmanager
def a_shop(postgres: Engine | None, folder: Path) -> Iterator[Shop]:
    """A fresh one; nobody serves it yet."""
    if postgres is None:
        pytest.skip("no PostgreSQL at 127.0.0.1:5432")
    name = f"pair_{uuid.uuid4().hex[:12]}"
    with postgres.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    url = postgres.url.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    with http_qdrant() as qdrant, redis_server(folder, free_port()) as redis:
        env = environment(
            CATALOG_DATA=str(folder / "data"),
            CATALOG_DATABASE=url,
            CATALOG_GALLERY=qdrant.url,
            CATALOG_PHOTOS=f"file:{folder / 'photos'}",
            CATALOG_LIMITS=redis,
            CATALOG_SECRET_KEY="a key that both have, long enough",
            CATALOG_NIGHTLY="off",
        )
        with closing(Database(url)) as database:
            database.migrate()
            key = accounts.add_key(database, "till", accounts.SCOPES, actor="test").key
            accounts.add_user(database, "anna", PASSWORD, actor="test")
            yield Shop(env, folder, qdrant, database, key)
    with postgres.connect() as connection:
        connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


@pytest.fixture
def shop(postgres: Engine | None, tmp_path: Path) -> Iterator[Shop]:
    with a_shop(postgres, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def served_shop(postgres: Engine | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Pair]]:
    with a_shop(postgres, tmp_path_factory.mktemp("pair")) as shop, ExitStack() as stack:
        yield shop, (shop.start(stack, "here"), shop.start(stack, "there"))


def until(done: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def token_in(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found, html
    return found.group(1)


@contextmanager
def signed_in(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        form = {"name": "anna", "password": PASSWORD, "csrf_token": token_in(client.get(f"{server.url}/login").text)}
        assert client.post(f"{server.url}/login", data=form).status_code == 302
        yield client


def send(client: httpx.Client, server: Served, page: str, target: str) -> httpx.Response:
    token = token_in(client.get(f"{server.url}{page}").text)
    return client.post(f"{server.url}{target}", data={"csrf_token": token})


def test_limits_keys_and_sessions_hold_in_both(served_shop: tuple[Shop, Pair]) -> None:
    shop, pair = served_shop
    here, there = pair
    if (left := 86_400 - time.time() % 86_400) < 120:
        time.sleep(left + 1)  # not into the next day, where counting begins anew
    made = accounts.add_key(shop.database, "limited", rate="10/day", actor="test")
    headers = {"Authorization": f"Bearer {made.key}"}

    def ask(number: int) -> tuple[int, str]:
        reply = shop.post(pair[number % 2], "recognize", content=b"", headers=headers)
        return reply.status_code, reply.headers["RateLimit-Remaining"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(24)))
    passed = sorted(int(left) for status, left in answers if status == 422)
    assert passed == list(range(10)), "ten in all, each told another remainder"
    assert [status for status, _ in answers].count(429) == 14

    second = accounts.rotate_key(shop.database, made.id, actor="test")
    for server in pair:
        for secret in (made.key, second.key):
            assert shop.post(server, "recognize", headers={"Authorization": f"Bearer {secret}"}).status_code == 429
    accounts.revoke_key(shop.database, made.id, actor="test")
    assert [shop.post(server, "recognize", headers=headers).status_code for server in pair] == [401, 401]

    with signed_in(here) as client:
        assert client.get(f"{there.url}/keys/").status_code == 200, "a session of one is one of the other"
        assert send(client, there, "/keys/", "/logout").status_code == 302
        assert client.get(f"{here.url}/keys/").status_code == 302


def test_what_one_changes_the_other_answers_by(served_shop: tuple[Shop, Pair]) -> None:
    shop, pair = served_shop
    for number in range(SKUS):
        at, other = pair if number % 2 else pair[::-1]
        added = shop.add(at, f"P-{number}", 100 + number)
        assert added.status_code == 201 and added.json()["searchable"], added.text
        answer = shop.ask(other, 100 + number).json()
        assert answer["matches"][0]["sku"] == f"P-{number}", "accepted here is searchable there"
    with ThreadPoolExecutor(2) as pool:  # the same SKU at both at one moment
        statuses = [reply.status_code for reply in pool.map(lambda one: shop.add(one, "TWICE", 300), pair)]
    assert sorted(statuses) == [201, 409]
    retired = run(["retire", "P-0"], shop.env)
    assert retired.returncode == 0, retired.stderr
    for server in pair:
        assert "P-0" not in [match["sku"] for match in shop.ask(server, 100).json()["matches"]]


def test_a_request_that_is_repeated_at_the_other_is_done_once(served_shop: tuple[Shop, Pair]) -> None:
    shop, pair = served_shop
    name = {"Idempotency-Key": str(uuid.uuid4())}
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda server: shop.add(server, "ONCE", 601, headers=name), pair))
    assert {reply.status_code for reply in both} <= {201, 409}, [reply.text for reply in both]
    made = next(reply for reply in both if reply.status_code == 201)
    for reply in both:
        assert reply.json() == made.json() or reply.json()["code"] == "idempotency_busy", reply.text
    for server in pair:
        again = shop.add(server, "ONCE", 601, headers=name)
        assert (again.status_code, again.headers["Idempotency-Replayed"], again.json()) == (201, "true", made.json())
        other = shop.add(server, "ONCE-MORE", 602, headers=name)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert shop.count(created("ONCE")) == 1


def created(sku: str) -> Any:
    return select(func.count()).where(AuditEntry.action == "product.create", AuditEntry.subject == sku)


def test_a_request_whose_process_was_killed_is_repeated_at_the_other_and_done_once(shop: Shop) -> None:
    name = {"Idempotency-Key": str(uuid.uuid4())}
    with ExitStack() as stack:
        here, there = shop.start(stack, "here"), shop.start(stack, "there")
        assert shop.add(here, "FIRST", 1).status_code == 201
        shop.qdrant.delay = 4.0  # the product is in SQL, and its photo is on its way to the gallery
        with ThreadPoolExecutor(1) as pool:
            lost = pool.submit(shop.add, here, "ONCE", 601, headers=name)
            until(lambda: shop.count(created("ONCE")) == 1)
            here.process.kill()
            here.process.wait()
            shop.qdrant.delay = 0.0
            with pytest.raises(httpx.HTTPError):
                lost.result()
        again = shop.add(there, "ONCE", 601, headers=name)
        assert (again.status_code, again.json()["sku"]) == (201, "ONCE"), again.text
        assert shop.count(created("ONCE")) == 1
        until(lambda: shop.ask(there, 601).json()["matches"][0]["sku"] == "ONCE")


def test_another_model_is_live_in_both_at_one_moment(served_shop: tuple[Shop, Pair], other_bundle: Bundle) -> None:
    shop, pair = served_shop
    first = load_bundle(RELEASED).id
    for number in range(SKUS):
        assert shop.add(pair[0], f"M-{number}", 400 + number).status_code == 201
    seen: list[tuple[float, float, str, str]] = []
    stop = threading.Event()

    def till(server: Served) -> None:
        while not stop.is_set():
            for number in range(SKUS):
                began = time.monotonic()
                reply = shop.ask(server, 400 + number)
                body = reply.json()
                assert reply.status_code == 200 and body["matches"][0]["sku"] == f"M-{number}", body
                seen.append((began, time.monotonic(), server.url, body["bundle"]))

    with ThreadPoolExecutor(2) as pool:
        tills = [pool.submit(till, server) for server in pair]
        try:
            until(lambda: len({url for *_, url, _ in seen}) == 2)
            done = run(["reembed", "--quiet", "--bundle", str(other_bundle.path)], shop.env)
            switched = time.monotonic()
            assert done.returncode == 0, done.stderr
            until(lambda: len({url for began, _, url, _ in seen if began > switched}) == 2)
        finally:
            stop.set()
        for each in tills:
            each.result()
    assert {bundle for *_, bundle in seen} == {first, other_bundle.id}
    assert {bundle for began, *_, bundle in seen if began > switched} == {other_bundle.id}
    # Whichever process answered: nobody gets the old model who asks after somebody got the new one.
    new_since = min(ended for _, ended, _, bundle in seen if bundle == other_bundle.id)
    assert {bundle for began, *_, bundle in seen if began > new_since} == {other_bundle.id}


def test_a_check_that_is_asked_of_both_is_done_once(served_shop: tuple[Shop, Pair]) -> None:
    shop, pair = served_shop
    assert shop.add(pair[0], "CHECKED", 501, 502).status_code == 201

    def check(server: Served) -> int:
        with signed_in(server) as client:
            return send(client, server, "/overview/", "/overview/check").status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(check, pair)) == [302, 302]
    checks = Run.kind == "doctor"
    until(lambda: shop.count(select(func.count()).where(checks, Run.ended_at.is_not(None))) == 1)
    with shop.database.read() as session:
        runs = session.scalars(select(Run).where(checks)).all()
    assert [(each.kind, each.state, each.attempts) for each in runs] == [("doctor", "done", 1)]
    for server in pair:
        with signed_in(server) as client:
            assert runs[0].message and runs[0].message in client.get(f"{server.url}/overview/").text


def test_what_a_killed_process_leaves_pending_is_enrolled_by_the_other(shop: Shop) -> None:
    with ExitStack() as stack:
        here = shop.start(stack, "here")
        assert shop.add(here, "FIRST", 1).json()["searchable"]
        pending = Enrollment.done.is_(False)
        shop.qdrant.faults = [says(503)] * 10_000
        for number in range(SKUS):
            added = shop.add(here, f"P-{number}", 100 + number)
            assert added.status_code == 201 and added.json()["photos"][0]["state"] == "pending", added.text
        here.process.kill()
        here.process.wait()
        assert shop.count(select(func.count()).where(pending)) == SKUS
        shop.qdrant.faults = []
        both = shop.start(stack, "there"), shop.start(stack, "a third")
        until(lambda: shop.count(select(func.count()).where(pending)) == 0)
        for number in range(SKUS):
            for server in both:
                assert shop.ask(server, 100 + number).json()["matches"][0]["sku"] == f"P-{number}"
        added = select(func.count()).where(AuditEntry.action == "product.create")
        assert shop.count(added) == SKUS + 1 == products.counts(shop.database).products


def test_an_import_that_a_killed_process_was_at_is_finished_by_the_other(shop: Shop) -> None:
    with ExitStack() as stack:
        there = shop.start(stack, "there")
        there.process.send_signal(signal.SIGSTOP)  # so that it is the other one that begins
        stack.callback(there.process.send_signal, signal.SIGCONT)
        with closing(Catalog.open(Settings.from_env(shop.env))) as catalog:
            job = import_jobs.start(catalog, "folders", actor="anna")
            files = {f"in/S{number}/1.jpg": pictures.jpeg(number) for number in range(IMPORTED)}
            import_jobs.add_files(catalog, job, [Piece(path, 0, io.BytesIO(data)) for path, data in files.items()])
            import_jobs.complete(catalog, job)
            assert ImportWorker(catalog).step()
            import_jobs.run(catalog.database, job, update_facts=False, actor="anna")
        here = shop.start(stack, "here")
        until(lambda: import_jobs.get(shop.database, job).counts.get("products", 0) > 1)
        here.process.kill()
        here.process.wait()
        assert import_jobs.get(shop.database, job).state == "running"
        there.process.send_signal(signal.SIGCONT)
        until(lambda: import_jobs.get(shop.database, job).state not in ("waiting", "running"))
        done = import_jobs.get(shop.database, job)
        assert (done.state, done.errors, done.counts["pending"]) == ("done", [], 0)
    created = select(func.count()).where(AuditEntry.action == "product.create")
    assert shop.count(created) == products.counts(shop.database).products == IMPORTED, "nothing was added twice"


def test_hosts_with_folders_of_their_own_follow_each_other_to_another_model(shop: Shop, other_bundle: Bundle) -> None:
    mine = rewrite_bundle(other_bundle, shop.folder / "mine", training={"by": "us"})  # no host has it but the one

    def start(stack: ExitStack, name: str) -> Served:
        return shop.start(stack, name, CATALOG_DATA=str(shop.folder / f"data of {name}"))

    with ExitStack() as stack:
        pair = start(stack, "here"), start(stack, "there")
        for number in range(SKUS):
            assert shop.add(pair[number % 2], f"P-{number}", 100 + number).status_code == 201
        seen: list[tuple[str, str]] = []
        stop = threading.Event()

        def till(server: Served) -> None:
            while not stop.is_set():
                for number in range(SKUS):
                    reply = shop.ask(server, 100 + number)
                    assert reply.status_code == 200, reply.text
                    assert reply.json()["matches"][0]["sku"] == f"P-{number}"
                    seen.append((server.url, reply.json()["bundle"]))

        with ThreadPoolExecutor(2) as pool:
            tills = [pool.submit(till, server) for server in pair]
            try:
                done = run(
                    ["reembed", "--quiet", "--bundle", str(mine.path)],
                    shop.env | {"CATALOG_DATA": str(shop.folder / "data of here")},
                )
                assert done.returncode == 0, done.stderr
                assert "HTTP Request" not in done.stderr
                until(lambda: {(server.url, mine.id) for server in pair} <= set(seen))
            finally:
                stop.set()
            for each in tills:
                each.result()
        third = start(stack, "a third")  # which was not there
        assert shop.ask(third, 100).json()["bundle"] == mine.id
        shutil.rmtree(shop.folder / "photos" / "bundles" / mine.id)
        with pytest.raises(AssertionError, match=f"{mine.id}.*nor in the photo store"):
            start(stack, "a fourth")
        restarted = start(stack, "here")  # which has it, and puts it there again
        assert shop.ask(restarted, 100).json()["bundle"] == mine.id
        until((shop.folder / "photos" / "bundles" / mine.id / META_FILE).exists)
        assert shop.ask(start(stack, "a fourth"), 100).json()["bundle"] == mine.id
    logs = "".join(log.read_text() for log in shop.folder.glob("*.log"))
    assert "Serving on" in logs and "HTTP Request" not in logs, "no line for each call of the gallery"

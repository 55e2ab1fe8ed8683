"""Limits by key: what is counted, what a client is told, and where processes count together."""

from __future__ import annotations

import dataclasses
import io
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from catalog import accounts, rates
from catalog.accounts import NewKey
from catalog.catalog import Catalog
from catalog.errors import ConfigError
from catalog.rates import Rate
from catalog.storage.tables import ApiKey
from tests.support import pictures
from tests.support.redises import free_port, redis_server
from web import create_app, key_limits
from web.key_limits import MEMORY, KeyLimits

DAILY = Rate(3, 86_400)
FIELDS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture(autouse=True)
def same_day() -> None:
    """No test runs into the next day, where counting begins anew."""
    if (left := 86_400 - time.time() % 86_400) < 120:
        time.sleep(left + 1)


def limited(catalog: Catalog, usual: Rate | None) -> Flask:
    settings = dataclasses.replace(catalog.settings, key_rate=usual)
    return create_app(dataclasses.replace(catalog, settings=settings), "a key for tests only, long enough")


def make(catalog: Catalog, rate: str = "") -> NewKey:
    return accounts.add_key(catalog.database, "limited till", rate=rate, actor="test")


def ask(app: Flask, secret: str):
    headers = {"Authorization": f"Bearer {secret}"}
    return app.test_client().post("/api/v1/recognize", data=b"", headers=headers)


def row_of(catalog: Catalog, key: NewKey) -> ApiKey:
    return accounts.get_key(catalog.database, key.id)


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_key_is_told_what_it_has_left_and_refused_beyond(app: Flask, catalog: Catalog) -> None:
    key, other = make(catalog, "3/day"), make(catalog, "3/day")
    for left in ("2", "1", "0"):
        reply = ask(app, key.key)
        assert (reply.status_code, reply.headers["RateLimit-Limit"], reply.headers["RateLimit-Remaining"]) == (
            *(422, "3"),
            left,
        ), "what is refused for another reason is counted, too"
        assert 0 < int(reply.headers["RateLimit-Reset"]) <= 86_400 and "Retry-After" not in reply.headers
    refused = ask(app, key.key)
    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    problem = refused.get_json(force=True)
    assert problem["code"] == "too_many_requests" and "may ask 3 times" in problem["detail"]
    assert [refused.headers[name] for name in FIELDS[:2]] == ["3", "0"]
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert ask(app, other.key).headers["RateLimit-Remaining"] == "2", "another key has a limit of its own"


def test_without_a_limit_nothing_is_said(till: FlaskClient, anybody: FlaskClient) -> None:
    for client in (till, anybody):
        reply = client.post("/api/v1/recognize", data=pictures.jpeg(1))
        assert not set(FIELDS) & set(reply.headers.keys())


def test_the_usual_limit_and_keys_with_one_of_their_own(catalog: Catalog) -> None:
    app = limited(catalog, Rate(2, 86_400))
    usual, free, tight = make(catalog), make(catalog, "off"), make(catalog, "1/day")
    assert [ask(app, usual.key).status_code for _ in range(3)] == [422, 422, 429]
    assert [ask(app, free.key).status_code for _ in range(3)] == [422] * 3
    assert [ask(app, tight.key).status_code for _ in range(2)] == [422, 429]


def test_both_secrets_of_a_changeover_have_one_limit(app: Flask, catalog: Catalog) -> None:
    first = make(catalog, "2/day")
    assert ask(app, first.key).status_code == 422
    second = accounts.rotate_key(catalog.database, first.id, actor="test")
    assert [ask(app, secret.key).status_code for secret in (second, first)] == [422, 429]


def test_each_photo_of_a_batch_counts(app: Flask, catalog: Catalog) -> None:
    key = make(catalog, "5/day")
    statuses, left = [], []
    for _ in range(3):
        photos = [(io.BytesIO(pictures.jpeg(1)), f"{number}.jpg") for number in range(3)]
        headers = {"Authorization": f"Bearer {key.key}"}
        reply = app.test_client().post("/api/v1/recognize/batch", data={"photos": photos}, headers=headers)
        statuses.append(reply.status_code)
        left.append(reply.headers["RateLimit-Remaining"])
    assert (statuses, left) == ([200, 200, 429], ["2", "0", "0"]), "it is answered as long as one is left"


def test_another_limit_holds_from_the_next_request_on(app: Flask, catalog: Catalog) -> None:
    key = make(catalog, "1/day")
    assert [ask(app, key.key).status_code for _ in range(2)] == [422, 429]
    accounts.change_key(
        catalog.database, key.id, name="till", scopes=["recognize"], ends=None, rate="4/day", actor="test"
    )
    assert [ask(app, key.key).status_code for _ in range(3)] == [422, 422, 429], "what was asked before counts"


def test_an_unknown_key_is_not_counted_and_an_expired_one_neither(app: Flask, catalog: Catalog) -> None:
    assert "RateLimit-Limit" not in ask(app, "pc_unknown").headers
    key = make(catalog, "1/day")
    accounts.rotate_key(catalog.database, key.id, days=0, actor="test")
    reply = ask(app, key.key)
    assert (reply.status_code, reply.get_json(force=True)["code"]) == (401, "key_expired")
    assert "RateLimit-Limit" not in reply.headers and reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_period_ends_by_the_clock(catalog: Catalog) -> None:
    limits, row = KeyLimits(MEMORY, Rate(1, 1)), row_of(catalog, make(catalog))

    def spend() -> bool:
        spent = limits.spend(row)
        assert spent and spent.reset == 1
        return spent.is_over

    assert any(spend() for _ in range(1000)), "a thousand in no time are over it"
    time.sleep(1.1)
    assert not spend()


def test_processes_count_together_over_redis(catalog: Catalog, tmp_path: Path) -> None:
    row = row_of(catalog, make(catalog))
    with redis_server(tmp_path, free_port()) as url:
        here, there = KeyLimits(url, DAILY), KeyLimits(url, DAILY)
        spent = [limits.spend(row) for limits in (here, there, here, there)]
        assert [(one.remaining, one.is_over) for one in spent if one] == [(2, False), (1, False), (0, False), (0, True)]
        copy = ApiKey(id=row.id, created_at=row.created_at.replace(year=2000), rate=None)
        other = here.spend(copy)
        assert other and other.remaining == 2, "a key of the same number, of another catalog"


def test_without_redis_each_process_counts_alone_until_it_is_back(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(key_limits, "ASK_AGAIN", 0.05)
    caplog.set_level(logging.INFO, "web.key_limits")
    row, port = row_of(catalog, make(catalog)), free_port()
    with redis_server(tmp_path, port) as url:
        here, there = KeyLimits(url, DAILY), KeyLimits(url, DAILY)
        assert here.spend(row) and there.spend(row)
    for limits in (here, there):
        spent = [limits.spend(row) for _ in range(4)]
        assert [one.is_over for one in spent if one] == [False, False, False, True]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2, "once for each process"
    assert "each process counts alone" in caplog.text
    with redis_server(tmp_path, port):
        until(lambda: caplog.text.count("answers again") == 2)
        spent = [limits.spend(row) for limits in (here, there)]
        assert [one.remaining for one in spent if one] == [2, 1], "together again"


def test_a_redis_that_is_silent_is_waited_for_once(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("redis", reason="redis (extra `celery`) is not installed")
    monkeypatch.setattr(key_limits, "ASK_AGAIN", 3600.0)
    row = row_of(catalog, make(catalog))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limits = KeyLimits(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", Rate(100, 86_400))
        spent = [limits.spend(row) for _ in range(100)]
    assert [one.remaining for one in spent if one] == list(range(99, -1, -1))
    assert caplog.text.count("does not answer") == 1


@pytest.mark.parametrize("url", ["redis://host:port/0", "redis://host:99999999/0"])
def test_an_address_that_is_none(url: str) -> None:
    pytest.importorskip("redis", reason="redis (extra `celery`) is not installed")
    with pytest.raises(ConfigError, match="redis://HOST/NUMBER"):
        KeyLimits(url, None)


def test_a_rate_that_is_stored_is_one_that_is_read(catalog: Catalog) -> None:
    for rate in ("1/second", "1000000/day", "off"):
        stored = row_of(catalog, make(catalog, rate)).rate
        assert stored == rate and (rates.parse(stored) is None) == (rate == "off")

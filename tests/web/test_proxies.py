"""Behind a proxy: who asks, by which scheme, and whose tries to sign in are counted."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pytest
from flask import Flask, jsonify, request

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import ConfigError
from tests.support.staff import NAME, PASSWORD, csrf_of
from web import create_app
from web.security import client_address, limiter

STAFF, STRANGER = "198.51.100.7", "203.0.113.9"


def behind(catalog: Catalog, proxies: str) -> Flask:
    """The app of a catalog with CATALOG_TRUSTED_PROXIES, and a page that tells what it knows of the client."""
    trusted = Settings.from_env({"CATALOG_TRUSTED_PROXIES": proxies}).trusted_proxies
    settings = dataclasses.replace(catalog.settings, trusted_proxies=trusted)
    app = create_app(dataclasses.replace(catalog, settings=settings), "a key for tests only, long enough")
    # Beside the health checks, which everybody may ask.
    app.add_url_rule("/who", "health.who", lambda: jsonify([request.remote_addr, request.scheme, client_address()]))
    return app


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    limiter.reset()
    yield
    limiter.reset()


def try_to_sign_in(app: Flask, name: str, password: str, forwarded: str, **headers: str):
    client = app.test_client()
    headers = {"X-Forwarded-For": forwarded, **headers}
    form = {"name": name, "password": password, "csrf_token": csrf_of(client, "/login")}
    return client.post("/login", data=form, headers=headers)


def test_wrong_passwords_of_a_stranger_keep_the_staff_in(catalog: Catalog) -> None:
    app = behind(catalog, "127.0.0.1")
    for _ in range(10):
        assert try_to_sign_in(app, NAME, "guess", STRANGER).status_code == 401
    refused = try_to_sign_in(app, NAME, "guess", STRANGER)
    assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 60
    assert try_to_sign_in(app, NAME, PASSWORD, STAFF).status_code == 302


def test_without_the_setting_the_header_is_ignored(catalog: Catalog) -> None:
    app = behind(catalog, "")
    for number in range(10):
        assert try_to_sign_in(app, "somebody", "guess", f"203.0.113.{number}").status_code == 401
    assert try_to_sign_in(app, " SomeBody", "guess", STAFF).status_code == 429
    assert try_to_sign_in(app, NAME, PASSWORD, STAFF).status_code == 302, "another name is not kept out"


def test_whatever_the_names_an_address_has_a_limit(catalog: Catalog) -> None:
    app = behind(catalog, "127.0.0.1")
    started = time.monotonic()
    replies = [try_to_sign_in(app, f"name {number}", "guess", STRANGER).status_code for number in range(101)]
    if time.monotonic() - started > 55:
        pytest.skip("too slow a machine: the minute was over")
    assert replies == [401] * 100 + [429]
    assert try_to_sign_in(app, NAME, PASSWORD, STAFF).status_code == 302


def test_the_cookie_is_secure_behind_tls(catalog: Catalog) -> None:
    app = behind(catalog, "127.0.0.1")
    for scheme, secure in (("https", True), ("http", False), ("", False)):
        client = app.test_client()
        cookie = client.get("/login", headers={"X-Forwarded-Proto": scheme}).headers["Set-Cookie"]
        assert ("Secure" in cookie) is secure, scheme
    cookie = behind(catalog, "").test_client().get("/login", headers={"X-Forwarded-Proto": "https"}).headers
    assert "Secure" not in cookie["Set-Cookie"], "anybody can send the header"


WHO = {
    "one proxy": ("10.0.0.1", STAFF, STAFF),
    "what the client wrote before": ("10.0.0.1", f"1.2.3.4, {STAFF}", STAFF),
    "two proxies": ("10.0.0.1", f"{STAFF}, 10.9.9.9", STAFF),
    "no proxy": (STRANGER, STAFF, STRANGER),
    "only proxies": ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
    "nothing": ("10.0.0.1", "", "10.0.0.1"),
    "nonsense": ("10.0.0.1", "unknown, _hidden", "10.0.0.1"),
    "nonsense before": ("10.0.0.1", f"nonsense,{STAFF}", STAFF),
    "a port": ("10.0.0.1", f"{STAFF}:50123", STAFF),
    "IPv6": ("2001:db8::1", "2001:db8:1::7", "2001:db8:1::7"),
    "IPv6 with a port": ("2001:db8::1", "[2001:db8:1::7]:50123", "2001:db8:1::7"),
    "IPv4 in IPv6": ("::ffff:10.0.0.1", f"::ffff:{STAFF}", STAFF),
}


@pytest.mark.parametrize("case", WHO)
def test_the_client_is_the_first_that_is_no_trusted_proxy(catalog: Catalog, case: str) -> None:
    peer, forwarded, client = WHO[case]
    app = behind(catalog, "10.0.0.0/8, 2001:db8::1")
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    reply = app.test_client().get("/who", headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert reply.json[:2] == [client, "http" if case == "no proxy" else "https"]


def test_a_customer_of_ipv6_is_one_client(catalog: Catalog) -> None:
    app = behind(catalog, "")
    asked = [
        app.test_client().get("/who", environ_base={"REMOTE_ADDR": address}).json[2]
        for address in ("2001:db8:1:2::7", "2001:db8:1:2:ffff::8", "2001:db8:1:3::7")
    ]
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.parametrize("value", ["proxy", "10.0.0.0/33", "10.0.0.1;10.0.0.2", "10.0.0.1 and more"])
def test_a_proxy_that_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="CATALOG_TRUSTED_PROXIES"):
        Settings.from_env({"CATALOG_TRUSTED_PROXIES": value})

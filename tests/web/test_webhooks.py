from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from flask import Flask
from standardwebhooks.webhooks import Webhook as Verifier

from catalog import webhooks
from catalog.catalog import Catalog
from tests.support import pictures
from tests.support.receivers import Receiver, receiving
from tests.support.served import environment, run, served
from tests.support.staff import Staff


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def near(app: Flask, catalog: Catalog) -> Iterator[Catalog]:
    """Webhooks may reach this machine."""
    app.config["CATALOG"] = replace(catalog, settings=replace(catalog.settings, webhook_private=True))
    yield app.config["CATALOG"]
    app.config["CATALOG"] = catalog


def text(reply) -> str:
    return reply.get_data(as_text=True)


def test_a_webhook_from_its_secret_to_its_end(staff: Staff, near: Catalog, receiver: Receiver) -> None:
    made = text(staff.send_once("/webhooks/", {"name": "ERP <b>", "url": receiver.url, "kind": ["products", "inbox"]}))
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", made)
    assert secret not in text(staff.get("/webhooks/")), "once"
    (row,) = [one for one in webhooks.list_webhooks(near.database) if one.name == "ERP <b>"]
    page = f"/webhooks/{row.id}"
    assert "ERP &lt;b&gt;" in text(staff.get(page)) and secret not in text(staff.get(page))

    assert staff.send(f"{page}/test", {}, page=page).status_code == 302
    shown = text(staff.get(page))
    assert "Delivered: it answered 204" in shown and "webhook.test" in shown
    Verifier(secret).verify(receiver.came[0].body, receiver.came[0].headers)

    receiver.status, receiver.answer = 500, b"<script>alert(1)</script>"
    staff.send(f"{page}/test", {}, page=page)
    shown = text(staff.get(page))
    assert "Not delivered: 500" in shown and "<script>alert(1)" not in shown

    staff.send(f"{page}/pause", {}, page=page)
    assert "paused by the staff" in text(staff.get(page))
    staff.send(f"{page}/resume", {}, page=page)
    assert "paused by the staff" not in text(staff.get(page))
    assert "Webhooks" in text(staff.get("/overview/")) or "webhook" in text(staff.get("/overview/"))

    assert staff.send(f"{page}/delete", {}, page=page).status_code == 302
    assert staff.get(page).status_code == 404
    assert row.id not in [one.id for one in webhooks.list_webhooks(near.database)]


def test_what_can_not_be_keeps_what_was_typed(staff: Staff, near: Catalog) -> None:
    before = len(webhooks.list_webhooks(near.database))  # of other tests
    for form, said in (
        ({"name": "X", "url": "ftp://x", "kind": "products"}, "The address is"),
        ({"name": "X", "url": "https://a.example/", "kind": []}, "Choose what it is told"),
    ):
        reply = staff.send_once("/webhooks/", form)
        assert reply.status_code == 422
        assert said in text(reply) and f'value="{form["url"]}"' in text(reply)
    assert len(webhooks.list_webhooks(near.database)) == before
    for page in ("/webhooks/99", "/webhooks/99999999999"):
        assert staff.get(page).status_code == 404
        assert staff.send(f"{page}/test", {}, page="/webhooks/").status_code == 404


def test_a_private_address_is_told_apart_from_one_that_is_away(
    staff: Staff, catalog: Catalog, receiver: Receiver
) -> None:
    made = webhooks.add_webhook(catalog.database, "LAN", receiver.url, ["products"], actor="test")
    page = f"/webhooks/{made.id}"
    staff.send(f"{page}/test", {}, page=page)
    assert "CATALOG_WEBHOOK_PRIVATE=on" in text(staff.get(page))
    assert receiver.came == []
    webhooks.remove_webhook(catalog.database, made.id, actor="test")


@pytest.mark.slow
def test_the_server_delivers_what_tills_and_programs_change(tmp_path: Path, receiver: Receiver) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_WEBHOOK_PRIVATE="on")
    key = run(["key", "create", "ERP", "--scope", "catalog:write"], env).stdout.strip()
    secret = run(["webhook", "create", "ERP", receiver.url], env).stdout.strip()
    with served(tmp_path / "log", env) as server:
        form = {"data": {"sku": "TEA-1"}, "files": {"photos": ("1.jpg", pictures.jpeg(1))}}
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.post(f"{server.url}/api/v1/products", headers=headers, timeout=120, **form).status_code == 201
        deadline = time.monotonic() + 60
        while not receiver.came and time.monotonic() < deadline:
            time.sleep(0.05)
    (message,) = receiver.came
    Verifier(secret).verify(message.body, message.headers)
    assert (message.told["type"], message.told["data"]["sku"], message.told["data"]["actor"]) == (
        "product.created",
        "TEA-1",
        "key",
    )

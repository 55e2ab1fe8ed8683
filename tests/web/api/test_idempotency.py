"""Requests that are sent again under their Idempotency-Key are done once, and answered the same."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.storage import audit_log
from catalog.storage.tables import NamedRequest, now
from tests.support.pictures import jpeg
from tests.support.sending import files, problem, sent
from tests.support.steps import create
from web.api import idempotency

PATH = "/api/v1/products"
Send = Callable[..., Any]


def named(name: str = "") -> dict[str, str]:
    return {"Idempotency-Key": name or str(uuid.uuid4())}


def actions(catalog: Catalog, sku: str) -> list[str]:
    return [entry.action for entry in audit_log.entries(catalog.database, sku).entries if entry.subject == sku]


def same(first: Any, again: Any) -> None:
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    for header in ("ETag", "Location", "Content-Type"):
        assert again.headers.get(header) == first.headers.get(header)
    assert first.status_code < 300, first.get_data(as_text=True)
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers


SENDS: dict[str, tuple[Send, str]] = {
    "add by JSON": (
        lambda till, sku, photo, **more: till.post(PATH, json={"sku": f"{sku}-NEW", "photos": [sent(3001)]}, **more),
        "product.create",
    ),
    "add by a form": (
        lambda till, sku, photo, **more: till.post(
            PATH, data={"sku": f"{sku}-NEW", "photos": files(3002), "label": ["a", "b"]}, **more
        ),
        "product.create",
    ),
    "change": (
        lambda till, sku, photo, **more: till.patch(f"{PATH}/{sku}", json={"name": "x"}, **more),
        "product.change",
    ),
    "rename": (
        lambda till, sku, photo, **more: till.post(f"{PATH}/{sku}/rename", json={"sku": f"{sku}-NEW"}, **more),
        "product.rename",
    ),
    "delete": (lambda till, sku, photo, **more: till.delete(f"{PATH}/{sku}", **more), "product.delete"),
    "add photos": (
        lambda till, sku, photo, **more: till.post(f"{PATH}/{sku}/photos", data={"photos": files(3003)}, **more),
        "photos.add",
    ),
    "replace a photo": (
        lambda till, sku, photo, **more: till.put(photo, data=jpeg(3004), content_type="image/jpeg", **more),
        "photo.replace",
    ),
    "delete a photo": (lambda till, sku, photo, **more: till.delete(photo, **more), "photo.delete"),
}


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "killed before the answer was kept"])
@pytest.mark.parametrize("what", SENDS)
def test_done_once_and_answered_the_same(
    till: FlaskClient, catalog: Catalog, lose_answers: Callable[[], None], what: str, answered: bool
) -> None:
    sku = f"ONCE {what} {answered}".replace(" ", "-")
    create(catalog, sku, 3000)
    photo = till.get(f"{PATH}/{sku}/photos").get_json()["photos"][0]["url"]
    send, action = SENDS[what]
    headers = named()
    first = send(till, sku, photo, headers=headers)
    if not answered:
        lose_answers()
        first = _without_time(first, send(till, sku, photo, headers=headers))
    same(first, send(till, sku, photo, headers=headers))
    where = f"{sku}-NEW" if action in ("product.create", "product.rename") else sku
    assert actions(catalog, where).count(action) == 1
    if what == "delete":
        restored = till.post(first.get_json()["restore_url"])
        assert restored.status_code == 200 and restored.get_json()["sku"] == sku
    for new in (f"{sku}-NEW", sku):
        till.delete(f"{PATH}/{new}")


def _without_time(first: Any, again: Any) -> Any:
    """What is made of the told: all but how long it took is as it was answered at first."""
    told, telling = first.get_json(), again.get_json()
    for body in (told, telling):
        body.pop("milliseconds", None)
    assert (again.status_code, telling) == (first.status_code, told)
    assert again.headers.pop("Idempotency-Replayed") == "true"
    return again


def test_an_undo_is_done_once(till: FlaskClient, catalog: Catalog, lose_answers: Callable[[], None]) -> None:
    create(catalog, "UNDO-1", 3010)
    undo = till.delete(f"{PATH}/UNDO-1").get_json()["restore_url"]
    headers = named()
    first = till.post(undo, headers=headers)
    lose_answers()
    again = till.post(undo, headers=headers)
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data()) == (200, first.get_data())
    assert actions(catalog, "UNDO-1").count("product.undelete") == 1


def test_what_changed_nothing_is_answered_the_same_too(till: FlaskClient, catalog: Catalog) -> None:
    """Though somebody has changed it since: the request is not done a second time."""
    create(catalog, "SAME-1", 3020, name="x")
    headers = named()
    first = till.patch(f"{PATH}/SAME-1", json={"name": "x"}, headers=headers)
    products.update(catalog, "SAME-1", products.Update(name="y"), actor="staff")
    same(first, till.patch(f"{PATH}/SAME-1", json={"name": "x"}, headers=headers))
    assert products.get(catalog.database, "SAME-1").name == "y"


def test_another_request_of_the_same_key_is_refused(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "MIX-1", 3030)
    create(catalog, "MIX-2", 3031)
    headers = named()
    assert till.patch(f"{PATH}/MIX-1", json={"name": "x"}, headers=headers).status_code == 200
    for reply in (
        till.patch(f"{PATH}/MIX-1", json={"name": "y"}, headers=headers),
        till.patch(f"{PATH}/MIX-2", json={"name": "x"}, headers=headers),
        till.delete(f"{PATH}/MIX-1", headers=headers),
        till.post(PATH, data={"sku": "MIX-3", "photos": files(3032)}, headers=headers),
    ):
        assert problem(reply, 422, "idempotency_mismatch")["field"] == "Idempotency-Key"
    form = {"sku": "MIX-3", "name": "x", "photos": files(3032)}
    headers = named()
    assert till.post(PATH, data=form, headers=headers).status_code == 201
    for other in ({"name": "y"}, {"photos": files(3033)}, {"photos": files(3032, 3033)}, {"barcode": "96385074"}):
        changed = {"sku": "MIX-3", "name": "x", "photos": files(3032), **other}
        problem(till.post(PATH, data=changed, headers=headers), 422, "idempotency_mismatch")


def test_keys_are_per_api_key(app: Flask, till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "PER-1", 3040)
    other = app.test_client()
    key = accounts.add_key(catalog.database, "other", ["catalog:write"], actor="test").key
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    headers = named()
    assert till.patch(f"{PATH}/PER-1", json={"name": "x"}, headers=headers).get_json()["name"] == "x"
    assert other.patch(f"{PATH}/PER-1", json={"name": "y"}, headers=headers).get_json()["name"] == "y"


def test_an_error_is_not_kept(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "TRY-1", 3050)
    headers = named()
    problem(till.post(PATH, json={"sku": "TRY-1", "photos": [sent(3051)]}, headers=headers), 409, "sku_exists")
    products.rename(catalog, "TRY-1", "TRY-2", actor="staff")
    assert till.post(PATH, json={"sku": "TRY-1", "photos": [sent(3051)]}, headers=headers).status_code == 201


def test_a_key_is_forgotten_after_a_day(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "DAY-1", 3060)
    headers = named()
    assert till.patch(f"{PATH}/DAY-1", json={"name": "x"}, headers=headers).status_code == 200
    with catalog.database.write() as session:
        session.execute(update(NamedRequest).values(at=now() - idempotency.named_requests.KEPT))
    reply = till.patch(f"{PATH}/DAY-1", json={"name": "y"}, headers=headers)
    assert (reply.status_code, reply.get_json()["name"]) == (200, "y")


def test_the_forms_of_a_key(till: FlaskClient, catalog: Catalog) -> None:
    create(catalog, "KEY-1", 3070)
    for name, again in (('"a b\\"c"', 'a b"c'), ("plain-1", '"plain-1"'), ("x" * 255, "x" * 255)):
        first = till.patch(f"{PATH}/KEY-1", json={"name": "x"}, headers=named(name))
        same(first, till.patch(f"{PATH}/KEY-1", json={"name": "x"}, headers=named(again)))
    for wrong in (" ", '""', "x" * 256, "é", "a\tb"):
        reply = till.patch(f"{PATH}/KEY-1", json={"name": "x"}, headers={"Idempotency-Key": wrong})
        assert problem(reply, 422, "invalid_input")["field"] == "Idempotency-Key"


def test_of_requests_at_once_one_is_done(app: Flask, till: FlaskClient, catalog: Catalog, key: str) -> None:
    headers, replies, ready = named(), [], threading.Barrier(6)

    def send() -> None:
        client = app.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        ready.wait()
        replies.append(client.post(PATH, json={"sku": "MANY-1", "photos": [sent(3080)]}, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [reply for reply in replies if reply.status_code == 201]
    assert done and len({reply.get_data() for reply in done}) == 1
    for reply in set(replies) - set(done):
        problem(reply, 409, "idempotency_busy")
        assert int(reply.headers["Retry-After"]) > 0
    assert actions(catalog, "MANY-1") == ["product.create"]


def test_a_second_process_at_the_same_request(
    till: FlaskClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have found nothing done, and then both do it: the second one's transaction finds the first one's."""
    create(catalog, "TWO-1", 3090)
    headers, real = named(), idempotency.named_requests.find
    looked: list[str] = []

    def find(database: Any, request: Any) -> Any:
        found = real(database, request)
        looked.append(request.name)
        if len(looked) == 1:  # meanwhile, in the other process, which knows nothing of this one's requests in hand
            idempotency._IN_HAND.clear()
            inner.append(till.patch(f"{PATH}/TWO-1", json={"name": "x"}, headers=headers))
        return found

    inner: list[Any] = []
    monkeypatch.setattr(idempotency.named_requests, "find", find)
    outer = till.patch(f"{PATH}/TWO-1", json={"name": "x"}, headers=headers)
    same(inner[0], outer)
    assert actions(catalog, "TWO-1").count("product.change") == 1


def test_a_second_process_answers_before_the_first(
    till: FlaskClient, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has made its change and not yet stored its answer: the second one's is stored, and both give that."""
    headers, real = named(), idempotency.named_requests.finish
    body = {"sku": "LATE-1", "photos": [sent(3095)]}
    inner: list[Any] = []

    def finish(*args: Any) -> Any:
        if not inner:
            inner.append(None)
            idempotency._IN_HAND.clear()
            inner[0] = till.post(PATH, json=body, headers=headers)
        return real(*args)

    monkeypatch.setattr(idempotency.named_requests, "finish", finish)
    outer = till.post(PATH, json=body, headers=headers)
    assert (outer.status_code, outer.get_data()) == (201, inner[0].get_data())
    assert actions(catalog, "LATE-1") == ["product.create"]


def test_an_add_is_answered_though_its_product_was_deleted_since(
    till: FlaskClient, catalog: Catalog, lose_answers: Callable[[], None]
) -> None:
    headers, body = named(), {"sku": "SINCE-1", "photos": [sent(3100)]}
    assert till.post(PATH, json=body, headers=headers).status_code == 201
    products.delete_product(catalog, "SINCE-1", actor="staff")
    lose_answers()
    reply = till.post(PATH, json=body, headers=headers)
    assert reply.status_code == 201 and reply.get_json()["photos"][0]["reason"] == "it was deleted since"
    assert actions(catalog, "SINCE-1") == ["product.delete", "product.create"]

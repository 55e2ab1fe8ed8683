"""`catalog webhook` and `catalog judge`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from catalog import feedback
from catalog.catalog import Catalog
from catalog.recognition import recognize
from tests.support.commands import Run, one_line
from tests.support.pictures import jpeg
from tests.support.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def test_a_webhook_from_its_secret_to_its_end(run: Run, receiver: Receiver, env: dict[str, str]) -> None:
    secret = run("webhook", "create", "ERP", receiver.url, "--for", "products", "--for", "inbox").stdout.strip()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert run("webhook", "list").stdout == f"1\tERP\t{receiver.url}\tproducts inbox\ton\n"
    assert "CATALOG_WEBHOOK_PRIVATE=on" in run("webhook", "test", "1", status=1).stderr
    env["CATALOG_WEBHOOK_PRIVATE"] = "on"
    assert run("webhook", "test", "1").stdout.startswith("204 after ")
    Verifier(secret).verify(receiver.came[0].body, receiver.came[0].headers)
    receiver.status, receiver.answer = 500, b"broken"
    assert "broken" in run("webhook", "test", "1", status=1).stderr
    listed = run("webhook", "deliveries", "1").stdout.splitlines()
    assert [line.split("\t")[2:4] for line in listed] == [
        ["webhook.test", "500"],
        ["webhook.test", "204"],
        ["webhook.test", "no answer"],
    ]
    run("webhook", "pause", "1")
    assert "paused by the staff" in run("webhook", "list").stdout
    run("webhook", "resume", "1")
    assert run("webhook", "list").stdout.endswith("\ton\n")
    assert "kept no more" in one_line(run("webhook", "again", "1", "1", status=1))
    run("webhook", "delete", "1")
    assert run("webhook", "list").stdout == ""
    for command in (("pause", "1"), ("resume", "1"), ("delete", "1"), ("test", "1"), ("deliveries", "1")):
        assert "no webhook 1" in one_line(run("webhook", *command, status=1))
    assert "address" in one_line(run("webhook", "create", "ERP", "ftp://x", status=1))


def test_a_person_judges_an_answer(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("add", "TEA", "1.jpg")
    run("add", "MILK", "2.jpg")
    catalog = open_catalog()
    answer = recognize(catalog, jpeg(1), asked_by="key till")
    feedback.give(catalog, answer.id, feedback.Judgement(True), actor="key till")
    catalog.close()
    run("judge", str(answer.id), "--wrong", "--sku", "MILK", "--note", "seen")
    given = feedback.find_answer(open_catalog(), answer.id).feedback
    assert given is not None and (given.correct, given.sku, given.note, given.actor) == (False, "MILK", "seen", "cli")
    assert "--right or --wrong" in run("judge", str(answer.id), status=2).stderr
    assert "no answer" in one_line(run("judge", str(uuid.uuid4()), "--right", status=1))

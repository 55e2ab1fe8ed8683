"""The report of a night: as text, by a real mail server, and where that does not take it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from catalog.config import MailSettings, Settings
from catalog.errors import ConfigError
from catalog.nightly import MailError, Night, Step, as_text, send_mail
from catalog.storage.tables import now

NIGHT = Night(
    now() - timedelta(minutes=30),
    now(),
    "machine-1",
    "0123456789ab",
    [Step("check", "done", "All is well.", 12.3), Step("backup", "failed", "No space is left für Größe.", 300)],
)


class Inbox:
    """Takes mails; refuses those to nobody@..."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append((envelope.rcpt_tos, message))
        return "250 OK"


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, str]]:
    taken = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(taken, hostname="127.0.0.1", port=port)
    controller.start()
    yield taken, f"smtp://127.0.0.1:{port}"
    controller.stop()


def test_a_mail_says_it_in_its_subject(inbox: tuple[Inbox, str]) -> None:
    taken, server = inbox
    send_mail(MailSettings(server, ("anna@shop.example", "otto@shop.example"), "catalog@shop.example"), NIGHT)
    [(to, mail)] = taken.mails
    assert to == ["anna@shop.example", "otto@shop.example"]
    assert mail["Subject"] == "Catalog: a person is needed (machine-1)" and mail["From"] == "catalog@shop.example"
    text = mail.get_content().replace("\r\n", "\n")
    assert text == as_text(NIGHT)
    assert "A person is to look at: backup." in text and "failed   backup          5 min  No space is left" in text
    assert "done     check            12 s  All is well." in text


def test_a_server_that_does_not_take_it(inbox: tuple[Inbox, str]) -> None:
    taken, server = inbox
    with pytest.raises(MailError, match="no such user"):
        send_mail(MailSettings(server, ("nobody@shop.example",), "catalog@shop.example"), NIGHT)
    with pytest.raises(MailError, match=r"127\.0\.0\.1"):
        send_mail(MailSettings("smtp://127.0.0.1:9", ("anna@shop.example",), "a@b"), NIGHT)
    with pytest.raises(MailError):  # no TLS there
        send_mail(MailSettings(server.replace("smtp:", "smtps:"), ("anna@shop.example",), "a@b"), NIGHT)
    assert taken.mails == []


def test_settings() -> None:
    whole = {
        "CATALOG_MAIL_SERVER": "smtps://us%40er:pw@mail.example:465",
        "CATALOG_MAIL_TO": "a@b.example, c@d.example",
    }
    mail = Settings.from_env(whole).mail
    assert mail == MailSettings(whole["CATALOG_MAIL_SERVER"], ("a@b.example", "c@d.example"), "a@b.example")
    assert "pw" not in repr(Settings.from_env(whole))
    assert Settings.from_env({}).mail is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"CATALOG_MAIL_TO": "a@b.example"},
        {"CATALOG_MAIL_SERVER": "smtp://h"},
        {"CATALOG_MAIL_SERVER": "http://h", "CATALOG_MAIL_TO": "a@b"},
        {"CATALOG_MAIL_SERVER": "smtp://h:port", "CATALOG_MAIL_TO": "a@b"},
        {"CATALOG_MAIL_SERVER": "smtp://[", "CATALOG_MAIL_TO": "a@b"},
        {"CATALOG_MAIL_SERVER": "smtp://h", "CATALOG_MAIL_TO": "anna"},
        {"CATALOG_MAIL_SERVER": "smtp://h", "CATALOG_MAIL_TO": "a@b\nBcc: c@d"},
        {"CATALOG_MAIL_SERVER": "smtp://h", "CATALOG_MAIL_TO": "a@b", "CATALOG_MAIL_FROM": "x"},
    ],
)
def test_wrong_settings_are_told(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="CATALOG_MAIL"):
        Settings.from_env(wrong)

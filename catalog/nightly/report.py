"""The report of a night: for a terminal and a mail, and as a JSON file."""

from __future__ import annotations

import json
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from urllib.parse import unquote, urlsplit

from catalog.config import MailSettings
from catalog.durable_files import write_file
from catalog.errors import CatalogError
from catalog.nightly.night import Night, Step

#: Seconds to wait for a mail server.
WAIT = 30


class MailError(CatalogError):
    """The mail server did not take the report; the night is over all the same, and is under Jobs."""

    code = "mail_not_sent"


def line_of(step: Step) -> str:
    """A step in a line: its state, its name, how long it took, what came of it."""
    return f"{step.state:8} {step.name:12} {_time(step.seconds):>8}  {step.message}"


def as_text(night: Night) -> str:
    """The whole report, a line each."""
    took = _time((night.ended_at - night.began_at).total_seconds())
    head = (
        f"Catalog on {night.host}, {night.began_at.astimezone():%Y-%m-%d %H:%M}, {took}, model {night.live or 'none'}"
    )
    return "\n".join([night.message, head, "", *map(line_of, night.steps), ""])


def write_report(night: Night, path: Path) -> None:
    """Write the report as JSON, in one step. Raises OSError."""
    write_file(path, (json.dumps(night.as_dict(), indent=2, ensure_ascii=False) + "\n").encode(), sync=True)


def send_mail(settings: MailSettings, night: Night) -> None:
    """Send the report. Raises MailError."""
    server = urlsplit(settings.server)
    message = EmailMessage()
    message["Subject"] = f"Catalog: {'all is well' if night.is_well else 'a person is needed'} ({night.host})"
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Date"] = format_datetime(night.ended_at)
    message["Message-ID"] = make_msgid(domain="catalog.invalid")
    message.set_content(as_text(night))
    host = server.hostname or ""
    try:
        if server.scheme == "smtps":
            context = ssl.create_default_context()
            with smtplib.SMTP_SSL(host, server.port or 465, timeout=WAIT, context=context) as smtp:
                _send(smtp, server.username, server.password, message)
        else:
            with smtplib.SMTP(host, server.port or 25, timeout=WAIT) as smtp:
                smtp.ehlo_or_helo_if_needed()
                if smtp.has_extn("starttls"):
                    smtp.starttls(context=ssl.create_default_context())
                _send(smtp, server.username, server.password, message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"The report was not sent by {host}: {error}.") from error


def _send(smtp: smtplib.SMTP, user: str | None, password: str | None, message: EmailMessage) -> None:
    if user:
        smtp.login(unquote(user), unquote(password or ""))
    smtp.send_message(message)


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

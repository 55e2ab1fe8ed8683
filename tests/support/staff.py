"""A member of the staff as a browser: signs in, and sends forms with the page's CSRF token."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

NAME, PASSWORD = "anna", "correct horse battery"


def csrf_of(client: FlaskClient, page: str) -> str:
    return field_of(client.get(page).get_data(as_text=True), "csrf_token")


def field_of(html: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    assert found, f"no {name} on the page"
    return found.group(1)


class Staff:
    def __init__(self, client: FlaskClient, name: str = NAME, password: str = PASSWORD) -> None:
        self.client = client
        form = {"name": name, "password": password, "csrf_token": csrf_of(client, "/login")}
        assert client.post("/login", data=form).status_code == 302

    def get(self, page: str) -> TestResponse:
        return self.client.get(page)

    def send(
        self, target: str, form: dict[str, Any], *, page: str | None = None, script: bool = False, anyway: bool = True
    ) -> TestResponse:
        """`anyway`: keep photos in spite of warnings; drawn ones are near to one another."""
        form = {**form, "anyway": "1"} if anyway else form
        headers = {"X-Requested-With": "fetch"} if script else {}
        data = {**form, "csrf_token": csrf_of(self.client, page or target)}
        return self.client.post(target, data=data, headers=headers, content_type="multipart/form-data")

    def send_once(self, target: str, form: dict[str, Any], *, page: str | None = None) -> TestResponse:
        """Send a form that makes a secret; the page that it leads to."""
        shown = field_of(self.get(page or target).get_data(as_text=True), "form")
        reply = self.send(target, {**form, "form": shown}, page=page)
        return self.get(reply.location) if reply.status_code == 302 else reply


def facts_shown(staff: Staff, page: str) -> dict[str, Any]:
    """What the form of a product's facts holds as it is shown: to send again, with changes."""
    html = staff.get(page).get_data(as_text=True)
    form = html[html.index('id="facts"') : html.index('id="barcodes"')]
    values = {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
    more = {"label": re.findall(r'name="label" value="([^"]*)" checked', form)}
    pairs = {name: re.findall(rf'name="{name}" value="([^"]*)"', form) for name in ("attribute", "value")}
    return {**values, **{name: list(map(unescape, found)) for name, found in (more | pairs).items()}}

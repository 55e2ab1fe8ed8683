"""The model's changes over HTTP: the API where it has them, else the staff's pages."""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from catalog.storage import content_hash
from tests.torture.model import Op, photo

NAME, PASSWORD = "anna", "correct horse battery"


class NotAsked(Exception):
    """The server did not answer a question that changes nothing."""


class Asking:
    """One client. Raises httpx.TransportError when the server is gone: whether the change was made is not known then.

    `cookies` are those of a person who signed in; `key` is a till's.
    """

    def __init__(self, url: str, key: str, cookies: Mapping[str, str], token: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=60)
        self._cookies, self._token = "; ".join(f"{name}={value}" for name, value in cookies.items()), token

    def close(self) -> None:
        self._http.close()

    def perform(self, op: Op) -> str:
        """Make the change; "" when it was acknowledged, else what refused it."""
        answer: str = getattr(self, op.kind)(op.sku, **op.given)
        return answer

    def get(self, page: str) -> str:
        """A page of the staff's."""
        try:
            return self._http.get(page, headers={"Cookie": self._cookies}).raise_for_status().text
        except httpx.TransportError as error:
            raise NotAsked from error

    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> str:
        form = {"sku": sku, "name": name, "barcode": barcodes}
        reply = self._http.post("/api/v1/products", data=form, files=_files(photos))
        return "" if reply.status_code == 201 else str(reply.json()["code"])

    def add_photos(self, sku: str, photos: list[int]) -> str:
        return self._send(f"/products/{sku}/photos", {}, files=_files(photos))

    def change(self, sku: str, name: str) -> str:
        while True:  # until nobody else has changed the product between the look and the change
            page = self.get(f"/products/{sku}")
            shown = re.findall(r'name="(was|version)" value="([^"]*)"', page[page.index('id="facts"') :])[:2]
            form = {field: html.unescape(value) for field, value in shown}
            refused = self._send(f"/products/{sku}/facts", {**form, "name": name})
            if refused != "409":
                return refused

    def set_active(self, sku: str, active: bool) -> str:
        return self._send(f"/products/{sku}/active", {"active": str(int(active))})

    def delete_photo(self, sku: str, photo: int) -> str:
        return self._send(f"/products/{sku}/photos/delete", {"photo": self._photo_id(sku, photo)})

    def add_barcode(self, sku: str, gtin: str) -> str:
        return self._send(f"/products/{sku}/barcodes", {"barcode": gtin})

    def remove_barcode(self, sku: str, gtin: str) -> str:
        return self._send(f"/products/{sku}/barcodes/{gtin}/remove", {})

    def _photo_id(self, sku: str, number: int) -> str:
        sha256 = content_hash(photo(number))
        # Its picture, and the next box to choose a photo of the product by.
        shown = self.get(f"/products/{sku}")
        found = re.search(rf'{sha256}/.*?name="photo" value="([0-9a-f-]{{36}})"', shown, re.DOTALL)
        assert found, f"{sku} does not show photo {number}"
        return found.group(1)

    def _send(self, page: str, form: dict[str, Any], **more: Any) -> str:
        data = {**form, "csrf_token": self._token}
        reply = self._http.post(page, data=data, headers={"Cookie": self._cookies}, **more)
        if reply.status_code in (409, 422):  # the page again, with what is wrong beside its field
            return str(reply.status_code)
        assert reply.status_code == 302, (page, reply.status_code, reply.text[-500:])
        kind, message = _flashed(reply)[-1]
        return "" if kind == "success" or kind.startswith("undo:") else message


def sign_in(url: str) -> tuple[dict[str, str], str]:
    """Cookies and CSRF token of a person; they hold for every process that has the same data folder."""
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post(
            "/login", data={"name": NAME, "password": PASSWORD, "csrf_token": _token(client.get("/login").text)}
        )
        return dict(client.cookies), _token(client.get("/add/").text)


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found.group(1)


def _flashed(reply: httpx.Response) -> list[list[str]]:
    """The messages for the next page, which the session's cookie holds: signed, and for everybody to read."""
    payload = reply.cookies["session"]
    data = base64.urlsafe_b64decode((text := payload.lstrip(".").split(".")[0]) + "=" * (-len(text) % 4))
    session = json.loads(zlib.decompress(data) if payload.startswith(".") else data)
    return [message[" t"] for message in session["_flashes"]]


def _files(numbers: list[int]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("photos", (f"{number}.jpg", photo(number))) for number in numbers]


Connect = Callable[[], Asking]

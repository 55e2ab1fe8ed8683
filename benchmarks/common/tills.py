"""A till that asks the real server again and again, and the first admin."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

from catalog.demo.server import Server

#: Seconds between an answer and the next question.
TILL_PAUSE = 0.1


def signed_in(server: Server) -> httpx.Client:
    """The first admin."""
    client = httpx.Client(base_url=server.url, timeout=60)
    page = client.get(server.first_start).text
    form = {"csrf_token": token_in(page), "name": "admin", "password": secrets.token_urlsafe(12)}
    assert client.post(server.first_start, data=form).status_code == 302
    return client


def sign_in_first(page: Any, server: Server) -> None:
    """The first admin, on a page of a browser."""
    page.goto(server.first_start)
    page.fill("#name", "admin")
    page.fill("#password", secrets.token_urlsafe(12))
    page.click("button")
    page.wait_for_url("**/account/welcome")


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found.group(1)


def ask(
    till: httpx.Client, photos: list[bytes], seconds: float, over: Callable[[], bool] = lambda: False
) -> list[float]:
    """Milliseconds of each answer to one till, for so long or until it is over."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends and not over():
        began = time.perf_counter()
        till.post("/api/v1/recognize", content=photos[len(times) % len(photos)]).raise_for_status()
        times.append((time.perf_counter() - began) * 1000)
        time.sleep(TILL_PAUSE)
    return times

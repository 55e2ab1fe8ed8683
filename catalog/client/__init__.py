"""The typed Python client of the POS API: `Client`, and `AsyncClient` for asyncio. Needs httpx, and no other library.

    with Client("https://catalog.example", key) as catalog:
        answer = catalog.recognize(Path("photo.jpg"))
        if answer.decision == "match":
            print(answer.matches[0].sku)

What the server refuses is raised as ProblemError. What it had no time for is repeated, and nothing is done twice.
"""

from __future__ import annotations

from catalog.client import models
from catalog.client.asynchronous import AsyncClient
from catalog.client.calls import Photo
from catalog.client.problems import ProblemError
from catalog.client.retries import Retries
from catalog.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "Photo", "ProblemError", "Retries", "models"]

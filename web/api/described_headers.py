"""Headers of answers, as OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from web.request_ids import HARMLESS, HEADER

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
#: Header -> what it says, and its schema. Its component has its name.
_HEADERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    HEADER: ("The request's id: your own, or a new one.", {**_TEXT, "pattern": f"^{HARMLESS.pattern}$"}),
    # See web/key_limits.py.
    "RateLimit-Limit": ("How many requests the key may send in its period; only where it has a limit.", _COUNT),
    "RateLimit-Remaining": ("How many of them are left.", _COUNT),
    "RateLimit-Reset": ("Seconds until all of them are there again.", _COUNT),
    "Retry-After": ("Seconds after which the request may be sent again.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("That a key is wanted.", _TEXT),
    "Accept-Encoding": ("How a body may be compressed; only where that was the fault.", _TEXT),
    "Deprecation": ("Since when the operation is deprecated (RFC 9745).", _TEXT),
    "Sunset": ("When the operation ends (RFC 8594).", _TEXT),
    "ETag": ("Names what is answered as it is now: for If-Match and If-None-Match.", _TEXT),
    "Location": ("The path of what was added; only where something was.", _TEXT),
    "Idempotency-Replayed": (
        "`true`: the request was done before, under the same Idempotency-Key, and is answered again.",
        {**_TEXT, "const": "true"},
    ),
    "Catalog-Version": ("The version of the archive.", _TEXT),
    "Catalog-Since": ("The version that the archive is a delta to; only where it is one.", _TEXT),
}
#: Those of every answer.
ALWAYS = (HEADER, "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def components() -> dict[str, Any]:
    """The description's `components/headers`."""
    return {name: {"description": text, "schema": dict(schema)} for name, (text, schema) in _HEADERS.items()}


def references(names: Iterable[str]) -> dict[str, Any]:
    """Headers of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}

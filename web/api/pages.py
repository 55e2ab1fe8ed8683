"""Pages of lists: how many are wanted, and the cursor of the next ones."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime

from flask import request

from catalog.errors import InvalidInputError


def wanted(default: int, most: int) -> int:
    """How many a page is to hold, by the parameter `limit`. Raises InvalidInputError."""
    text = request.args.get("limit", str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= most):
        raise InvalidInputError("limit", f"`limit` is a whole number from 1 to {most}.")
    return int(text)


def cursor_of(place: tuple[datetime, uuid.UUID] | None) -> str | None:
    """The cursor of what comes after a place in a list by moment and id; None at its end."""
    if place is None:
        return None
    at, identity = place
    return base64.urlsafe_b64encode(f"{at.isoformat()} {identity.hex}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    """The place that a cursor names; None for "". Raises InvalidInputError."""
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), "-_", validate=True).decode()
        at, _, identity = text.partition(" ")
        moment, answer = datetime.fromisoformat(at), uuid.UUID(identity)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC), answer
    except (ValueError, OverflowError):  # also one before the year 1, or after the year 9999
        pass
    raise InvalidInputError("after", "`after` is the `next` of the page before.")

"""Numbers of the command line, as argparse reads them."""

from __future__ import annotations

import argparse
from contextlib import suppress


def whole(text: str) -> int:
    """A number of threads, or of requests."""
    return _number(text, 1, 1000)


def port(text: str) -> int:
    """A port; 0: any that is free."""
    return _number(text, 0, 65535)


def seconds(text: str) -> int:
    """A time between two tries, up to a day."""
    return _number(text, 1, 86_400)


def _number(text: str, least: int, most: int) -> int:
    with suppress(ValueError):
        if least <= int(text) <= most:
            return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text!r}")

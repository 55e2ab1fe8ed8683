"""Words that the pages share."""

from __future__ import annotations


def counted(number: int, word: str, plural: str = "") -> str:
    """A number of things: "1 photo", "1,200 photos". `plural`: the word for several, if it is not the word and an s."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"

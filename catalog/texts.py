"""Texts that people type, in one form."""

from __future__ import annotations

import unicodedata

from catalog.errors import InvalidInputError


def checked_text(field: str, text: str, limit: int) -> str:
    """A text of a form, with composed characters and no blanks around it. Raises InvalidInputError."""
    text = unicodedata.normalize("NFC", text.strip())
    name = field.replace("_", " ")
    if len(text) > limit:
        raise InvalidInputError(field, f"The {name} has {len(text)} characters; at most {limit} are possible.")
    if not plain(text):
        raise InvalidInputError(field, f"The {name} holds a character that can't be stored or shown.")
    return text


def plain(value: str) -> bool:
    """Whether it has neither control characters nor halves of characters, which no database takes."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)

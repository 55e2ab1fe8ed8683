"""Texts and SKUs that people type, in their one stored form."""

from __future__ import annotations

import re
import unicodedata

from catalog.errors import InvalidInputError, NotFoundError


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


#: Letters and digits of any script, and the marks that SKUs use; no slash, so that none can be taken for a path.
SKU_PATTERN = re.compile(r"\w(?:[\w .+\-]{0,62}[\w+\-])?")


def check_sku(sku: str) -> str:
    """The SKU in its one form: composed characters (a Mac's folders have others), no blanks around it.

    Raises InvalidInputError for what can't be one.
    """
    sku = unicodedata.normalize("NFC", sku.strip())
    if not sku:
        raise InvalidInputError("sku", "The SKU is missing.")
    if len(sku) > 64:
        raise InvalidInputError("sku", f"The SKU has {len(sku)} characters; at most 64 are possible.")
    if not SKU_PATTERN.fullmatch(sku) or ".." in sku:
        raise InvalidInputError(
            "sku",
            "A SKU is made of letters, digits, blanks and . _ + - and starts with a letter or digit; slashes are not "
            "possible.",
        )
    return sku


def normalized_sku(sku: str) -> str:
    """The SKU as it would be stored. Raises NotFoundError for what can't be one: no database is asked for that."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise no_product(sku) from None


def no_product(sku: str) -> NotFoundError:
    """The error that says so."""
    return NotFoundError(f"There is no product {sku[:100]!r}.")

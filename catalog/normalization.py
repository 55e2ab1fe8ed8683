"""Normalization: texts and SKUs that people type, in their one stored form."""

from __future__ import annotations

import re
import unicodedata

from catalog.errors import InvalidInputError, NotFoundError


def checked_text(field: str, text: str, limit: int) -> str:
    """A text of a form, in NFC and stripped, of at most `limit` characters. Raises InvalidInputError."""
    text = unicodedata.normalize("NFC", text.strip())
    name = field.replace("_", " ")
    if len(text) > limit:
        raise InvalidInputError(field, f"The {name} has {len(text)} characters; at most {limit} are possible.")
    if not plain(text):
        raise InvalidInputError(field, f"The {name} holds a character that can't be stored or shown.")
    return text


def plain(value: str) -> bool:
    """Whether a text has neither control characters nor lone surrogates, which no database accepts."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


#: Letters and digits of any script, and the marks that SKUs use; no slash, so that none can be taken for a path.
SKU_PATTERN = re.compile(r"\w(?:[\w .+\-]{0,62}[\w+\-])?")


def check_sku(sku: str) -> str:
    """The SKU in its stored form: NFC (names of folders on macOS are NFD), stripped.

    Raises InvalidInputError for an invalid SKU.
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
    """The SKU in its stored form. Raises NotFoundError for an invalid one, without a query."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise no_product(sku) from None


def no_product(sku: str) -> NotFoundError:
    """The error for a SKU that no product has."""
    return NotFoundError(f"There is no product {sku[:100]!r}.")

"""Normalization: texts and SKUs that people type, in their one stored form."""

from __future__ import annotations

import re
import unicodedata

from catalog.errors import InvalidInputError, NotFoundError

#: The greatest number that every column and query takes: an INTEGER of PostgreSQL. No id or count comes near.
MOST = 2**31 - 1


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


#: Most characters of a SKU, and of its key: a character may be folded to several.
SKU_LENGTH = 64
KEY_LENGTH = 256
#: Characters without a width of their own that scripts need between letters (Persian, Malayalam); kept as they are.
_JOINERS = "\u200c\u200d"
#: Categories of characters that no SKU holds: control, surrogate, private, unassigned, separators of lines.
_UNUSABLE = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


def check_sku(sku: str) -> str:
    """The SKU in its stored form: NFC (names of folders on macOS are NFD), any blank a plain one, stripped.

    Characters that nobody sees are left out: they come along when a SKU is copied from a page or a document. Raises
    InvalidInputError for an invalid SKU.
    """
    sku = "".join(filter(None, map(_typed, unicodedata.normalize("NFC", sku)))).strip()
    if not sku:
        raise InvalidInputError("sku", "The SKU is missing.")
    if len(sku) > SKU_LENGTH:
        raise InvalidInputError("sku", f"The SKU has {len(sku)} characters; at most {SKU_LENGTH} are possible.")
    for character in sku:
        if unicodedata.category(character) in _UNUSABLE:
            said = f"U+{ord(character):04X}"
            raise InvalidInputError("sku", f"The SKU holds the character {said}, which can't be stored or shown.")
    if {".", ".."} & set(re.split(r"[/\\]", sku)):
        raise InvalidInputError("sku", "A SKU has no part . or .. between slashes, and is not one of them.")
    return sku


def _typed(character: str) -> str:
    """A character as it is stored; "" for an invisible one."""
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    return "" if category == "Cf" and character not in _JOINERS else character


def sku_key(sku: str) -> str:
    """What SKUs have in common that differ in capitals, width, invisible characters or the number of blanks only.

    Two products can't have such SKUs: people, spreadsheets and the file systems of Windows and macOS take them for one.
    `sku` is in its stored form.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", sku).casefold())
    seen = "".join(character for character in folded if not _is_ignorable(character))
    return (" ".join(seen.split()) or folded)[:KEY_LENGTH]


def _is_ignorable(character: str) -> bool:
    """Whether a character shows nothing by itself: joiners, variation selectors, fillers (Unicode's
    Default_Ignorable_Code_Point)."""
    return (
        unicodedata.category(character) == "Cf"
        or character in "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"
        or "\u180b" <= character <= "\u180f"
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def normalized_sku(sku: str) -> str:
    """The SKU in its stored form. Raises NotFoundError for an invalid one, without a query."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise no_product(sku) from None


def no_product(sku: str) -> NotFoundError:
    """The error for a SKU that no product has."""
    return NotFoundError(f"There is no product {sku[:100]!r}.")

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


#: Marks on Latin, Greek and Cyrillic letters. Those of other scripts (vowels, voicing) are letters by themselves.
_ACCENTS = re.compile("[\u0300-\u036f]")
#: Letters that Unicode does not take apart, as people type them who lack the key.
_PLAIN_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "\u0131": "i", "þ": "th"}
)
#: Characters of `search_text`, and of a name's key: as many as PostgreSQL takes in an index, whatever folding makes.
SEARCH_LENGTH, NAME_LENGTH = 500, 200


def folded(text: str) -> str:
    """What texts have in common that differ in capitals, accents, width or invisible characters only.

    Accents are dropped from Latin, Greek and Cyrillic letters alone; other scripts stay as they are.
    """
    apart = unicodedata.normalize("NFKD", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold())
    bare = _ACCENTS.sub("", apart).translate(_PLAIN_LETTERS)
    return unicodedata.normalize("NFC", "".join(one for one in bare if not _is_ignorable(one)))


def search_text(sku: str, name: str, brand: str, category: str) -> str:
    """The text that the product list searches: one, so that one comparison per product is enough. The SKU is first."""
    return folded("\n".join((sku, name, brand, category)))[:SEARCH_LENGTH]


def name_key(name: str) -> str:
    """What a list by name is sorted by."""
    return folded(name)[:NAME_LENGTH]


def normalized_sku(sku: str) -> str:
    """The SKU in its stored form. Raises NotFoundError for an invalid one, without a query."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise no_product(sku) from None


def no_product(sku: str) -> NotFoundError:
    """The error for a SKU that no product has."""
    return NotFoundError(f"There is no product {sku[:100]!r}.")

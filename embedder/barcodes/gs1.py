"""GS1 data: the GTIN in what a scanner sends of a GS1 symbol, in what is printed below it, and in a Digital Link.

A GS1-128, DataBar, GS1 DataMatrix or GS1 QR code holds elements, each with an application identifier: (01) the GTIN,
(17) a date, (10) a batch. People type them with brackets as printed; a scanner sends them without, an element of
variable length ended by FNC1 (as the control character GS), and often the symbology identifier (`]C1`, `]d2`) in front.
"""

from __future__ import annotations

import re

from embedder.errors import GtinError

#: Ends an element of variable length (GS1 General Specifications, "FNC1 as a separator"); the ways that it is typed.
GS = "\x1d"
_GS = re.compile(r"\x1d|␝|[<\[{](?:FNC1|GS)[>\]}]|\^\]", re.IGNORECASE)
#: A symbology identifier (ISO/IEC 15424), which a scanner may send first.
_SYMBOLOGY = re.compile(r"\]([A-Za-z])([0-9A-Za-z])")
#: Those of GS1 symbols: GS1-128, DataBar and composites, GS1 DataMatrix, GS1 QR code, GS1 DotCode.
_ELEMENTS = {"]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1"}
#: Length of an element by its first two digits, with these; others end with FNC1 (GS1 General Specifications,
#: "Element strings with predefined length using GS1 Application Identifiers").
_LENGTHS = {
    "00": 20,
    **dict.fromkeys(("01", "02", "03"), 16),
    "04": 18,
    **dict.fromkeys(map(str, range(11, 20)), 8),
    "20": 4,
    **dict.fromkeys(map(str, range(31, 37)), 10),
    "41": 16,
}
_BRACKETED = re.compile(r"\((01)\)([^(]*)")
_LINK = re.compile(r"(?:https?://|id\.gs1\.org/)[^\s]*", re.IGNORECASE)
_LINKED = re.compile(r"/(?:01|gtin)/([0-9]{8,14})(?:[/?#]|$)", re.IGNORECASE)
#: Where a field of several begins its next one, when one of them is GS1 data: that may itself hold blanks and commas.
_NEXT = re.compile(
    r"[\r\n]+|[ \t,;|]+(?=\][A-Za-z][0-9A-Za-z]|https?://|\(01\)|[0-9]{8,14}(?:[ \t]*[,;|]|[ \t]*$))", re.I
)


def is_gs1(text: str) -> bool:
    """Whether a text is of a scanner, a printed element string or a link, not the bare number of a barcode."""
    text = text.strip(" \t\r\n")
    return bool(
        _SYMBOLOGY.match(text)
        or _LINK.match(text)
        or _GS.search(text)
        or re.search(r"\([0-9]{2,4}\)", text)
        or re.match(r"01[0-9]{14}", text)
    )


def is_link(text: str) -> bool:
    """Whether a text is an address, as of a GS1 Digital Link."""
    return bool(_LINK.match(text))


def split(text: str) -> list[str]:
    """A field of which one part at least is GS1 data -> its parts."""
    return [part for part in (part.strip(" \t,;|") for part in _NEXT.split(text)) if part]


def digits_of(text: str) -> str:
    """GS1 data -> the digits of its GTIN, not validated: 14 where the form says which GTIN it is, else as they are.

    Raises GtinError for data that names no GTIN.
    """
    text = text.strip(" \t\r\n")
    symbology = _SYMBOLOGY.match(text)
    body = text[symbology.end() :] if symbology else text
    if _LINK.match(body):
        return _found(_LINKED.search(body), text)
    if "(" in body:
        return _found(_BRACKETED.search(body), text)
    if symbology and symbology[1] == "E":
        return _retail(symbology[2], body)
    elements = _GS.sub(GS, body)
    if symbology and symbology[0] not in _ELEMENTS and GS not in elements and not re.match("01[0-9]{14}", elements):
        return body
    return _first_gtin(elements.replace(" ", ""), text)


def _retail(kind: str, body: str) -> str:
    """What follows `]E`: 0 is an EAN-13 or a UPC, 3 one with an add-on of two or five digits, 4 an EAN-8."""
    digits = re.sub(r"[\s\-]", "", body)
    if kind == "3" and len(digits) in (15, 18):
        return digits[:13]
    return digits.zfill(14) if kind == "4" and len(digits) == 8 else digits


def _first_gtin(elements: str, text: str) -> str:
    """The GTIN of an element string without brackets."""
    while elements := elements.lstrip(GS):
        if elements.startswith("01"):
            return elements[2:16]
        length = _LENGTHS.get(elements[:2])
        elements = elements[length:] if length else elements.partition(GS)[2]
    return _found(None, text)


def _found(match: re.Match[str] | None, text: str) -> str:
    digits = re.sub(r"\s", "", match[match.lastindex or 0]) if match else ""
    if not re.fullmatch(r"[0-9]{8,14}", digits):
        raise GtinError(f"{text[:40]!r} names no product: it lacks the identifier (01) with a GTIN.")
    # With an identifier, eight digits are a GTIN-8: a UPC-E is written there in full.
    return digits.zfill(14)

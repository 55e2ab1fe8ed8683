"""Global Trade Item Numbers: the number under a barcode, checked, in one form.

A GTIN has 8, 12, 13 or 14 digits, the last of them a check digit. In a database it is 14 digits, right-aligned, with
zeros in front: so the GS1 General Specifications have it for application identifier (01), and in that form the UPC-A of
an American pack and the EAN-13 that a European scanner makes of it are one number.
"""

from __future__ import annotations

import re

from embedder.errors import GtinError

#: Digits of the one form.
LENGTH = 14
LENGTHS = (8, 12, 13, 14)


def check_digit(digits: str) -> int:
    """The digit that completes `digits`, which are all but the last one.

    From the right, digits count three times and once in turn; the check digit fills up to a multiple of ten (GS1
    General Specifications, "Standard check digit calculations").
    """
    return -sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits))) % 10


def parse_gtin(text: str) -> str:
    """A GTIN as it was typed, scanned or read -> its 14 digits. Blanks and hyphens between the digits are let pass.

    Eight digits are a GTIN-8; the short form of a UPC-E is not told apart from it, so its twelve digits are wanted.
    Raises GtinError for other lengths, for what is no digit, and for a check digit that is wrong.
    """
    digits = re.sub(r"[\s\-]", "", text)
    if not re.fullmatch(r"[0-9]+", digits):
        raise GtinError(f"{text[:40]!r} is no barcode: it is made of digits only.")
    if len(digits) not in LENGTHS:
        raise GtinError(f"The barcode {digits[:40]} has {len(digits)} digits; it needs 8, 12, 13 or 14.")
    if not int(digits):
        raise GtinError("A barcode of zeros names nothing.")
    expected = check_digit(digits[:-1])
    if int(digits[-1]) != expected:
        raise GtinError(
            f"The barcode {digits} is mistyped: its last digit, which checks the others, would be {expected}."
        )
    return digits.zfill(LENGTH)


def split_gtins(text: str) -> list[str]:
    """What a person typed into one field -> the barcodes in it, unchecked: they are separated by blanks, `,` or `;`.

    A single one may be spaced as it is printed (`4 006381 333931`): two have at least sixteen digits together.
    """
    parts = re.split(r"[\s,;]+", text.strip(" \t\r\n,;"))
    whole = "".join(parts)
    return [whole] if len(whole) <= LENGTH and whole else [part for part in parts if part]


def printed_gtin(gtin: str) -> str:
    """14 digits -> the number as the pack shows it: of 8, 12 or 13 digits where zeros were put in front."""
    significant = len(gtin.lstrip("0"))
    return gtin[-next(length for length in LENGTHS if length >= significant) :]


def is_restricted(gtin: str) -> bool:
    """Whether a shop may have given this number (14 digits) itself: to a pack it weighed, say, with the price in it.

    Such a number names nothing outside of that shop, and perhaps only the one pack. They begin with 02, 04 or 2, those
    of eight digits with 0 or 2 (GS1 General Specifications, GS1 Prefixes and GS1-8 Prefixes for "restricted circulation
    numbers").
    """
    number = printed_gtin(gtin)
    return number[0] in "02" if len(number) == 8 else number.zfill(13).startswith(("02", "04", "2"))

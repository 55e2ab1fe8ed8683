"""Global Trade Item Numbers (GTIN): validation and normalization of the number under a barcode.

A GTIN has 8, 12, 13 or 14 digits, the last of them a check digit. Normalized it has 14 digits, right-aligned, padded
with zeros (GS1 General Specifications, application identifier (01)): in that form the UPC-A of an American pack and the
EAN-13 that a European scanner makes of it are one number.
"""

from __future__ import annotations

import re

from embedder.errors import GtinError

#: Digits of the normalized form.
LENGTH = 14
#: Digits of a printed GTIN.
LENGTHS = (8, 12, 13, 14)


def check_digit(digits: str) -> int:
    """The check digit for `digits`, which are all but the last one.

    From the right, digits are weighted 3 and 1 in turn; the check digit completes the sum to a multiple of ten (GS1
    General Specifications, "Standard check digit calculations").
    """
    return -sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits))) % 10


def parse_gtin(text: str) -> str:
    """A GTIN as typed, scanned or read -> its 14 digits. Blanks and hyphens are ignored.

    Eight digits are a GTIN-8: the short form of a UPC-E can't be told apart from it, so give its twelve digits. Raises
    GtinError for other lengths, other characters, only zeros, or a wrong check digit.
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
    """Text of an input field -> the barcodes in it, not validated, separated by blanks, `,` or `;`.

    A single one may be spaced as printed (`4 006381 333931`): two have at least sixteen digits together.
    """
    parts = re.split(r"[\s,;]+", text.strip(" \t\r\n,;"))
    whole = "".join(parts)
    return [whole] if len(whole) <= LENGTH and whole else [part for part in parts if part]


def printed_gtin(gtin: str) -> str:
    """14 digits -> the number as printed on the pack: without the padding, 8, 12, 13 or 14 digits."""
    significant = len(gtin.lstrip("0"))
    return gtin[-next(length for length in LENGTHS if length >= significant) :]


def is_restricted(gtin: str) -> bool:
    """Whether a GTIN (14 digits) is a restricted circulation number: a shop's own, say of a pack that it weighed.

    Such a number identifies nothing outside of that shop, and perhaps a single pack, since it may contain the price.
    The prefixes are 02, 04 and 2, of eight digits 0 and 2 (GS1 General Specifications, GS1 Prefixes and GS1-8 Prefixes
    for "restricted circulation numbers").
    """
    number = printed_gtin(gtin)
    return number[0] in "02" if len(number) == 8 else number.zfill(13).startswith(("02", "04", "2"))

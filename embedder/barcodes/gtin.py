"""Global Trade Item Numbers (GTIN): validation and normalization of the number under a barcode.

A GTIN has 8, 12, 13 or 14 digits, the last of them a check digit. Normalized it has 14 digits, right-aligned, padded
with zeros (GS1 General Specifications, application identifier (01)): in that form the UPC-A of an American pack and the
EAN-13 that a European scanner makes of it are one number.
"""

from __future__ import annotations

import re

from embedder.barcodes import gs1
from embedder.errors import GtinError

#: Digits of the normalized form.
LENGTH = 14
#: Digits of a printed GTIN.
LENGTHS = (8, 12, 13, 14)
#: A number as a spreadsheet shortens it ("4.07E+12"): the digits that it leaves out are lost.
SHORTENED = re.compile(r"[0-9][.,]?[0-9]*E\+?[0-9]{2,}", re.IGNORECASE)
#: Decimals of a whole number: a decimal comma only before what separates numbers otherwise, since it separates, too.
_DECIMALS = re.compile(r"(?<=[0-9]{8})(?:\.0+(?=\s*(?:[,;|]|$))|,0+(?=\s*(?:[;|]|$)))")


def check_digit(digits: str) -> int:
    """The check digit for `digits`, which are all but the last one.

    From the right, digits are weighted 3 and 1 in turn; the check digit completes the sum to a multiple of ten (GS1
    General Specifications, "Standard check digit calculations").
    """
    return -sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(digits))) % 10


def parse_gtin(text: str) -> str:
    """A GTIN as typed, scanned or read -> its 14 digits. Blanks and hyphens are ignored.

    Takes what scanners send of GS1 symbols, element strings and Digital Links, too (see gs1.py); of those only the GTIN
    is kept. Eight digits that begin with 0 or 1 may be a UPC-E, which is expanded. Raises GtinError for other lengths,
    other characters, only zeros, a wrong check digit, or eight digits that are both a UPC-E and a GTIN-8.
    """
    number, *others = readings(text)
    if others:
        raise GtinError(
            f"{re.sub(r'[^0-9]', '', text)} may be the UPC-E of {others[0][-12:]} or a GTIN-8: type the twelve digits "
            f"{others[0][-12:]}, or {number} for the GTIN-8."
        )
    return number


def readings(text: str) -> tuple[str, ...]:
    """Every GTIN (14 digits) that a text may mean: one, but for eight digits that are a GTIN-8 and a UPC-E at once.

    Raises GtinError like `parse_gtin`.
    """
    digits = re.sub(r"[ \t\r\n\u00a0\u202f\-]", "", gs1.digits_of(text) if gs1.is_gs1(text) else text)
    if SHORTENED.fullmatch(digits):
        raise GtinError(
            f"{digits[:40]!r} is a number that a spreadsheet shortened, its last digits are lost: format the column as "
            "text."
        )
    if not re.fullmatch(r"[0-9]+", digits):
        raise GtinError(f"{text[:40]!r} is no barcode: it is made of digits only.")
    if len(digits) not in LENGTHS:
        raise GtinError(f"The barcode {digits[:40]} has {len(digits)} digits; it needs 8, 12, 13 or 14.")
    if not int(digits):
        raise GtinError("A barcode of zeros names nothing.")
    found = [number for number in (digits, _expanded(digits)) if number and _is_checked(number)]
    if not found:
        expected = check_digit(digits[:-1])
        raise GtinError(
            f"The barcode {digits} is mistyped: its last digit, which checks the others, would be {expected}."
        )
    return tuple(number.zfill(LENGTH) for number in found)


def _is_checked(digits: str) -> bool:
    return int(digits[-1]) == check_digit(digits[:-1])


def _expanded(digits: str) -> str:
    """A UPC-E of eight digits -> its UPC-A of twelve; "" for what is none.

    The last of its six digits says where the zeros were left out (GS1 General Specifications, "UPC-E barcodes").
    """
    if len(digits) != 8 or digits[0] not in "01":
        return ""
    six, rule = digits[1:7], digits[6]
    if rule in "012":
        whole = f"{six[:2]}{rule}0000{six[2:5]}"
    elif rule == "3":
        whole = f"{six[:3]}00000{six[3:5]}"
    elif rule == "4":
        whole = f"{six[:4]}00000{six[4]}"
    else:
        whole = f"{six[:5]}0000{rule}"
    return digits[0] + whole + digits[7]


def split_gtins(text: str) -> list[str]:
    """Text of an input field or a cell -> the barcodes in it, not validated, separated by blanks, `,`, `;` or `|`.

    Numbers that are joined by blanks alone are one as printed (`4 006381 333931`), unless one of them is long enough to
    be a barcode by itself. A number that a spreadsheet wrote with decimals (`4006381333931,0`) is without them.
    """
    if gs1.is_gs1(text):
        return gs1.split(text)
    text = _DECIMALS.sub("", text)
    text = re.sub(r"(?<=[0-9]),(?=[0-9]*E\+?[0-9])", ".", text, flags=re.IGNORECASE)  # 4,07E+12 is one, though no GTIN
    numbers: list[str] = []
    for part in re.split(r"[,;|\r\n]+", text):
        words = part.split()
        whole = "".join(words)
        apart = len(whole) > LENGTH or any(len(word.replace("-", "")) >= LENGTHS[0] for word in words)
        numbers += words if apart else [whole] if whole else []
    return numbers


def printed_gtin(gtin: str) -> str:
    """14 digits -> the number as printed on the pack: without the padding, 8, 12, 13 or 14 digits.

    A GTIN-8 that may be taken for a UPC-E keeps its 14 digits.
    """
    significant = len(gtin.lstrip("0"))
    printed = gtin[-next(length for length in LENGTHS if length >= significant) :]
    return gtin if (upc := _expanded(printed)) and _is_checked(upc) else printed


def item_number(gtin: str) -> str:
    """The part of a weighed item's number (14 digits) that names the item; "" for a number that is not of this kind.

    A shop's scales print 02 or 20 to 29, five digits of the item, five of weight or price, and the check digit (GS1
    General Specifications, "Variable measure trade items scanned in general retail"). An item of zeros is none.
    """
    scales = gtin[0] == "0" and (gtin[1] == "2" or gtin[1:3] == "02") and gtin[3:8] != "00000"
    return gtin[:8] if scales else ""


def is_restricted(gtin: str) -> bool:
    """Whether a GTIN (14 digits) is a restricted circulation number: a shop's own, say of a pack that it weighed.

    Such a number identifies nothing outside of that shop, and perhaps a single pack, since it may contain the price.
    The prefixes are 02, 04 and 2, of eight digits 0 and 2 (GS1 General Specifications, GS1 Prefixes and GS1-8 Prefixes
    for "restricted circulation numbers").
    """
    if not gtin.startswith("000000"):
        return gtin[0] == "0" and gtin[1:].startswith(("02", "04", "2"))
    return gtin[6] in "02"

from __future__ import annotations

import pytest

from embedder.barcodes import gtin
from embedder.errors import GtinError


@pytest.mark.parametrize(
    ("digits", "expected"),
    # The first is the example of GS1's page on check digits, the others are numbers of real packs.
    [("629104150021", 3), ("400638133393", 1), ("9638507", 4), ("03600029145", 2), ("1001234512345", 7), ("0", 0)],
)
def test_check_digit(digits: str, expected: int) -> None:
    assert gtin.check_digit(digits) == expected
    assert gtin.check_digit("00" + digits) == expected, "zeros in front change nothing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4006381333931", "04006381333931"),
        (" 4 006381 333931\n", "04006381333931"),
        ("978-3-16-148410-0", "09783161484100"),
        ("96385074", "00000096385074"),
        ("036000291452", "00036000291452"),
        ("0036000291452", "00036000291452"),
        ("10012345123457", "10012345123457"),
    ],
)
def test_one_form(text: str, expected: str) -> None:
    assert gtin.parse_gtin(text) == expected
    assert gtin.parse_gtin(expected) == expected


NO_GTINS = {
    "spreadsheet shortened": ["4.00638E+12", "4E+12", "4,07E+12"],
    "digits only": [
        "",
        "tea",
        "4006381333931,0",
        "4.006.381.333.931",
        "\uff14\uff10\uff10\uff16\uff13\uff18\uff11\uff13",
    ],
    "last digit": ["400638133393", "4006381333932", "4006813333931"],
    "digits; it needs": ["36000291452", "1" * 15, "7"],
    "zeros": ["0" * 13],
}


@pytest.mark.parametrize(("text", "words"), [(text, words) for words, texts in NO_GTINS.items() for text in texts])
def test_what_is_no_gtin(text: str, words: str) -> None:
    with pytest.raises(GtinError, match=words) as caught:
        gtin.parse_gtin(text)
    assert len(str(caught.value)) < 150


def test_the_check_digit_catches_every_single_wrong_digit() -> None:
    right = "4006381333931"
    for place, old in enumerate(right):
        for new in set("0123456789") - {old}:
            with pytest.raises(GtinError):
                gtin.parse_gtin(right[:place] + new + right[place + 1 :])


@pytest.mark.parametrize("length", [8, 12, 13])
@pytest.mark.parametrize("number", ["96385074", "036000291452", "4006381333931"])
def test_printed_as_on_the_pack(number: str, length: int) -> None:
    assert gtin.printed_gtin(gtin.parse_gtin(number)) == number
    longer = number.zfill(max(length, len(number)))
    assert gtin.printed_gtin(gtin.parse_gtin(longer)) == number
    assert gtin.printed_gtin("10012345123457") == "10012345123457"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;, ", []),
        ("4006381333931", ["4006381333931"]),
        ("4 006381 333931", ["4006381333931"]),
        ("4006381333931 96385074", ["4006381333931", "96385074"]),
        ("96385074;96385074,036000291452; ", ["96385074", "96385074", "036000291452"]),
        ("nonsense of some length", ["nonsense", "of", "some", "length"]),
        ("40123455, 6", ["40123455", "6"]),
        ("40123455 6", ["40123455", "6"]),
        ("4006381333931 0", ["4006381333931", "0"]),
        ("4076012229070,0", ["4076012229070"]),
        ("4076012229070,00; 96385074.0", ["4076012229070", "96385074"]),
        ("4006381333931,0036000291452", ["4006381333931", "0036000291452"]),
        ("4,076,012,229,070", ["4", "076", "012", "229", "070"]),
        ("4,07E+12", ["4.07E+12"]),
        ("4\u00a0006381\u00a0333931|96385074", ["4006381333931", "96385074"]),
    ],
)
def test_several_in_one_field(text: str, expected: list[str]) -> None:
    assert gtin.split_gtins(text) == expected


OF_A_SHOP = ["2012345678900", "0212345678909", "212345678909", "0412345678903", "412345678903", "20000004", "01234565"]
OF_THE_WORLD = ["4006381333931", "036000291452", "96385074", "9783161484100", "12012345678907"]


@pytest.mark.parametrize("number", [*OF_A_SHOP, *OF_THE_WORLD])
def test_numbers_of_a_shops_own(number: str) -> None:
    assert gtin.is_restricted(number.zfill(gtin.LENGTH)) is (number in OF_A_SHOP)

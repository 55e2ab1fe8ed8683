"""Barcodes as people type them and as scanners send them."""

from __future__ import annotations

import numpy as np
import pytest
import zxingcpp

from embedder.barcodes import gtin
from embedder.errors import GtinError

TEA = "04006381333931"
FORMS = [
    "(01)04006381333931",
    "(01) 04006381333931 (17) 250101 (10) AB,C",
    "(17)250101(01)04006381333931",
    "(01)4006381333931",
    "]E04006381333931",
    "]E3400638133393112345",
    "]E3400638133393112",
    "]C10104006381333931",
    "]C10104006381333931172501011\x1d10AB",
    "]C11725010110AB\x1d0104006381333931",
    "]C1310300175001040063813339313103001750",
    "]e00104006381333931",
    "]e0(01)04006381333931",
    "]d2010400638133393110AB\x1d17250101",
    "]d2\x1d0104006381333931",
    "]d2<GS>21XYZ<GS>0104006381333931",
    "{FNC1}0104006381333931{GS}10A",
    "\x1d0104006381333931",
    "]Q30104006381333931",
    "]I104006381333931",
    "]C04006381333931",
    "0104006381333931",
    "010400638133393117250101",
    "https://id.gs1.org/01/04006381333931",
    "https://id.gs1.org/01/4006381333931/10/ABC?17=250101",
    "HTTPS://ID.GS1.ORG/01/04006381333931/21/1",
    "http://tea.example/shop/01/04006381333931?a=b",
    "https://tea.example/gtin/4006381333931",
    "id.gs1.org/01/04006381333931",
    "]Q1https://id.gs1.org/01/04006381333931/10/ABC",
    "4-006381-333931",
]


@pytest.mark.parametrize("text", FORMS)
def test_one_number_in_every_form(text: str) -> None:
    assert gtin.parse_gtin(text) == gtin.parse_gtin(f" {text}\n") == TEA
    assert [gtin.parse_gtin(part) for part in gtin.split_gtins(text)] == [TEA]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("]E496385074", "00000096385074"),
        ("]E401234565", "00000001234565"),
        ("]E00012345000065", "00012345000065"),
        ("]I110012345123457", "10012345123457"),
        ("(01)90614141000015(3103)001750", "90614141000015"),
    ],
)
def test_other_numbers_with_their_identifiers(text: str, expected: str) -> None:
    if expected.startswith("9"):
        expected = expected[:13] + str(gtin.check_digit(expected[:13]))
        text = f"(01){expected}(3103)001750"
    assert gtin.parse_gtin(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "(02)04006381333931(37)12",
        "(00)340063813339310008",
        "(01)",
        "(01)0400638133393",
        "(01)0400638133393X",
        "]C1",
        "]d2",
        "]C110AB",
        "]C1172501",
        "]E212",
        "\x1d\x1d",
        "https://tea.example/",
        "https://id.gs1.org/00/340063813339310008",
        "https://tea.example/01/12345678901234567",
        "(01)04006381333932",
        "https://id.gs1.org/01/04006381333932",
        "]C10104006381333932",
        "0104006381333932",
        "(01)\u0664006381333931",
        "]" * 5000,
        "(" * 5000,
        "\x1d" * 5000,
        "(01)" * 5000,
        "http://" + "/01/" * 5000,
    ],
)
def test_what_names_no_product(text: str) -> None:
    with pytest.raises(GtinError) as caught:
        gtin.parse_gtin(text)
    assert len(str(caught.value)) < 250
    for part in gtin.split_gtins(text):
        with pytest.raises(GtinError):
            gtin.parse_gtin(part)


@pytest.mark.parametrize("between", [" ", "\n", ", ", ";", " | "])
def test_several_forms_in_one_field(between: str) -> None:
    text = between.join(["(01)04006381333931 (10)A,B", "]E496385074", "https://id.gs1.org/01/036000291452"])
    assert [gtin.parse_gtin(part) for part in gtin.split_gtins(text)] == [TEA, "00000096385074", "00036000291452"]
    mixed = between.join(["(01)04006381333931", "5449000000996"])
    assert [gtin.parse_gtin(part) for part in gtin.split_gtins(mixed)] == [TEA, "05449000000996"]


@pytest.mark.parametrize(
    ("upce", "upca"),
    # The first two are the usual examples, the third is on cans.
    [("04252614", "042100005264"), ("06543217", "065100004327"), ("04904403", "049000000443")],
)
def test_a_upce_is_expanded(upce: str, upca: str) -> None:
    assert gtin.readings(upce)[-1] == upca.zfill(14)
    for typed in (upce, f"{upce[0]} {upce[1:7]} {upce[7]}"):
        assert [gtin.readings(part)[-1] for part in gtin.split_gtins(typed)] == [upca.zfill(14)]


@pytest.mark.parametrize(
    "body", [f"{first}12{three}56{rule}" for rule in range(10) for first, three in ((0, 3), (1, 9))]
)
def test_it_is_expanded_as_a_scanner_does(body: str) -> None:
    made = zxingcpp.create_barcode(body, zxingcpp.UPCE)
    (seen,) = zxingcpp.read_barcodes(np.array(zxingcpp.write_barcode_to_image(made, scale=4)), zxingcpp.UPCE)
    expected = seen.text.zfill(14)
    assert gtin.readings(body + expected[-1])[-1] == expected


def test_what_may_be_a_upce_or_a_gtin8_is_asked_about() -> None:
    with pytest.raises(GtinError, match=r"012345000065, or 00000001234565 for the GTIN-8"):
        gtin.parse_gtin("01234565")
    for number in ("012345000065", "00000001234565"):
        assert gtin.parse_gtin(gtin.printed_gtin(gtin.parse_gtin(number))) == number.zfill(14)
    assert gtin.is_restricted("00000001234565") and not gtin.is_restricted("00012345000065")


def test_every_number_that_is_printed_is_read_back() -> None:
    for first in range(0, 2_000_000, 977):
        digits = f"{first:07}"
        number = (digits + str(gtin.check_digit(digits))).zfill(14)
        if int(number):
            assert gtin.parse_gtin(gtin.printed_gtin(number)) == number


@pytest.mark.parametrize(
    ("number", "item"),
    [
        ("02112345009874", "02112345"),
        ("00212345009870", "00212345"),
        ("02900001012346", "02900001"),
        ("02000000012345", ""),  # no item: the number is a shop's own, whole
        ("04006381333931", ""),
        ("00412345678903", ""),
        ("22112345009874", ""),
        ("00000020000004", ""),
    ],
)
def test_the_item_of_a_weighed_pack(number: str, item: str) -> None:
    assert gtin.item_number(number) == item

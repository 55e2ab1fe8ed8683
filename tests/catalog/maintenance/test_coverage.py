from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from catalog import cli, products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import NotFoundError
from catalog.maintenance import Coverage, coverage
from catalog.products import Intake
from catalog.products.adding import Facts
from tests.support.drawn import DRAWN, front
from tests.support.pictures import encode, picture


def add(catalog: Catalog, sku: str, *photos: bytes) -> None:
    uploads = [NewPhoto(f"{sku}-{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku), uploads, Intake("test", check="off", read_barcodes=False))


def examined(catalog: Catalog, **chosen: object) -> dict[str, Coverage]:
    return {one.sku: one for one in coverage.examine_coverage(catalog, **chosen)}  # type: ignore[arg-type]


def codes(one: Coverage) -> list[str]:
    return [advice.code for advice in one.advice]


@pytest.mark.slow
def test_a_pack_from_several_sides_is_found_and_needs_nothing(catalog: Catalog) -> None:
    for place in range(4):
        add(catalog, f"P{place}", front(DRAWN[place]), front(DRAWN[place], 25, "gray"), front(DRAWN[place], -40, "tan"))
    found = examined(catalog)
    assert [(one.photos, one.asked, one.found, one.recall) for one in found.values()] == [(3, 3, 3, 1.0)] * 4
    assert all(codes(one) == [] and one.mistaken == () for one in found.values())


def test_photos_of_two_things_under_one_sku_do_not_find_it(catalog: Catalog) -> None:
    add(catalog, "GOOD", front(DRAWN[3]), front(DRAWN[3], 20, "gray"))
    add(catalog, "MIXED", front(DRAWN[1]), front(DRAWN[1], 15, "gray"), front(DRAWN[3], -20, "tan"))
    found = examined(catalog)
    mixed = found["MIXED"]
    assert (mixed.asked, mixed.found) == (3, 2)
    (mistake,) = mixed.mistaken
    assert (mistake.sku, mistake.times, mistake.photos) == ("GOOD", 1, ("MIXED-2.jpg",))
    (advice,) = [one for one in mixed.advice if one.code == "not_found"]
    assert "1 of 3 photos don't find it" in advice.message and "MIXED-2.jpg" in advice.message
    # The other product's photos find that stranger, too.
    assert coverage.confused(list(found.values())) == [("GOOD", "MIXED", 2), ("MIXED", "GOOD", 1)]


def test_one_photo_is_not_asked_and_several_of_one_view_are_said(catalog: Catalog) -> None:
    add(catalog, "ONE", front(DRAWN[2]))
    add(catalog, "VIEW", front(DRAWN[5]), front(DRAWN[5], 1))
    found = examined(catalog)
    assert (found["ONE"].asked, found["ONE"].recall, codes(found["ONE"])) == (0, None, ["one_photo"])
    assert (found["VIEW"].recall, codes(found["VIEW"])) == (1.0, ["one_view"])


def test_only_poor_photos_are_said_with_what_is_poor(catalog: Catalog) -> None:
    dark = [encode(picture(seed).point(lambda value: value * 0.2)) for seed in (1, 2)]
    add(catalog, "DARK", *dark)
    advice = {one.code: one.message for one in examined(catalog)["DARK"].advice}
    assert "too dark" in advice["poor_photos"]


def test_things_without_print_that_look_alike_are_said(catalog: Catalog) -> None:
    def ball(color: str, x: int) -> bytes:
        ground = Image.new("RGB", (400, 300), "white")
        shade = Image.radial_gradient("L").resize((160, 160)).point(lambda value: 255 - value)
        ground.paste(Image.new("RGB", (160, 160), color), (x, 70), shade)
        return encode(ground, quality=92)

    add(catalog, "BALL-A", ball("#c03030", 100), ball("#c03030", 140))
    add(catalog, "BALL-B", ball("#c43434", 110), ball("#c43434", 150))
    found = examined(catalog)
    said = {sku: [a.message for a in one.advice if a.code == "close_no_print"] for sku, one in found.items()}
    assert said["BALL-A"] and "BALL-B" in said["BALL-A"][0] and said["BALL-B"]


def test_one_product_or_a_sample_of_active_ones(catalog: Catalog) -> None:
    for place in range(3):
        add(catalog, f"P{place}", front(DRAWN[place]), front(DRAWN[place], 25, "gray"))
    assert list(examined(catalog, sku="P1")) == ["P1"]
    assert len(examined(catalog, sample=2)) == 2
    assert examined(catalog, sample=2) == examined(catalog, sample=2)
    products.set_active(catalog, "P0", False, actor="test")
    assert set(examined(catalog)) == {"P1", "P2"}
    with pytest.raises(NotFoundError):
        list(coverage.examine_coverage(catalog, sku="P9"))


@pytest.mark.slow
def test_the_command_prints_a_table_or_a_line_a_product(
    catalog: Catalog, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(catalog, "A", front(DRAWN[0]), front(DRAWN[0], 25, "gray"))
    add(catalog, "B", front(DRAWN[1]))
    catalog.close()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    table = CliRunner().invoke(cli.main, ["coverage", "--quiet"])
    assert table.exit_code == 0 and "It has one photo" in table.output
    assert "2 products, 2 photos asked, 100.0% found their product" in table.output
    lines = CliRunner().invoke(cli.main, ["coverage", "--quiet", "--json"]).stdout.splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["sku"], first["recall"], first["found"]) == ("A", 1.0, 2)
    assert (second["sku"], second["recall"], second["advice"][0]["code"]) == ("B", None, "one_photo")
    unknown = CliRunner().invoke(cli.main, ["coverage", "--sku", "Z"])
    assert unknown.exit_code == 1 and "Z" in unknown.output

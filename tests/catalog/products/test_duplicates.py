"""Products that are in the catalog twice: what is found, what is no longer, and what a person says differs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select, update

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import ConflictError, InvalidInputError, NotFoundError
from catalog.normalization import sku_key
from catalog.products import Comparing, Facts, Intake, barcode_owners, comparing, duplicates
from catalog.products.duplicates import DuplicatePair
from catalog.storage import PhotoStore, feature_store
from catalog.storage.tables import AuditEntry, ComparedPhoto, DifferentProducts, Product
from embedder.matching import LocalFeatures
from tests.support.drawn import DRAWN, front
from tests.support.pictures import encode, jpeg, picture


def add(catalog: Catalog, sku: str, *photos: bytes, name: str = "", brand: str = "") -> None:
    uploads = [NewPhoto(f"{place}.jpg", data) for place, data in enumerate(photos)]
    products.create(catalog, Facts(sku, name, brand), uploads, Intake("anna", check="off", read_barcodes=False))


def listed(catalog: Catalog) -> list[DuplicatePair]:
    return duplicates.list_duplicates(catalog.database).pairs


def found(catalog: Catalog) -> dict[frozenset[str], list[str]]:
    """The kinds of reasons by pair of SKUs."""
    return {
        frozenset((pair.one.sku, pair.other.sku)): [reason.kind for reason in pair.reasons] for pair in listed(catalog)
    }


def pair(*skus: str) -> frozenset[str]:
    return frozenset(skus)


def test_the_same_pack_and_a_copy_of_a_picture_are_found_and_others_are_not(catalog: Catalog) -> None:
    for place in range(3):
        add(catalog, f"P{place}", front(DRAWN[place]))
    add(catalog, "again", front(DRAWN[2], 20, "gray"))
    add(catalog, "copy", encode(picture(5), quality=90))
    add(catalog, "copied", encode(picture(5).resize((240, 180)), quality=70))
    assert found(catalog) == {} and duplicates.list_duplicates(catalog.database).uncompared == 6
    assert products.compare_all(catalog) == 6
    assert found(catalog) == {pair("copy", "copied"): ["same_picture"], pair("P2", "again"): ["same_pack"]}
    assert duplicates.list_duplicates(catalog.database).uncompared == 0
    (copy, pack) = listed(catalog)
    assert copy.one.sku == "copied" and pack.reasons[0].points is not None and pack.reasons[0].points >= 30
    for each in (copy, pack):
        assert each.reasons[0].photos == (each.one.photo, each.other.photo), "each in its place"
    assert products.compare_all(catalog) == 0, "each photo once"


def test_a_product_that_is_added_later_is_compared_alone(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    add(catalog, "B", jpeg(2))
    products.compare_all(catalog)
    add(catalog, "C", jpeg(1))
    assert products.compare_all(catalog) == 1
    assert found(catalog) == {pair("A", "C"): ["same_picture"]}


def test_what_is_gone_or_retired_is_not_listed_and_what_comes_back_is(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), jpeg(2))
    add(catalog, "B", jpeg(1), jpeg(2))
    products.compare_all(catalog)
    products.set_active(catalog, "B", False, actor="anna")
    assert found(catalog) == {}
    products.compare_all(catalog)
    products.set_active(catalog, "B", True, actor="anna")
    products.compare_all(catalog)
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}
    # The photo that the pair was found by goes: the other one shows it as well.
    first = listed(catalog)[0].reasons[0].photos
    (identity,) = [p.id for p in products.get(catalog.database, "A").photos if first and p.sha256 == first[0]]
    products.delete_photos(catalog, "A", [identity], actor="anna")
    assert found(catalog) == {}
    products.compare_all(catalog)
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}
    products.purge(catalog, "A", actor="anna")
    products.compare_all(catalog)
    assert found(catalog) == {}


def test_skus_that_differ_in_capitals_of_an_older_catalog(catalog: Catalog) -> None:
    for sku, seed in (("tea-1", 1), ("tea-2", 2), ("tea-3", 3)):
        add(catalog, sku, jpeg(seed))
    with catalog.database.write() as session:  # as an older version accepted them
        session.execute(update(Product).where(Product.sku == "tea-2").values(sku="TEA-1", sku_key=sku_key("TEA-1")))
    assert found(catalog) == {pair("tea-1", "TEA-1"): ["sku"]}


def test_equal_names_in_one_brand(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), name="Green  Tea", brand="Leaf")
    add(catalog, "B", jpeg(2), name="green tea", brand="LEAF")
    add(catalog, "C", jpeg(3), name="Green Tea", brand="Other")
    add(catalog, "D", jpeg(4))
    assert found(catalog) == {pair("A", "B"): ["name"]}


def test_eight_digits_that_are_the_upc_e_of_anothers_number(catalog: Catalog) -> None:
    short = next(number for number in map(eight, range(1, 100_000)) if len(set(duplicates.gtin.readings(number))) == 2)
    gtin8, upc = duplicates.gtin.readings(short)
    add(catalog, "A", jpeg(1))
    add(catalog, "B", jpeg(2))
    barcode_owners.add(catalog.database, "A", gtin8, actor="anna")
    barcode_owners.add(catalog.database, "B", upc, actor="anna")
    assert found(catalog) == {pair("A", "B"): ["barcode"]}
    assert listed(catalog)[0].reasons[0].value == upc.lstrip("0").zfill(12)


def eight(number: int) -> str:
    digits = f"{number:07d}"
    return f"{digits}{duplicates.gtin.check_digit(digits)}"


def test_a_pair_that_differs_is_never_listed_again(catalog: Catalog) -> None:
    for sku in ("A", "B", "C"):
        add(catalog, sku, jpeg(1), name="Tea")
    products.compare_all(catalog)
    assert duplicates.list_duplicates(catalog.database, limit=0).total == 3
    products.set_different(catalog.database, "B", "A", actor="anna")
    assert set(found(catalog)) == {pair("A", "C"), pair("B", "C")}
    with catalog.database.read() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry and (entry.actor, entry.action, entry.subject) == ("anna", "product.differ", "B")
    for skus, error in ((("A", "B"), ConflictError), (("A", "A"), InvalidInputError), (("A", "X"), NotFoundError)):
        with pytest.raises(error):
            products.set_different(catalog.database, *skus, actor="ben")
    products.merge(catalog, "B", "C", actor="anna")  # so C differs from A, too
    assert found(catalog) == {}
    products.purge(catalog, "A", actor="anna")
    with catalog.database.read() as session:
        assert session.scalars(select(DifferentProducts)).all() == []


def test_pairs_that_differ_take_no_place_from_others(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "LOOK_ALIKES", 1)
    monkeypatch.setattr(duplicates, "TOGETHER", 1)
    for sku, photo in (("A", jpeg(1)), ("B", jpeg(1)), ("C", jpeg(2)), ("D", jpeg(2)), ("E", jpeg(3)), ("F", jpeg(4))):
        add(catalog, sku, photo, name="Tea" if sku in "AEF" else "")
    products.compare_all(catalog)
    alike, named = found(catalog).items()
    assert alike in [(pair(*skus), ["same_picture"]) for skus in ("AB", "CD")] and named == (pair("A", "E"), ["name"])
    for (one, other), _ in (alike, named):
        products.set_different(catalog.database, one, other, actor="anna")
    (other_two,) = {pair("A", "B"), pair("C", "D")} - {alike[0]}
    assert found(catalog) == {other_two: ["same_picture"], pair("A", "F"): ["name"]}


def test_pages_hold_the_surest_first(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), name="Tea")
    add(catalog, "B", jpeg(2), name="Tea")
    add(catalog, "C", jpeg(2))
    products.compare_all(catalog)
    first = duplicates.list_duplicates(catalog.database, limit=1)
    second = duplicates.list_duplicates(catalog.database, start=1, limit=1)
    assert (first.total, second.total) == (2, 2)
    assert [[reason.kind for reason in page.pairs[0].reasons] for page in (first, second)] == [
        ["same_picture"],
        ["name"],
    ]


def test_packs_with_barcodes_of_their_own_come_last(catalog: Catalog) -> None:
    for sku, data in (("A", front(DRAWN[2])), ("B", front(DRAWN[2], 20, "gray"))):
        add(catalog, sku, data)
    add(catalog, "C", jpeg(1), name="Tea")
    add(catalog, "D", jpeg(2), name="Tea")
    products.compare_all(catalog)
    assert list(found(catalog)) == [pair("A", "B"), pair("C", "D")]
    barcode_owners.add(catalog.database, "A", "4006381333931", actor="anna")
    assert not listed(catalog)[0].reasons[0].own_barcodes
    barcode_owners.add(catalog.database, "B", "96385074", actor="anna")
    assert list(found(catalog)) == [pair("C", "D"), pair("A", "B")]
    assert listed(catalog)[1].reasons[0].own_barcodes


def test_the_serving_process_compares_when_no_other_does_and_rests(
    catalog: Catalog, open_catalog: Callable[[], Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(catalog, "A", jpeg(1))
    add(catalog, "B", jpeg(1), jpeg(2))
    background = Comparing()
    assert sorted((background.run(catalog), background.run(catalog))) == [1, 2]
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}
    add(catalog, "C", jpeg(3))
    assert background.run(catalog) == 0, "it looks again after a while"
    monkeypatch.setattr(comparing, "LOOK_EVERY", 0.0)
    later = Comparing()
    with catalog.database.alone() as alone:
        assert alone and later.run(catalog) == 0, "another process is at it"
    assert later.run(catalog) == 1


def test_a_pair_does_not_outlive_a_photo_that_was_never_compared(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1), jpeg(2))
    add(catalog, "B", *(encode(picture(seed), quality=60) for seed in (1, 2)))
    model = catalog.generations.ready()
    assert comparing.compare_product(catalog, model, products.get(catalog.database, "A").id) == 2
    shown = {photo for reason in listed(catalog)[0].reasons for photo in reason.photos or ()}
    (gone,) = [photo.id for photo in products.get(catalog.database, "B").photos if photo.sha256 in shown]
    products.delete_photos(catalog, "B", [gone], actor="anna")
    assert found(catalog) == {}
    products.compare_all(catalog)
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}, "the other two show it as well"


def test_many_photos_of_a_product_are_compared_a_few_at_a_time(catalog: Catalog) -> None:
    add(catalog, "A", *(encode(picture(seed), quality=90) for seed in range(9)))
    background = Comparing()
    assert [background.run(catalog) for _ in range(4)] == [4, 4, 1, 0]
    add(catalog, "B", encode(picture(8), quality=60))
    products.compare_all(catalog)
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}


def test_what_was_read_for_a_product_is_read_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    add(catalog, "A", *(encode(picture(1), quality=quality) for quality in range(60, 87, 3)))
    add(catalog, "B", encode(picture(1), quality=50))
    model, product = catalog.generations.ready(), products.get(catalog.database, "A").id
    (other,) = (photo.sha256 for photo in products.get(catalog.database, "B").photos)
    read: list[str] = []
    load = feature_store.load_or_extract

    def noted(photos: PhotoStore, sha256: str) -> LocalFeatures:
        read.append(sha256)
        return load(photos, sha256)

    monkeypatch.setattr(feature_store, "load_or_extract", noted)
    assert comparing.compare_product(catalog, model, product) == 9
    assert len(read) == len(set(read)) == 10 and other in read
    with catalog.database.write() as session:
        session.execute(delete(ComparedPhoto))
    monkeypatch.setattr(comparing, "KEPT", 4)
    read.clear()
    assert comparing.compare_product(catalog, model, product) == 9
    assert read.count(other) == 3, "what was read does not fill the memory"


def test_photos_that_can_not_be_read_are_passed_over(catalog: Catalog) -> None:
    add(catalog, "A", jpeg(1))
    add(catalog, "B", encode(picture(1), quality=60))
    for photo in products.get(catalog.database, "A").photos:
        for path in catalog.settings.data.rglob(f"*{photo.sha256}*"):
            path.unlink()
    assert products.compare_all(catalog) == 2
    assert found(catalog) == {}


def test_many_photos_of_its_own_do_not_hide_another_product(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "LISTED", 2)
    add(catalog, "A", *(encode(picture(1), quality=quality) for quality in (95, 90, 85, 80)))
    products.compare_all(catalog)
    add(catalog, "B", encode(picture(1), quality=60))
    products.add_photos(
        catalog, "A", [NewPhoto("late.jpg", encode(picture(1), quality=92))], Intake("anna", check="off")
    )
    model = catalog.generations.ready()
    assert comparing.compare_product(catalog, model, products.get(catalog.database, "A").id) == 1
    assert found(catalog) == {pair("A", "B"): ["same_picture"]}

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from catalog import margins, products
from catalog.catalog import Catalog
from catalog.errors import NotFoundError
from catalog.maintenance import Coverage, coverage_results, get_work, list_work
from catalog.maintenance.coverage import Advice, Mistake
from catalog.maintenance.needs_work import DAYS, Need
from catalog.storage.tables import Feedback, Photo, RecognitionEntry, now
from tests.support.margins import APPLE, APPLE_1, APPLE_2, PEAR, keep_up, put, put_look_alikes, toward


def needs(catalog: Catalog) -> dict[str, tuple[Need, ...]]:
    """In order."""
    return {work.product.sku: work.needs for work in list_work(catalog.database).work}


def judge(catalog: Catalog, sku: str, *, correct: bool = False, days_ago: int = 0) -> None:
    """A till was answered with this product, and says what it thinks of it: twice, as when a reply was lost."""
    product = products.get(catalog.database, sku)
    with catalog.database.write() as session:
        answer = RecognitionEntry(
            id=uuid.uuid4(), decision="match", decided_by="vector", product_id=product.id, sku=sku,
            bundle_id="0" * 12, milliseconds=1.0,
        )  # fmt: skip
        session.add(answer)
        session.flush()
        for _ in range(2):
            at = now() - timedelta(days=days_ago)
            session.add(Feedback(recognition_id=answer.id, actor="till", correct=correct, at=at))


def test_what_makes_tills_answer_wrongly_comes_first(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    put(catalog, "GOOD", [toward(x5=1.0), toward(x5=0.88, x6=0.4749)])
    put(catalog, "LONELY", [toward(x7=1.0)])
    keep_up(catalog)
    found = needs(catalog)
    assert found[PEAR] == (Need("mistaken", 1, 2),) and found["LONELY"] == (Need("one_visit", 1, 1),)
    assert "GOOD" not in found and list(found).index(PEAR) < list(found).index("LONELY")
    judge(catalog, "GOOD")
    assert next(iter(needs(catalog).items())) == ("GOOD", (Need("judged_wrong", 1, 1),))


def test_what_a_product_is_mistaken_for_is_shown_beside_it(catalog: Catalog) -> None:
    put_look_alikes(catalog)
    keep_up(catalog)
    pear = next(work for work in list_work(catalog.database).work if work.product.sku == PEAR)
    assert pear.mistaken_for is not None and pear.mistaken_for.sku == APPLE
    assert pear.mistaken_for.photo == products.get(catalog.database, APPLE).photos[0].sha256
    work = list_work(catalog.database)
    assert (work.found, work.asked) == (3, 4)


def test_work_that_is_done_leaves_the_list(catalog: Catalog) -> None:
    put(catalog, "LONELY", [APPLE_1])
    keep_up(catalog)
    assert "LONELY" in needs(catalog)
    put(catalog, "LONELY", [APPLE_2])
    keep_up(catalog, margins.Upkeep(catalog))
    assert needs(catalog) == {}


def test_wrong_answers_from_before_the_newest_photo_ask_for_nothing(catalog: Catalog) -> None:
    put(catalog, "GOOD", [toward(x5=1.0)])
    judge(catalog, "GOOD")
    put(catalog, "GOOD", [toward(x5=0.88, x6=0.4749)])
    keep_up(catalog)
    assert needs(catalog) == {}
    judge(catalog, "GOOD")  # it did not mend it
    assert needs(catalog) == {"GOOD": (Need("judged_wrong", 1, 1),)}


def test_old_feedback_and_right_answers_ask_for_nothing(catalog: Catalog) -> None:
    put(catalog, "GOOD", [toward(x5=1.0), toward(x5=0.88, x6=0.4749)])
    keep_up(catalog)
    judge(catalog, "GOOD", correct=True)
    judge(catalog, "GOOD", days_ago=DAYS + 1)
    assert needs(catalog) == {}


def test_photos_in_spite_of_warnings_and_products_without_any_are_named_and_retired_ones_not(catalog: Catalog) -> None:
    ids = put_look_alikes(catalog)
    keep_up(catalog)
    with catalog.database.write() as session:
        session.get_one(Photo, ids[APPLE][0]).status = "overruled"
    assert needs(catalog)[APPLE] == (Need("overruled", 1, 1),)
    for identity in ids[PEAR]:
        products.delete_photos(catalog, PEAR, [identity], actor="anna")
    assert needs(catalog)[PEAR][0] == Need("no_photo")
    assert list(needs(catalog)) == [PEAR, APPLE]
    products.set_active(catalog, PEAR, False, actor="anna")
    assert PEAR not in needs(catalog)


def test_the_list_is_paged(catalog: Catalog) -> None:
    for number in range(5):
        put(catalog, f"S{number}", [toward(**{f"x{10 + number}": 1.0})])
    keep_up(catalog)
    seen = [work.product.sku for start in (0, 2, 4) for work in list_work(catalog.database, start=start, limit=2).work]
    assert sorted(seen) == [f"S{number}" for number in range(5)]
    assert list_work(catalog.database, start=2, limit=2).total == 5


def test_what_coverage_found_counts_until_the_photos_change(catalog: Catalog) -> None:
    ids = put_look_alikes(catalog)
    keep_up(catalog)
    close = Advice("close_no_print", "No print says which.")
    missed = Advice("not_found", "1 of 2 photos don't find it.")
    live = catalog.generations.live().generation_id
    found = [
        Coverage(APPLE, APPLE, 2, 2, 1, (Mistake(PEAR, 1, ()),), (missed, close), live),
        Coverage(PEAR, PEAR, 2, 2, 2, (), (close,), live),
    ]
    run = uuid.uuid4()
    coverage_results.keep(catalog.database, run, [replace(each, generation_id=live + 1) for each in found])
    assert get_work(catalog.database, APPLE).examined is None, "it was by another model"
    assert not {"not_found", "advised"} & {need.reason for each in needs(catalog).values() for need in each}
    coverage_results.keep(catalog.database, run, found)
    assert needs(catalog) == {
        PEAR: (Need("mistaken", 1, 2), Need("advised")),
        APPLE: (Need("not_found", 1, 2),),
    }
    apple = get_work(catalog.database, APPLE)
    assert apple == next(work for work in list_work(catalog.database).work if work.product.sku == APPLE)
    assert apple.mistaken_for is not None and apple.mistaken_for.sku == PEAR
    assert apple.examined is not None and apple.examined.advice == ("No print says which.",)
    assert (apple.examined.found, apple.examined.asked) == (1, 2)
    put(catalog, APPLE, [toward(x1=0.9, x7=0.4)])
    products.delete_photos(catalog, PEAR, [ids[PEAR][0]], actor="anna")
    assert not {"not_found", "advised"} & {need.reason for each in needs(catalog).values() for need in each}
    assert get_work(catalog.database, APPLE).examined is None
    with pytest.raises(NotFoundError):
        get_work(catalog.database, "NO-SUCH")


def test_a_product_that_coverage_is_content_with_needs_nothing(catalog: Catalog) -> None:
    put(catalog, "GOOD", [toward(x5=1.0), toward(x5=0.88, x6=0.4749)])
    keep_up(catalog)
    coverage_results.keep(
        catalog.database,
        uuid.uuid4(),
        [Coverage("GOOD", "GOOD", 2, 2, 2, generation_id=catalog.generations.live().generation_id)],
    )
    assert needs(catalog) == {}
    good = get_work(catalog.database, "GOOD")
    assert good.needs == () and good.examined is not None

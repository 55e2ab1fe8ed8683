"""Many photos in one request."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from catalog import products, right_of_way
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto
from catalog.errors import GalleryUnavailableError, InvalidInputError, PhotoRejectedError
from catalog.products import Facts, Intake
from catalog.recognition import Recognition, Scope, recognize_many
from catalog.storage.tables import RecognitionEntry
from tests.support.pictures import jpeg


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    for seed in (1, 2):
        facts = Facts(f"S{seed}", labels=(f"set {seed}",))
        products.create(catalog, facts, [NewPhoto(f"{seed}.jpg", jpeg(seed))], Intake("test"))
    return catalog


def test_an_answer_to_each_in_order_and_a_bad_photo_spoils_no_other(filled: Catalog) -> None:
    photos = [("two.jpg", jpeg(2)), ("bad.jpg", b"no photo"), ("one.jpg", jpeg(1)), ("none.jpg", b"")]
    second, bad, first, none = recognize_many(filled, photos, asked_by="test", limit=1)
    for answer, sku in ((second, "S2"), (first, "S1")):
        assert isinstance(answer, Recognition) and [match.sku for match in answer.matches] == [sku]
    for error, code, name in ((bad, "not_an_image", "bad.jpg"), (none, "empty", "none.jpg")):
        assert isinstance(error, PhotoRejectedError) and (error.code, error.filename) == (code, name)
    filled.answers.flush()
    with filled.database.read() as session:
        assert session.scalar(select(func.count()).select_from(RecognitionEntry)) == 2


def test_the_scope_is_that_of_all_photos(filled: Catalog) -> None:
    for answer in recognize_many(filled, [("a", jpeg(1)), ("b", jpeg(2))], among=Scope(("set 2",))):
        assert isinstance(answer, Recognition) and [match.sku for match in answer.matches] == ["S2"]
    with pytest.raises(InvalidInputError, match="set 3"):
        recognize_many(filled, [], among=Scope(("set 3",)))
    with pytest.raises(InvalidInputError, match="50"):
        recognize_many(filled, [("a", jpeg(1))] * 51)


def test_what_concerns_all_is_no_answer_to_one(filled: Catalog) -> None:
    filled.gallery.on = False
    with pytest.raises(GalleryUnavailableError):
        recognize_many(filled, [("a", jpeg(1)), ("b", jpeg(2))])


def test_a_photo_of_a_till_goes_first(filled: Catalog) -> None:
    """While a till's photo is being recognized, none of the many goes on, for as long as a piece waits for it."""
    done = threading.Event()

    def ask() -> None:
        recognize_many(filled, [("a", jpeg(1))])
        done.set()

    with right_of_way.asking():
        asked = threading.Thread(target=ask)
        asked.start()
        assert not done.wait(2 * right_of_way.LONGEST), "it takes five pieces at least, and each waits for LONGEST"
    asked.join(60)
    assert done.is_set()

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from catalog import products
from catalog.catalog import Catalog
from catalog.enrollment import NewPhoto, outbox, photo_rows
from catalog.errors import ConfigError, InvalidInputError, PhotoRejectedError
from catalog.gallery import GalleryPoint
from catalog.products import Facts, Intake
from catalog.recognition import Match, decide, recognize
from catalog.recognition.candidates import nearest_products
from catalog.storage.tables import Enrollment, Photo, Product
from embedder.bundle import Thresholds
from embedder.inference import PhotoFeatures
from tests.support.pictures import bad_files, jpeg


def at(cosine: float, dim: int = 256) -> Any:
    """A unit vector, float32 [dim], of this cosine to `at(1)`."""
    vector = np.zeros(dim, np.float32)
    vector[0], vector[1] = cosine, np.sqrt(1 - cosine**2)
    return vector


def put(catalog: Catalog, sku: str, cosines: Sequence[float]) -> list[str]:
    """A product whose photos have vectors of these cosines to `at(1)`; the photos' hashes."""
    live = catalog.generations.ready()
    dim = live.embedder.bundle.dim
    hashes = [uuid.uuid4().hex * 2 for _ in cosines]
    product = Product(id=uuid.uuid4(), sku=sku, name=f"Name of {sku}")
    ids = [photo_rows.photo_id(product.id, sha256) for sha256 in hashes]
    with catalog.database.write() as session:
        session.add(product)
        for identity, sha256 in zip(ids, hashes, strict=True):
            session.add(Photo(id=identity, product_id=product.id, sha256=sha256, bytes=1, width=9, height=9))
        session.flush()
        session.add_all(Enrollment(generation_id=live.generation_id, photo_id=identity) for identity in ids)
    looks = {identity: PhotoFeatures(at(cosine, dim)) for identity, cosine in zip(ids, cosines, strict=True)}
    assert outbox.apply_enrollments(catalog, live, looks) == len(ids)
    return hashes


def ask(catalog: Catalog) -> list[tuple[str, float]]:
    live = catalog.generations.ready()
    return [(m.sku, round(m.score, 3)) for m in nearest_products(catalog, live, at(1, live.embedder.bundle.dim))]


def test_an_empty_catalog_knows_nothing(catalog: Catalog) -> None:
    answer = recognize(catalog, jpeg(1))
    assert (answer.decision, answer.matches) == ("unknown", [])
    assert answer.bundle == catalog.generations.ready().embedder.bundle.id
    assert answer.milliseconds > 0


def test_a_product_counts_by_its_best_photo(catalog: Catalog) -> None:
    a = put(catalog, "A", [0.5, 0.9, 0.7])
    put(catalog, "B", [0.8, 0.85])
    live = catalog.generations.ready()
    best, second = nearest_products(catalog, live, at(1, live.embedder.bundle.dim))
    assert (best.sku, best.name, best.photo) == ("A", "Name of A", a[1])
    assert best.score == pytest.approx(0.9, abs=1e-5)
    assert (second.sku, second.score) == ("B", pytest.approx(0.85, abs=1e-5))


def test_five_best_first(catalog: Catalog) -> None:
    for number in range(8):
        put(catalog, f"S{number}", [0.1 * number, 0.1 * number - 0.05])
    assert ask(catalog) == [("S7", 0.7), ("S6", 0.6), ("S5", 0.5), ("S4", 0.4), ("S3", 0.3)]


def test_as_many_as_are_wanted_and_the_same_decision(catalog: Catalog) -> None:
    for seed in range(1, 24):
        products.create(catalog, Facts(f"S{seed}"), [NewPhoto(f"{seed}.jpg", jpeg(seed))], Intake("test"))
    everything = recognize(catalog, jpeg(3), limit=20)
    assert len({match.sku for match in everything.matches}) == 20
    for limit in (1, 2, 5, 19):
        answer = recognize(catalog, jpeg(3), limit=limit)
        assert [match.sku for match in answer.matches] == [match.sku for match in everything.matches[:limit]]
        assert (answer.decision, answer.decided_by) == (everything.decision, everything.decided_by)
    assert len(recognize(catalog, jpeg(3)).matches) == 5
    for limit in (0, -1, 21):
        with pytest.raises(InvalidInputError) as caught:
            recognize(catalog, jpeg(3), limit=limit)
        assert caught.value.field == "k"


def test_it_says_how_long_each_step_took(catalog: Catalog) -> None:
    products.create(catalog, Facts("A"), [NewPhoto("1.jpg", jpeg(1))], Intake("test"))
    answer = recognize(catalog, jpeg(1))
    assert list(answer.timings) == ["decode", "embed", "search", "barcodes", "second_look", "facts"]
    assert all(answer.timings[step] > 0 for step in ("decode", "embed", "search", "facts"))
    assert answer.timings["second_look"] == 0, "the vector was sure"
    assert sum(answer.timings.values()) <= answer.milliseconds


def test_a_product_of_many_photos_does_not_hide_the_others(catalog: Catalog) -> None:
    put(catalog, "many", [0.9] * 120)
    for number in range(5):
        put(catalog, f"S{number}", [0.1 * number])
    assert ask(catalog) == [("many", 0.9), ("S4", 0.4), ("S3", 0.3), ("S2", 0.2), ("S1", 0.1)]


def test_no_more_is_asked_for_than_there_is(catalog: Catalog, asked: list[int]) -> None:
    put(catalog, "A", [0.9] * 60)
    put(catalog, "B", [0.8] * 300)
    assert ask(catalog) == [("A", 0.9), ("B", 0.8)]
    assert asked == [50, 200]  # both products that there are


def test_points_that_sql_does_not_know_are_not_answered(catalog: Catalog) -> None:
    live = catalog.generations.ready()
    dim = live.embedder.bundle.dim
    put(catalog, "A", [0.3])
    strays = [GalleryPoint(str(uuid.uuid4()), at(0.9, dim), "gone", str(uuid.uuid4())) for _ in range(60)]
    catalog.gallery.upsert(live.collection, strays)
    assert ask(catalog) == [("A", 0.3)]


@pytest.mark.parametrize(
    ("scores", "decision"),
    [
        ([], "unknown"),
        ([0.69], "unknown"),
        ([0.69, 0.1], "unknown"),
        ([0.70], "match"),
        ([0.99, 0.97], "match"),
        ([0.80, 0.70], "match"),
        ([0.80, 0.7901], "ambiguous"),
        ([0.80, 0.80], "ambiguous"),
        ([0.70, 0.695, 0.1], "ambiguous"),
    ],
)
def test_decisions(scores: list[float], decision: str) -> None:
    matches = [Match(f"S{n}", "", score, "") for n, score in enumerate(scores)]
    assert decide(matches, Thresholds(score=0.70, margin=0.01)) == decision


@pytest.mark.parametrize("name", sorted(bad_files()))
def test_a_photo_that_can_not_be_used(catalog: Catalog, name: str) -> None:
    data, _, code = bad_files()[name]
    with pytest.raises(PhotoRejectedError) as caught:
        recognize(catalog, data)
    assert (caught.value.code, caught.value.filename) == (code, "")
    with pytest.raises(PhotoRejectedError, match=re.escape(name)):
        recognize(catalog, data, filename=name)


def test_the_contracts_form(catalog: Catalog) -> None:
    products.create(catalog, Facts("A", "Tea"), [NewPhoto("1.jpg", jpeg(1))], Intake("anna"))
    answer = recognize(catalog, jpeg(1)).as_dict()
    said = ["decision", "matches", "decided_by", "confidence", "barcodes", "mirrored", "complete", "looked_at"]
    assert list(answer) == [*said, "bundle", "milliseconds", "timings", "id"]
    assert answer["decision"] == "match"
    [match] = answer["matches"]
    assert list(match)[:4] == ["sku", "name", "score", "evidence"]
    assert (match["sku"], match["name"], match["evidence"]) == ("A", "Tea", None)
    assert match["score"] == pytest.approx(1, abs=1e-3)
    assert (answer["decided_by"], answer["confidence"]) == ("embedding", None)


def test_a_photo_of_which_the_model_makes_no_numbers_is_a_typed_error(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that was usable when it was loaded: the photo is neither answered nor added, and the next one is.

    The photos are of no other test, since the tests' embedder remembers what it saw.
    """
    products.create(catalog, Facts("A", "A"), [NewPhoto("1.jpg", jpeg(1))], Intake("anna"))
    with monkeypatch.context() as patched:
        patched.setattr("embedder.inference.embedder.is_usable", lambda vector: False)
        with pytest.raises(ConfigError, match="not finite"):
            recognize(catalog, jpeg(760_007))
        with pytest.raises(ConfigError, match="not finite"):
            products.create(catalog, Facts("B", "B"), [NewPhoto("8.jpg", jpeg(760_008))], Intake("anna"))
    assert recognize(catalog, jpeg(1)).matches[0].sku == "A"

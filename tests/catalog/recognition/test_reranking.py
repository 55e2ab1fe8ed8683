"""The whole way: drawn packs enrolled by one photo each, recognized by what is printed on them."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from catalog import products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.demo import camera
from catalog.demo.products import products as drawn_products
from catalog.enrollment import NewPhoto
from catalog.errors import StorageError
from catalog.products import Facts, Intake, barcode_owners
from catalog.recognition import Recognition, answer_picture, recognize, reranking
from catalog.storage import feature_store
from embedder import images, matching
from embedder.barcodes import WANT
from embedder.inference import Embedder
from embedder.matching import LocalFeatures, reranker
from tests.support.drawn import DRAWN, front, side_by_side, small_and_turned
from tests.support.pictures import encode, jpeg


def query(place: int) -> bytes:
    return small_and_turned(DRAWN[place])


def reference(place: int) -> bytes:
    return front(DRAWN[place])


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    catalog = with_settings(catalog, second_look_ms=60_000)  # a machine that is busy must not change what is tested
    for place, product in enumerate(DRAWN[:8]):
        products.create(catalog, Facts(product.sku), [NewPhoto("front.jpg", reference(place))], Intake("test"))
    return catalog


def with_settings(catalog: Catalog, **changes: Any) -> Catalog:
    return dataclasses.replace(catalog, settings=dataclasses.replace(catalog.settings, **changes))


def details_file(catalog: Catalog, place: int) -> Path:
    (photo,) = products.get(catalog.database, DRAWN[place].sku).photos
    (path,) = (catalog.settings.data / "photos").rglob(f"{photo.sha256}.{feature_store.KIND}")
    return path


def first(answer: Recognition) -> tuple[str, str, str]:
    return answer.decision, answer.matches[0].sku, answer.decided_by


def test_print_decides_where_the_vector_is_not_sure_and_says_where_the_pack_is(filled: Catalog) -> None:
    unsure = 0
    looked_twice = with_settings(filled, second_look="always")
    for place in range(8):
        asked = recognize(filled, query(place))
        assert first(asked)[:2] == ("match", DRAWN[place].sku), place
        unsure += asked.decided_by == "details"
        answer = recognize(looked_twice, query(place))
        assert first(answer) == ("match", DRAWN[place].sku, "details"), place
        assert answer.confidence is not None and answer.confidence > 0.7
        evidence = answer.matches[0].evidence
        assert evidence is not None and evidence.agreement.inliers >= 15
        corners = evidence.as_dict()["outline"]
        assert len(corners) == 4
        assert np.mean(corners, axis=0) == pytest.approx([0.68, 0.48], abs=0.1)
        assert evidence.as_dict()["points"] == evidence.agreement.inliers
    assert unsure >= 5


def test_answers_say_in_json_what_they_rest_on(filled: Catalog) -> None:
    found = recognize(filled, query(3)).as_dict()
    assert found["decided_by"] == "details"
    assert 0.7 < found["confidence"] <= 1
    best = found["matches"][0]
    (photo,) = products.get(filled.database, DRAWN[3].sku).photos
    assert best["evidence"]["photo"] == photo.sha256
    assert best["evidence"]["points"] > found["matches"][1].get("points", 0)
    alone = recognize(filled, jpeg(3)).as_dict()
    assert (alone["decided_by"], alone["confidence"]) == ("embedding", None)
    assert all(match["evidence"] is None for match in alone["matches"])


def test_off_leaves_it_to_the_vector_and_always_looks_twice_at_what_is_sure(filled: Catalog) -> None:
    filled = with_settings(filled, second_look="off")
    assert recognize(filled, query(0)).decided_by == "embedding"
    assert first(recognize(filled, reference(2))) == ("match", DRAWN[2].sku, "embedding")
    filled = with_settings(filled, second_look="auto")
    assert first(recognize(filled, reference(2))) == ("match", DRAWN[2].sku, "embedding")  # sure: looked at once
    filled = with_settings(filled, second_look="always")
    assert first(recognize(filled, query(0))) == ("match", DRAWN[0].sku, "details")


def test_a_pack_that_is_none_of_ours_is_unknown(filled: Catalog) -> None:
    for place in (8, 9, 10, 11):
        assert recognize(filled, query(place)).decision == "unknown", DRAWN[place].sku


@pytest.mark.slow
def test_a_family_is_told_apart_by_the_line_that_differs(catalog: Catalog) -> None:
    families: dict[str, list[int]] = {}
    everything = drawn_products()
    for place, product in enumerate(everything):
        if product.family:
            families.setdefault(product.family, []).append(place)
    name, members = max(families.items(), key=lambda one: len(one[1]))
    assert len(members) >= 3, name
    for place in members:
        photo = NewPhoto("front.jpg", front(everything[place]))
        products.create(catalog, Facts(everything[place].sku), [photo], Intake("test"))
    for place in members:
        shot = encode(camera.query(everything[place], 0), quality=88)
        answer = recognize(catalog, shot)
        # Never another member with certainty; and the right one is among the matches.
        if answer.decision == "match":
            assert answer.matches[0].sku == everything[place].sku
        assert everything[place].sku in [match.sku for match in answer.matches[: len(members)]]


def test_two_products_in_one_photo_are_both_found_and_a_person_chooses(filled: Catalog) -> None:
    answer = recognize(filled, side_by_side(DRAWN[1], DRAWN[4]))
    assert answer.decision == "ambiguous"
    two = {match.sku: match.evidence for match in answer.matches[:2]}
    assert set(two) == {DRAWN[1].sku, DRAWN[4].sku}
    left, right = (np.mean(two[DRAWN[place].sku].as_dict()["outline"], axis=0) for place in (1, 4))  # type: ignore[union-attr]
    assert left[0] < 0.5 < right[0]


@pytest.mark.parametrize("damage", ["gone", "cut short", "another version"])
def test_details_that_are_missing_or_damaged_are_made_again(filled: Catalog, damage: str) -> None:
    path = details_file(filled, 5)
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if damage == "cut short" else whole[:4] + b"\xff\xff" + whole[6:])
    assert first(recognize(filled, query(5))) == ("match", DRAWN[5].sku, "details")
    assert path.read_bytes() == whole


def test_a_photo_that_was_lost_answers_by_its_vector_alone(filled: Catalog) -> None:
    path = details_file(filled, 5)
    path.unlink()
    (path.parent / path.name.split(".")[0]).unlink()
    answer = recognize(filled, query(5))
    assert answer.decision != "match" or answer.matches[0].evidence is None
    assert first(recognize(filled, query(4))) == ("match", DRAWN[4].sku, "details")


def test_a_store_that_takes_no_details_takes_the_product_all_the_same(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("No space left on device.")

    catalog = with_settings(catalog, second_look="always")
    with monkeypatch.context() as during:
        during.setattr(catalog.photos, "put_derived", full)
        added = products.create(catalog, Facts("A"), [NewPhoto("a.jpg", reference(0))], Intake("test"))
        assert added.searchable
        assert first(recognize(catalog, query(0)))[1] == "A"
    assert not list((catalog.settings.data / "photos").rglob("*.details-*"))
    recognize(catalog, query(0))
    assert list((catalog.settings.data / "photos").rglob("*.details-*"))


def test_a_budget_that_is_used_up_cuts_the_shortlist_and_not_the_answer(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    real = reranking.verify_many

    def counted(query: LocalFeatures, references: list[LocalFeatures]) -> list[matching.Agreement]:
        looked.append(len(references))
        return real(query, references)

    monkeypatch.setattr(reranking, "verify_many", counted)
    monkeypatch.setattr(reranker, "FIRST", 2)
    monkeypatch.setattr(reranker, "BATCH", 2)
    monkeypatch.setattr(reranker, "SETTLED", 2.0)  # no early end
    whole = recognize(filled, query(6)).as_dict()
    assert looked == [2, 2, 2, 2]
    assert whole["complete"] is True and whole["looked_at"] == {"photos": 8, "of": 8}
    looked.clear()
    filled = with_settings(filled, second_look_ms=1)
    answer = recognize(filled, query(6))
    assert looked == [2]
    assert answer.matches
    assert not answer.complete
    assert answer.as_dict()["complete"] is False and answer.as_dict()["looked_at"] == {"photos": 2, "of": 8}
    assert answer.decision != "match" or answer.matches[0].sku == DRAWN[6].sku


def test_where_the_vector_matches_and_nothing_printed_agrees_the_look_ends(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    real = reranking.verify_many

    def counted(query: LocalFeatures, references: list[LocalFeatures]) -> list[matching.Agreement]:
        looked.append(len(references))
        return real(query, references)

    monkeypatch.setattr(reranking, "verify_many", counted)
    monkeypatch.setattr(reranker, "FIRST", 2)
    monkeypatch.setattr(reranker, "BATCH", 2)
    filled = with_settings(filled, second_look="always")
    plain = encode(Image.new("RGB", (300, 300), (120, 130, 140)))
    assert recognize(filled, plain).decision == "unknown"
    assert sum(looked) == 8  # the vector is lost: whatever is on the shortlist
    products.create(filled, Facts("plain"), [NewPhoto("plain.jpg", plain)], Intake("test"))
    looked.clear()
    assert first(recognize(filled, plain)) == ("match", "plain", "embedding")
    assert looked == [2]


def test_the_small_picture_is_kept_beside_the_photo_and_made_again(filled: Catalog) -> None:
    (photo,) = products.get(filled.database, DRAWN[5].sku).photos
    made = feature_store.load_picture(filled.photos, photo.sha256)
    assert max(made.shape) == matching.REFERENCE.side
    kept = filled.photos.get_derived(photo.sha256, feature_store.PICTURE)
    assert kept
    filled.photos.put_derived(photo.sha256, feature_store.PICTURE, kept[:50])
    assert (feature_store.load_picture(filled.photos, photo.sha256) == made).all()
    assert filled.photos.get_derived(photo.sha256, feature_store.PICTURE) == kept


def test_retired_and_deleted_are_gone_from_the_next_answer(filled: Catalog) -> None:
    assert first(recognize(filled, query(2)))[1] == DRAWN[2].sku
    products.set_active(filled, DRAWN[2].sku, False, actor="test")
    answer = recognize(filled, query(2))
    assert DRAWN[2].sku not in [match.sku for match in answer.matches]
    assert answer.decision != "match"
    products.set_active(filled, DRAWN[2].sku, True, actor="test")
    assert first(recognize(with_settings(filled, second_look="always"), query(2))) == (
        "match",
        DRAWN[2].sku,
        "details",
    )


def test_words_come_back_with_a_gallery_that_was_lost(filled: Catalog, open_catalog: Callable[[], Catalog]) -> None:
    from catalog import enrollment

    live = filled.generations.ready()
    filled.gallery.drop(live.collection)
    filled.close()
    again = open_catalog()
    while enrollment.run_pending(again):
        pass
    assert first(recognize(again, query(7))) == ("match", DRAWN[7].sku, "details")


def test_settings_are_read_and_checked(env: dict[str, str]) -> None:
    settings = Settings.from_env(env | {"CATALOG_SECOND_LOOK": "always", "CATALOG_SECOND_LOOK_MS": "90"})
    assert (settings.second_look, settings.second_look_ms) == ("always", 90)


def test_a_photo_without_print_is_answered_by_its_vector(filled: Catalog) -> None:
    began = time.perf_counter()
    answer = recognize(filled, encode(Image.new("RGB", (300, 300), (120, 130, 140))))
    assert (answer.decided_by, answer.decision) == ("embedding", "unknown")
    assert answer.milliseconds <= 1000 * (time.perf_counter() - began)


@pytest.mark.parametrize("coded", [False, True])
def test_a_photo_is_decoded_once_for_all_that_looks_at_it(
    filled: Catalog, coded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vector, barcodes where the catalog has any, the local features, and the comparison by pixels."""
    if coded:
        barcode_owners.add(filled.database, DRAWN[0].sku, "4006381333931", actor="test")
    photo, decoded = query(3), []
    real = images.decode

    def counted(data: bytes, **wanted: Any) -> Image.Image:
        decoded.extend([wanted] if data == photo else [])
        return real(data, **wanted)

    monkeypatch.setattr(images, "decode", counted)
    answer = recognize(with_settings(filled, second_look="always"), photo)
    assert first(answer) == ("match", DRAWN[3].sku, "details")
    assert decoded == [{"want": WANT if coded else matching.QUERY.side}]
    decoded.clear()
    recognize(with_settings(filled, second_look="off"), photo)
    assert len(decoded) == 1


def test_what_surely_has_no_print_is_not_looked_at_again_where_the_vector_is_at_home(
    filled: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = filled.generations.ready().embedder.bundle.second_look
    assert weights is not None
    looked: list[object] = []
    real = Embedder.extract_query_picture

    def counted(embedder: Embedder, picture: Image.Image) -> Any:
        looked.append(picture)
        return real(embedder, picture)

    monkeypatch.setattr(Embedder, "extract_query_picture", counted)
    monkeypatch.setattr(Embedder, "lacks_print", lambda *_: True)
    near = next(place for place in range(8) if recognize(filled, query(place)).matches[0].score >= weights.floor)
    looked.clear()
    assert recognize(filled, query(near)).decided_by == "embedding"
    assert not looked
    assert recognize(with_settings(filled, second_look="always"), query(near)).decided_by == "details"
    assert len(looked) == 1
    looked.clear()
    far = recognize(filled, encode(Image.new("RGB", (300, 300), (120, 130, 140))))
    assert far.matches[0].score < weights.floor
    assert len(looked) == 1, "a vector that is not at home says nothing of print"


def test_of_what_is_beyond_doubt_one_reference_is_compared(filled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*seen: Any) -> Any:
            compared.append(seen)
            return real(*seen)

        return counted

    for name in ("compare", "compare_coarse"):  # either, by the weights of the bundle
        monkeypatch.setattr(reranking, name, counting(getattr(reranking, name)))
    answer = recognize(with_settings(filled, second_look="always"), query(3))
    assert first(answer) == ("match", DRAWN[3].sku, "details")
    assert len(compared) == 1
    compared.clear()
    assert recognize(filled, side_by_side(DRAWN[1], DRAWN[4])).decision == "ambiguous"
    assert len(compared) >= 2, "each of two products might be the answer"


def mirrored(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as photo:
        return encode(ImageOps.mirror(photo), quality=88)


def test_mirrored_frames_of_a_front_camera_are_matched_and_said_to_be_mirrored(filled: Catalog) -> None:
    said = 0
    for place in range(8):
        answer = recognize(filled, mirrored(query(place)))
        assert first(answer)[:2] == ("match", DRAWN[place].sku), place
        assert answer.complete
        if answer.mirrored:
            said += 1
            found = answer.as_dict()
            assert found["mirrored"] is True and found["decided_by"] == "details"
            corners = np.array(found["matches"][0]["evidence"]["outline"])
            assert corners.mean(axis=0) == pytest.approx([1 - 0.68, 0.48], abs=0.1)
            assert answer_picture(filled.photos, mirrored(query(place)), answer) is not None
        assert not recognize(filled, query(place)).mirrored
    assert said >= 5


def test_what_is_none_of_ours_is_unknown_mirrored_too(filled: Catalog) -> None:
    for place in (8, 9, 10, 11):
        answer = recognize(filled, mirrored(query(place)))
        assert (answer.decision, answer.mirrored, answer.complete) == ("unknown", False, True), DRAWN[place].sku


def test_without_time_for_the_mirrored_photo_the_answer_is_not_complete(filled: Catalog) -> None:
    photo = next(photo for place in range(8) if recognize(filled, photo := mirrored(query(place))).mirrored)
    answer = recognize(with_settings(filled, second_look_ms=1), photo)
    assert (answer.complete, answer.mirrored) == (False, False)
    assert answer.matches


def test_no_look_is_complete_and_says_nothing_of_photos(filled: Catalog) -> None:
    found = recognize(with_settings(filled, second_look="off"), query(3)).as_dict()
    assert (found["complete"], found["looked_at"], found["mirrored"]) == (True, None, False)


def test_the_budget_is_of_the_own_thread_and_ends_by_the_clock_all_the_same() -> None:
    budget = reranking.Budget(0.1)
    time.sleep(0.15)  # others had the processor
    assert not budget.is_spent()
    time.sleep(0.1 * reranking.WALL)
    assert budget.is_spent()
    budget = reranking.Budget(0.02)
    until = time.thread_time() + 0.03
    while time.thread_time() < until:
        pass
    assert budget.is_spent()


@pytest.mark.slow
def test_eight_tills_at_once_get_the_answers_that_one_gets(filled: Catalog) -> None:
    photos = [query(place) for place in range(12)] + [mirrored(query(place)) for place in range(12)]
    alone = [recognize(filled, photo) for photo in photos]
    # On any machine four times what one look took alone, beside other work, too: of time shared by the clock, eight
    # would each have half of what they need.
    longest = max(answer.milliseconds for answer in alone)
    busy = with_settings(filled, second_look_ms=round(4 * longest) + 50)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda photo: recognize(busy, photo), photos))
    for one, other in zip(alone, answers, strict=True):
        assert first(one) == first(other)
        assert other.complete

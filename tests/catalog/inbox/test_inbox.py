"""From a till's failure to the next till's match: what comes into the inbox, how it is grouped, and how it leaves."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from catalog import accounts, feedback, inbox, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import Worker, run_pending
from catalog.errors import GalleryUnavailableError, NotFoundError, PhotoQuestionableError
from catalog.products import Facts, Intake
from catalog.recognition import Recognition, recognize
from catalog.storage import unanswered_photos
from catalog.storage.tables import AuditEntry, Feedback, InboxPhoto, now
from embedder import images
from tests.support.pictures import encode, jpeg, picture
from tests.support.steps import create, shots

ADD = Intake("anna", "staff", check="off", read_barcodes=False)


def asked(catalog: Catalog, seed: int, *, quality: int = 90, decision: str = "") -> Recognition:
    """A till asks about the picture of a seed, as saved with this quality; the answer is written at once."""
    answer = recognize(catalog, encode(picture(seed), quality=quality), asked_by="key till", keep=True)
    if decision:
        assert answer.decision == decision
    catalog.answers.flush()
    catalog.unanswered.flush()
    return answer


def photos(catalog: Catalog) -> list[InboxPhoto]:
    with catalog.database.read() as session:
        return list(session.scalars(select(InboxPhoto).order_by(InboxPhoto.at)))


def ids(catalog: Catalog) -> list[list[uuid.UUID]]:
    return [[item.id for item in group.items] for group in inbox.groups(catalog.database).groups]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.05)


_FOUND: list[int] = []


def strangers(catalog: Catalog, many: int) -> list[int]:
    """Seeds of pictures that are not recognized by the photo of TEA, and no two of them alike; looked for once."""
    if not _FOUND:
        bundle = catalog.generations.ready().embedder.bundle
        vectors: list[Any] = []
        for seed in (4003, 4007, 4041, 4196, *range(4197, 4400)):  # the first are so by the released bundle
            answer = recognize(catalog, encode(picture(seed), quality=90))
            near = max((float(answer.vector @ other) for other in vectors), default=0.0)
            if answer.decision != "match" and near < bundle.thresholds.score:
                _FOUND.append(seed)
                vectors.append(answer.vector)
            if len(_FOUND) == 4:
                break
    return _FOUND[:many]


def test_a_photo_that_is_not_recognized_comes_into_the_inbox_with_what_it_may_be(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = asked(catalog, seed)
    shown = inbox.groups(catalog.database)
    assert (shown.total, shown.photos) == (1, 1)
    (group,) = shown.groups
    assert [(item.id, item.decision, item.asked_by) for item in group.items] == [
        (answer.id, answer.decision, "key till")
    ]
    assert group.seen == 1
    assert [(one.sku, one.photo, one.told) for one in group.candidates] == [
        ("TEA", products.get(catalog.database, "TEA").photos[0].sha256, False)
    ]
    assert group.candidates[0].score == pytest.approx(answer.matches[0].score, abs=1e-3)
    assert inbox.picture(catalog.database, answer.id) == encode(picture(seed), quality=90)


def test_a_match_does_not_and_nothing_does_unless_it_is_to_be_kept(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    asked(catalog, 1, decision="match")
    (seed,) = strangers(catalog, 1)
    recognize(catalog, jpeg(seed), asked_by="key till")
    catalog.unanswered.flush()
    assert photos(catalog) == []


def test_photos_that_look_alike_are_one_group_and_others_are_not(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    first = asked(catalog, one)
    again = asked(catalog, one, quality=60)
    second = asked(catalog, other)
    third = asked(catalog, one, quality=40)
    assert ids(catalog) == [[third.id, again.id, first.id], [second.id]]
    assert [group.seen for group in inbox.groups(catalog.database, order="frequent").groups] == [3, 1]
    newer = asked(catalog, other, quality=50)
    assert ids(catalog)[0] == [newer.id, second.id]
    assert [group.seen for group in inbox.groups(catalog.database, order="frequent").groups] == [3, 2]
    assert inbox.groups(catalog.database, start=1, limit=1).groups[0].seen == 3


def test_one_click_adds_it_and_the_next_till_recognizes_it(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    seed, other = strangers(catalog, 2)
    first, second = asked(catalog, seed), asked(catalog, seed, quality=60)
    elsewhere = asked(catalog, other)
    added = inbox.add_to_product(catalog, second.id, "TEA", ADD)
    assert (added.sku, added.searchable, len(products.get(catalog.database, "TEA").photos)) == ("TEA", True, 2)
    # The rest of the group is asked again, and leaves by itself.
    assert ids(catalog) == [[elsewhere.id], [first.id]]
    assert inbox.ask_again(catalog) >= 1
    assert ids(catalog) == [[elsewhere.id]]
    assert inbox.ask_again(catalog) == 0
    answer = recognize(catalog, encode(picture(seed), quality=75))
    assert (answer.decision, answer.matches[0].sku) == ("match", "TEA")
    with catalog.database.read() as session:
        judged = session.scalars(select(Feedback)).all()
        assert [(one.recognition_id, one.correct, one.sku, one.actor) for one in judged] == [
            (second.id, False, "TEA", "anna")
        ]


def test_a_photo_that_is_added_elsewhere_has_those_near_it_asked_again(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    seed, other = strangers(catalog, 2)
    asked(catalog, seed)
    stays = asked(catalog, other)
    assert inbox.ask_again(catalog) == 0
    create(catalog, "COFFEE", seed)
    assert inbox.ask_again(catalog) >= 1
    assert ids(catalog) == [[stays.id]]
    assert inbox.ask_again(catalog) == 0, "once for each change"


def test_a_photo_that_is_still_being_enrolled_is_waited_for(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    catalog.gallery.on = False  # type: ignore[attr-defined]
    assert not create(catalog, "COFFEE", seed).searchable
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert inbox.ask_again(catalog) == 0
    while run_pending(catalog):
        pass
    assert inbox.ask_again(catalog) == 1
    assert ids(catalog) == []


def test_of_many_new_photos_a_page_at_a_time(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    for number in (2, 3, 4):
        create(catalog, f"OTHER-{number}", number)
    create(catalog, "COFFEE", seed)
    monkeypatch.setattr("catalog.inbox.asking_again.PAGE", 1)
    for _ in range(4):
        inbox.ask_again(catalog)
    assert ids(catalog) == []


def test_a_product_is_named_by_its_barcode_too(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    products.barcode_owners.add(catalog.database, "TEA", "4006381333931", actor="anna")
    (seed,) = strangers(catalog, 1)
    assert inbox.add_to_product(catalog, asked(catalog, seed).id, "4006381333931", ADD).sku == "TEA"


def test_a_sku_comes_before_a_barcode_of_the_same_digits(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    products.barcode_owners.add(catalog.database, "TEA", "4006381333931", actor="anna")
    create(catalog, "4006381333931", 2)
    (seed,) = strangers(catalog, 1)
    assert inbox.add_to_product(catalog, asked(catalog, seed).id, " 4006381333931", ADD).sku == "4006381333931"


def test_what_is_not_recognized_even_so_stays(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    asked(catalog, one)
    stays = asked(catalog, other)
    with catalog.database.write() as session:
        session.execute(update(InboxPhoto).where(InboxPhoto.id == stays.id).values(ask_again=True, candidates=[]))
    assert inbox.ask_again(catalog) == 1
    (group,) = [group for group in inbox.groups(catalog.database).groups if group.items[0].id == stays.id]
    assert [one.sku for one in group.candidates] == ["TEA"]
    assert inbox.ask_again(catalog) == 0


def test_a_warning_is_asked_about_and_nothing_has_changed(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = asked(catalog, seed)
    create(catalog, "COFFEE", seed)  # meanwhile
    with pytest.raises(PhotoQuestionableError):
        inbox.add_to_product(catalog, answer.id, "TEA", Intake("anna", "staff", check="refuse"))
    assert ids(catalog) == [[answer.id]]
    assert len(products.get(catalog.database, "TEA").photos) == 1
    assert inbox.add_to_product(catalog, answer.id, "TEA", Intake("anna", "staff", check="report")).searchable
    assert ids(catalog) == []


def test_a_new_product_takes_photos_of_the_group(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    group = [asked(catalog, seed, quality=quality).id for quality in (90, 70, 50)]
    uploads = inbox.read_photos(catalog.database, group[1:])
    assert [upload.data for upload in uploads] == [encode(picture(seed), quality=quality) for quality in (70, 50)]
    added = inbox.create_product(catalog, Facts("COFFEE"), group[1:], shots(2), ADD)
    assert [photo.filename[:5] for photo in added.photos] == ["till-", "till-", "2.jpg"]
    assert ids(catalog) == [[group[0]]]
    assert inbox.ask_again(catalog) == 1
    assert ids(catalog) == []


def test_what_is_not_ours_never_comes_again_and_bad_photos_may(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    for quality in (90, 80, 70, 60, 50):
        asked(catalog, one, quality=quality)
    bad = asked(catalog, other)
    group = inbox.find_group(catalog.database, inbox.groups(catalog.database).groups[1].id.hex[:6])
    assert inbox.not_ours(catalog.database, group.id, actor="anna") == 5
    inbox.discard(catalog.database, [bad.id], actor="anna")
    assert ids(catalog) == []
    assert len(photos(catalog)) == 3, "the photos to tell its like by"
    asked(catalog, one, quality=40)
    comes_again = asked(catalog, other)
    assert ids(catalog) == [[comes_again.id]]
    with catalog.database.read() as session:
        said = session.execute(select(AuditEntry.actor, AuditEntry.action, AuditEntry.before).order_by(AuditEntry.id))
        assert [(*row,) for row in said][-2:] == [
            ("anna", "inbox.not_ours", {"photos": 5}),
            ("anna", "inbox.discard", {"photos": 1}),
        ]


def test_what_is_not_ours_can_be_taken_back(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    kept = [asked(catalog, one, quality=quality).id for quality in (90, 80, 70, 60, 50)][:1:-1]
    asked(catalog, other)
    mine, others = (group.id for group in reversed(inbox.groups(catalog.database).groups))
    assert inbox.dismissed(catalog.database) == ([], 0)
    for group in (mine, others):
        inbox.not_ours(catalog.database, group, actor="anna")
    found, total = inbox.dismissed(catalog.database, limit=1)
    assert ([group.id for group in found], total) == ([others], 2)
    (second,), _ = inbox.dismissed(catalog.database, start=1)
    assert (second.id, second.photos, second.by) == (mine, tuple(kept), "anna")
    assert second.said_at is not None and inbox.picture(catalog.database, kept[0])
    assert inbox.ours_again(catalog.database, mine, actor="berta") == 3
    assert ids(catalog) == [kept]
    assert inbox.groups(catalog.database).groups[0].seen == 5, "with those that were let go"
    comes = asked(catalog, one, quality=40)
    assert ids(catalog) == [[comes.id, *kept]]
    for gone in (mine, uuid.uuid4()):
        with pytest.raises(NotFoundError):
            inbox.ours_again(catalog.database, gone, actor="berta")
    inbox.not_ours(catalog.database, mine, actor="carla")
    assert inbox.dismissed(catalog.database)[0][0].by == "carla", "the last one who said so"
    with catalog.database.read() as session:
        said = session.execute(
            select(AuditEntry.actor, AuditEntry.after).where(AuditEntry.action == "inbox.ours_again")
        )
        assert [(*row,) for row in said] == [("berta", {"photos": 3})]


def test_what_was_added_meanwhile_is_asked_of_what_is_taken_back(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    (group,) = inbox.groups(catalog.database).groups
    inbox.not_ours(catalog.database, group.id, actor="anna")
    create(catalog, "COFFEE", seed)
    while inbox.ask_again(catalog):
        pass
    inbox.ours_again(catalog.database, group.id, actor="anna")
    assert inbox.ask_again(catalog) == 1
    assert ids(catalog) == []


def test_two_people_at_once(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = asked(catalog, seed)
    (group,) = inbox.groups(catalog.database).groups
    inbox.discard(catalog.database, [answer.id], actor="anna")
    for late in (
        lambda: inbox.discard(catalog.database, [answer.id], actor="berta"),
        lambda: inbox.not_ours(catalog.database, group.id, actor="berta"),
        lambda: inbox.add_to_product(catalog, answer.id, "TEA", ADD),
        lambda: inbox.picture(catalog.database, answer.id),
        lambda: inbox.find_group(catalog.database, group.id.hex),
    ):
        with pytest.raises(NotFoundError):
            late()
    assert len(products.get(catalog.database, "TEA").photos) == 1


def test_a_wrong_match_comes_in_with_what_the_till_says_that_it_is(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    create(catalog, "COFFEE", seed)
    answer = asked(catalog, 1, decision="match")
    feedback.give(catalog, answer.id, feedback.Judgement(False, "COFFEE"), actor="key till")
    catalog.unanswered.flush()
    (group,) = inbox.groups(catalog.database).groups
    assert [item.decision for item in group.items] == ["match"]
    assert (group.candidates[0].sku, group.candidates[0].told) == ("COFFEE", True)
    assert not catalog.unanswered.judged_wrong(answer.id), "once"
    assert not catalog.unanswered.judged_wrong(uuid.uuid4())


def test_an_unknown_that_was_right_leaves(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = recognize(catalog, jpeg(seed), asked_by="key till", keep=True)  # still in memory
    feedback.give(catalog, answer.id, feedback.Judgement(True), actor="key till")
    assert ids(catalog) == ([] if answer.decision == "unknown" else [[answer.id]])


def test_the_newest_of_a_group_stand_for_the_others(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    monkeypatch.setattr(unanswered_photos, "OF_GROUP", 3)
    kept = [asked(catalog, seed, quality=quality).id for quality in (90, 80, 70, 60, 50, 40)]
    (group,) = inbox.groups(catalog.database).groups
    assert ([item.id for item in group.items], group.seen) == (kept[:2:-1], 6)


def test_what_is_old_or_too_much_is_deleted(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    seeds = strangers(catalog, 4)
    oldest, second, third, newest = (asked(catalog, seed).id for seed in seeds)
    with catalog.database.write() as session:
        long_ago = now() - timedelta(days=catalog.settings.inbox_days, minutes=1)
        session.execute(update(InboxPhoto).where(InboxPhoto.id == oldest).values(at=long_ago))
        session.execute(update(InboxPhoto).where(InboxPhoto.id == second).values(size=200 * 2**20))
    assert catalog.unanswered.trim() == 2
    assert ids(catalog) == [[newest], [third]]
    assert catalog.unanswered.trim() == 0


def test_a_flood_of_photos_stays_within_the_limits(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold when photos are written, not an hour later."""
    create(catalog, "TEA", 1)
    monkeypatch.setattr(unanswered_photos, "SHOWN", 2)
    kept = [asked(catalog, seed).id for seed in strangers(catalog, 4)]
    assert ids(catalog) == [[kept[3]], [kept[2]]]


def test_a_photo_that_can_not_be_kept_does_not_hold_up_the_others(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(catalog, "TEA", 1)
    one, other = strangers(catalog, 2)
    recognize(catalog, encode(picture(one), quality=90), asked_by="key till", keep=True)
    with monkeypatch.context() as patched:
        patched.setattr(unanswered_photos, "_smaller", lambda data: 1 / 0)
        assert catalog.unanswered.flush() == 0
    kept = asked(catalog, other)
    assert ids(catalog) == [[kept.id]]


def test_with_another_model_all_are_asked_again_and_those_not_ours_are_still_told(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    one, other, third = strangers(catalog, 3)
    for seed in (one, other, third):
        asked(catalog, seed)
    inbox.not_ours(catalog.database, inbox.groups(catalog.database).groups[2].id, actor="anna")
    create(catalog, "COFFEE", other)
    while inbox.ask_again(catalog):
        pass
    live = catalog.generations.ready().embedder.bundle
    with catalog.database.write() as session:  # as they were by the model before
        session.execute(update(InboxPhoto).values(bundle_id="of before", vector=bytes(4 * live.dim)))
    assert inbox.ask_again(catalog) == 2
    assert {row.bundle_id for row in photos(catalog)} == {live.id}
    assert inbox.groups(catalog.database).total == 1
    asked(catalog, one, quality=60)
    asked(catalog, third, quality=60)
    assert [len(group.items) for group in inbox.groups(catalog.database).groups] == [2]


def test_without_an_inbox_nothing_is_kept(env: dict[str, str]) -> None:
    catalog = Catalog.open(Settings.from_env({**env, "CATALOG_INBOX_DAYS": "0"}))
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    assert photos(catalog) == []
    catalog.close()


def test_the_buffer_is_limited(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away, the oldest are dropped: memory does not grow with the tills' requests."""
    create(catalog, "TEA", 1)
    seeds = strangers(catalog, 3)
    sizes = [len(encode(picture(seed), quality=90)) for seed in seeds]
    monkeypatch.setattr(unanswered_photos, "WAITING", sizes[1] + sizes[2])
    answers = [recognize(catalog, encode(picture(seed), quality=90), asked_by="t", keep=True) for seed in seeds]
    assert catalog.unanswered.flush() == 2
    assert ids(catalog) == [[answers[2].id], [answers[1].id]]


def test_a_large_photo_is_saved_smaller(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    large = encode(picture(seed, (2400, 1800)), "BMP")
    answer = recognize(catalog, large, asked_by="key till", keep=True)
    catalog.unanswered.flush()
    kept = inbox.picture(catalog.database, answer.id)
    assert kept.startswith(b"\xff\xd8") and len(kept) < unanswered_photos.LARGEST < len(large)
    assert images.dimensions(kept) == (1600, 1200)
    assert inbox.groups(catalog.database).groups[0].items[0].id == answer.id


def test_the_worker_writes_and_asks_again(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    answer = recognize(catalog, encode(picture(seed), quality=90), asked_by="key till", keep=True)
    waited: list[int] = []

    def also(open_catalog: Catalog) -> int:
        waited.append(inbox.ask_again(open_catalog))
        return waited[-1]

    worker = Worker(catalog, every=0.05, also=also)
    worker.start()
    try:
        wait_for(lambda: ids(catalog) == [[answer.id]])
        create(catalog, "COFFEE", seed)
        wait_for(lambda: ids(catalog) == [])
    finally:
        worker.stop()


def test_while_the_gallery_is_away_it_stays_due(catalog: Catalog) -> None:
    create(catalog, "TEA", 1)
    (seed,) = strangers(catalog, 1)
    asked(catalog, seed)
    with catalog.database.write() as session:
        session.execute(update(InboxPhoto).values(ask_again=True))
    catalog.gallery.on = False  # type: ignore[attr-defined]
    with pytest.raises(GalleryUnavailableError):
        inbox.ask_again(catalog)
    catalog.gallery.on = True  # type: ignore[attr-defined]
    assert photos(catalog)[0].ask_again
    assert inbox.ask_again(catalog) == 1


def test_a_key_whose_photos_are_not_kept(catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "till", actor="anna")
    assert accounts.check_key(catalog.database, made.key).inbox  # type: ignore[union-attr]
    accounts.set_inbox(catalog.database, made.id, False, actor="anna")
    assert not accounts.check_key(catalog.database, made.key).inbox  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        accounts.set_inbox(catalog.database, 99, True, actor="anna")

"""What comes into the inbox, how it is grouped, and how much of it is kept."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import update

from catalog import accounts, feedback, inbox, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import NotFoundError
from catalog.recognition import recognize
from catalog.storage import unanswered_photos
from catalog.storage.tables import InboxPhoto, now
from embedder import images
from tests.support.inboxes import asked, ids, photos, strangers
from tests.support.pictures import encode, jpeg, picture
from tests.support.steps import create


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


def test_a_key_whose_photos_are_not_kept(catalog: Catalog) -> None:
    made = accounts.add_key(catalog.database, "till", actor="anna")
    assert accounts.check_key(catalog.database, made.key).inbox  # type: ignore[union-attr]
    accounts.set_inbox(catalog.database, made.id, False, actor="anna")
    assert not accounts.check_key(catalog.database, made.key).inbox  # type: ignore[union-attr]
    with pytest.raises(NotFoundError):
        accounts.set_inbox(catalog.database, 99, True, actor="anna")

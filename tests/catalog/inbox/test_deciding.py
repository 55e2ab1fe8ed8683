"""What the staff decide about the inbox: it is a product, a new one, not ours, a bad photo."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select

from catalog import inbox, products
from catalog.catalog import Catalog
from catalog.errors import NotFoundError, PhotoQuestionableError
from catalog.products import Facts, Intake
from catalog.recognition import recognize
from catalog.storage.tables import AuditEntry, Feedback
from tests.support.inboxes import asked, ids, photos, strangers
from tests.support.pictures import encode, picture
from tests.support.steps import create, shots

ADD = Intake("anna", "staff", check="off", read_barcodes=False)


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

"""Requests that name themselves: what they change is changed once, whatever happens in between."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from catalog import accounts, products
from catalog.catalog import Catalog
from catalog.errors import RequestBusyError, RequestMismatchError, SkuExistsError
from catalog.products import Facts, Intake
from catalog.storage import named_requests
from catalog.storage.named_requests import KEPT, Answer, Named
from catalog.storage.tables import AuditEntry, NamedRequest, now
from tests.support.steps import shots

ANSWER = Answer(201, {"ETag": '"a"'}, '{"sku": "Ä"}')


@pytest.fixture
def request_(catalog: Catalog) -> Named:
    return Named(accounts.add_key(catalog.database, "till", actor="test").id, "once", "0" * 64)


def again(request: Named, **other: str) -> Named:
    """Another attempt at the same request."""
    return Named(request.key_id, request.name, other.get("fingerprint", request.fingerprint))


def changes(catalog: Catalog) -> int:
    with catalog.database.read() as session:
        mine = AuditEntry.action == "product.change"
        return session.scalar(select(func.count()).select_from(AuditEntry).where(mine)) or 0


def kept(catalog: Catalog) -> int:
    with catalog.database.read() as session:
        return session.scalar(select(func.count()).select_from(NamedRequest)) or 0


def make(catalog: Catalog, request: Named, name: str, sku: str = "A") -> None:
    with named_requests.under_way(request):
        products.update(catalog, sku, products.Update(name=name), actor="key till")


def test_a_request_is_known_from_the_commit_of_its_change_on(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    assert named_requests.find(catalog.database, request_) is None
    make(catalog, request_, "first")
    known = named_requests.find(catalog.database, again(request_))
    assert known is not None and (known.attempt, known.answer) == (request_.attempt, None)
    assert named_requests.finish(catalog.database, request_, ANSWER).answer == ANSWER
    known = named_requests.find(catalog.database, again(request_))
    assert known is not None and known.answer == ANSWER


def test_what_was_rolled_back_is_not_known(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    with pytest.raises(SkuExistsError), named_requests.under_way(request_):
        products.create(catalog, Facts("A"), shots(2), Intake("test"))
    assert named_requests.find(catalog.database, request_) is None
    with pytest.raises(ZeroDivisionError), named_requests.under_way(request_), catalog.database.write() as session:
        named_requests.tell(session, {"a": 1})
        raise ZeroDivisionError
    assert named_requests.find(catalog.database, request_) is None and kept(catalog) == 0


def test_a_second_attempt_that_comes_too_late_changes_nothing(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    make(catalog, request_, "first")
    with pytest.raises(RequestBusyError):
        make(catalog, again(request_), "second")
    assert products.get(catalog.database, "A").name == "first" and changes(catalog) == 1
    other = Named(accounts.add_key(catalog.database, "other", actor="test").id, "once", "0" * 64)
    make(catalog, other, "of another key")  # names are per key
    assert products.get(catalog.database, "A").name == "of another key"


def test_of_many_attempts_at_once_one_changes(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    ready = threading.Barrier(6)
    done: list[str] = []

    def attempt(number: int) -> None:
        ready.wait()
        try:
            make(catalog, again(request_), f"name {number}")
            done.append(f"name {number}")
        except RequestBusyError:
            pass

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [products.get(catalog.database, "A").name] and changes(catalog) == 1


def test_the_first_answer_stays(catalog: Catalog, request_: Named) -> None:
    """Also where nothing had to be changed, so that no transaction has noted the request."""
    assert named_requests.finish(catalog.database, request_, ANSWER).answer == ANSWER
    late = named_requests.finish(catalog.database, again(request_), Answer(200, {}, "other"))
    assert late.answer == ANSWER
    with pytest.raises(RequestMismatchError):
        named_requests.finish(catalog.database, again(request_, fingerprint="1" * 64), ANSWER)


def test_another_request_of_the_same_name_is_refused(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    make(catalog, request_, "first")
    with pytest.raises(RequestMismatchError):
        named_requests.find(catalog.database, again(request_, fingerprint="1" * 64))


def test_names_are_forgotten_after_a_day(catalog: Catalog, request_: Named) -> None:
    products.create(catalog, Facts("A"), shots(1), Intake("test"))
    for name in ("once", "other"):
        make(catalog, Named(request_.key_id, name, "0" * 64), name)
    assert named_requests.trim(catalog.database) == 0
    with catalog.database.write() as session:
        session.execute(update(NamedRequest).values(at=now() - KEPT - timedelta(seconds=1)))
    assert named_requests.find(catalog.database, request_) is None and kept(catalog) == 1
    make(catalog, request_, "anew")
    assert named_requests.trim(catalog.database) == 1 and kept(catalog) == 1
    assert products.get(catalog.database, "A").name == "anew"


def test_an_add_is_told_again(catalog: Catalog, request_: Named) -> None:
    """As after a crash between commit and answer: the photos are searchable by then, and all else is as it was said."""
    products.create(catalog, Facts("OTHER"), shots(1), Intake("test"))
    with named_requests.under_way(request_):
        added = products.create(
            catalog, Facts("A", "Tea", barcodes=("4006381333931",)), shots(1, 2), Intake("key till")
        )
    known = named_requests.find(catalog.database, again(request_))
    assert known is not None
    told = products.told_again(catalog, known.told)
    assert told.photos == added.photos and told.photos[0].warnings and told.photos[0].like
    assert (told.sku, told.name, told.created, told.barcodes) == ("A", "Tea", True, ("04006381333931",))
    products.delete_photos(catalog, "A", [added.photos[1].id], actor="test")
    products.set_active(catalog, "A", False, actor="test")
    told = products.told_again(catalog, known.told)
    assert [photo.reason for photo in told.photos] == ["the product is retired", "it was deleted since"]


def test_a_replaced_photo_and_a_deletion_are_told_again(catalog: Catalog, request_: Named) -> None:
    (photo,) = products.create(catalog, Facts("A"), shots(1), Intake("test")).photos
    with named_requests.under_way(request_):
        replaced = products.replace_photo(catalog, "A", photo.id, shots(2)[0], actor="key till")
    known = named_requests.find(catalog.database, again(request_))
    assert known is not None and products.replaced_again(catalog, known.told) == replaced
    deletion = Named(request_.key_id, "gone", "0" * 64)
    with named_requests.under_way(deletion):
        entry = products.delete_product(catalog, "A", actor="key till")
    known = named_requests.find(catalog.database, again(deletion))
    assert known is not None and known.told == {"entry": str(entry)}

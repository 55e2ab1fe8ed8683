"""Random sequences of all use cases, each step compared with the model. A rule is an Op; `do` compares the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import acting
from acting import Acting
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from model import GTINS, Model, Op, number_of, photo
from sqlalchemy import delete, func, select

from catalog import enroll, listing, outbox, products
from catalog.candidates import find
from catalog.errors import CatalogError
from catalog.models import AuditEntry, Enrollment, Product, Removal
from catalog.recognize import recognize
from catalog.service import Catalog

PHOTOS = range(12)
SKUS = ("A", "B", "C", "D")

a_sku = st.sampled_from(SKUS)
a_photo = st.sampled_from(PHOTOS)
some_photos = st.lists(a_photo, min_size=1, max_size=3)
a_gtin = st.sampled_from(GTINS)
a_name = st.sampled_from(["red", "green", "blue"])


def empty(catalog: Catalog) -> None:
    """Take everything out, so that the next example begins with an empty catalog without making one."""
    live = catalog.live()
    catalog.gallery.delete(live.collection, sorted(catalog.gallery.ids(live.collection)))
    with catalog.db.write() as session:
        for table in (Enrollment, Removal, AuditEntry, Product):
            session.execute(delete(table))


class Machine(RuleBasedStateMachine):
    """`opened` is the catalog of all examples."""

    opened: Callable[[], Catalog]

    def __init__(self) -> None:
        super().__init__()
        self.catalog = type(self).opened()
        empty(self.catalog)
        self.acting, self.model = Acting(self.catalog), Model()
        self.asked = itertools.cycle(PHOTOS)

    def do(self, kind: str, sku: str, **given: Any) -> None:
        op = Op(kind, sku, given)
        before = self._audit()
        said = self.acting.perform(op)
        assert said == self.model.apply(op), op
        if said:
            assert self._audit() == before, f"{op} was refused, and is in the audit log"

    def _audit(self) -> int:
        with self.catalog.db.read() as session:
            return session.scalar(select(func.count()).select_from(AuditEntry)) or 0

    @rule(sku=a_sku, name=a_name, photos=some_photos, barcodes=st.lists(a_gtin, max_size=2, unique=True))
    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> None:
        self.do("create", sku, name=name, photos=photos, barcodes=barcodes)

    @rule(sku=a_sku, photos=some_photos)
    def add_photos(self, sku: str, photos: list[int]) -> None:
        self.do("add_photos", sku, photos=photos)

    @rule(sku=a_sku, name=a_name)
    def change(self, sku: str, name: str) -> None:
        self.do("change", sku, name=name)

    @rule(sku=a_sku, name=a_name)
    def change_what_is_no_longer_the_newest(self, sku: str, name: str) -> None:
        try:
            version = products.get(self.catalog, sku).version
            products.change(self.catalog, products.Facts(sku, name), version=version - 1, actor="torture")
        except CatalogError as error:
            assert error.code == ("conflict" if sku in self.model.products else "not_found")
        else:
            raise AssertionError("a stale change was taken")

    @rule(sku=a_sku, active=st.booleans())
    def set_active(self, sku: str, active: bool) -> None:
        self.do("set_active", sku, active=active)

    @rule(sku=a_sku, photo=a_photo)
    def delete_photo(self, sku: str, photo: int) -> None:
        self.do("delete_photo", sku, photo=photo)

    @rule(sku=a_sku, gtin=a_gtin)
    def add_barcode(self, sku: str, gtin: str) -> None:
        self.do("add_barcode", sku, gtin=gtin)

    @rule(sku=a_sku, gtin=a_gtin)
    def remove_barcode(self, sku: str, gtin: str) -> None:
        self.do("remove_barcode", sku, gtin=gtin)

    @rule()
    def lose_the_gallery(self) -> None:
        """Its folder is gone: the outbox makes it anew."""
        live = self.catalog.live()
        self.catalog.gallery.drop(live.collection)
        self.catalog.release(live.collection)
        acting.settle(self.catalog)

    @invariant()
    def sql_agrees(self) -> None:
        assert acting.state(self.catalog).products == self.model.products
        for retired in (False, True):
            page = listing.list_page(self.catalog, retired=retired)
            assert [each.sku for each in page.products] == sorted(
                sku for sku, kept in self.model.products.items() if kept.active is not retired
            )
        for gtin in GTINS:
            found = listing.list_page(self.catalog, search=gtin).products
            assert {each.sku for each in found} == {
                sku for sku, kept in self.model.products.items() if gtin in kept.barcodes and kept.active
            }

    @invariant()
    def nothing_is_owed(self) -> None:
        assert outbox.run_pending(self.catalog) == 0

    @invariant()
    def who_is_recognized(self) -> None:
        live = self.catalog.live()
        for number in PHOTOS:
            matches = find(self.catalog, live, live.embedder.embed_bytes(photo(number)))
            self._check(number, [(match.sku, match.score) for match in matches])

    @invariant()
    def what_a_till_is_told(self) -> None:
        number = next(self.asked)
        answer = recognize(self.catalog, photo(number))
        self._check(number, [(match.sku, match.score) for match in answer.matches])

    def _check(self, number: int, matches: list[tuple[str, float]]) -> None:
        owners = self.model.answering(number)
        if owners:
            assert {sku for sku, score in matches[: len(owners)] if score > 1 - enroll.SAME} == owners
        else:
            assert not matches or matches[0][1] < 1 - enroll.SAME, (number, matches)
        assert all(self.model.products[sku].active and self.model.products[sku].photos for sku, _ in matches)


__all__ = ["Machine", "number_of"]

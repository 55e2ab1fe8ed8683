"""Random sequences of all use cases, each step compared with the model. A rule is an Op; `do` compares the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import delete, func, select

from catalog import enrollment, products
from catalog.catalog import Catalog
from catalog.enrollment import enrolling
from catalog.errors import CatalogError, InvalidInputError
from catalog.products import Facts, Filter
from catalog.recognition import Match, Scope, recognize
from catalog.recognition.candidates import nearest_products
from catalog.storage.tables import AuditEntry, Enrollment, Product, Removal
from tests.torture import acting
from tests.torture.acting import Acting
from tests.torture.model import CROPPED, GTINS, LABELS, Model, Op, photo

PHOTOS = range(12)
SKUS = ("A", "B", "C", "D")

a_sku = st.sampled_from(SKUS)
a_photo = st.sampled_from(PHOTOS)
a_part = st.sampled_from([number + CROPPED for number in PHOTOS])
some_photos = st.lists(a_photo, min_size=1, max_size=3)
a_gtin = st.sampled_from(GTINS)
a_name = st.sampled_from(["red", "green", "blue"])


def empty(catalog: Catalog) -> None:
    """Take everything out, so that the next example begins with an empty catalog without making one."""
    live = catalog.generations.ready()
    catalog.gallery.delete(live.collection, sorted(catalog.gallery.ids(live.collection)))
    with catalog.database.write() as session:
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
        self.asked, self.sets = itertools.cycle(PHOTOS), itertools.cycle(LABELS)
        self.codes = itertools.cycle(GTINS)

    def do(self, kind: str, sku: str, **given: Any) -> None:
        op = Op(kind, sku, given)
        before = self._audit()
        said = self.acting.perform(op)
        assert said == self.model.apply(op), op
        if said:
            assert self._audit() == before, f"{op} was refused, and is in the audit log"

    def _audit(self) -> int:
        with self.catalog.database.read() as session:
            return session.scalar(select(func.count()).select_from(AuditEntry)) or 0

    @rule(sku=a_sku, name=a_name, photos=some_photos, barcodes=st.lists(a_gtin, max_size=2, unique=True))
    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> None:
        self.do("create", sku, name=name, photos=photos, barcodes=barcodes)

    @rule(
        sku=a_sku,
        name=a_name,
        photos=some_photos | st.just([]),
        barcodes=st.lists(a_gtin, max_size=2, unique=True),
        labels=st.lists(st.sampled_from(LABELS), unique=True),
        active=st.booleans(),
    )
    def put(self, sku: str, **given: Any) -> None:
        self.do("put", sku, **given)
        before = self._audit()
        self.do("put", sku, **given)
        assert self._audit() == before, "to repeat a put changes nothing"

    @rule(sku=a_sku, photos=some_photos)
    def add_photos(self, sku: str, photos: list[int]) -> None:
        self.do("add_photos", sku, photos=photos)

    @rule(sku=a_sku, name=a_name)
    def change(self, sku: str, name: str) -> None:
        self.do("change", sku, name=name)

    @rule(sku=a_sku, name=a_name)
    def change_what_is_no_longer_the_newest(self, sku: str, name: str) -> None:
        try:
            version = products.get(self.catalog.database, sku).version
            products.change(self.catalog.database, Facts(sku, name), version=version - 1, actor="torture")
        except CatalogError as error:
            assert error.code == ("conflict" if sku in self.model.products else "not_found")
        else:
            raise AssertionError("a stale change was taken")

    @rule(sku=a_sku, active=st.booleans())
    def set_active(self, sku: str, active: bool) -> None:
        self.do("set_active", sku, active=active)

    @rule(sku=a_sku, photo=a_photo | a_part)
    def delete_photo(self, sku: str, photo: int) -> None:
        self.do("delete_photo", sku, photo=photo)

    @rule(sku=a_sku, gtin=a_gtin)
    def add_barcode(self, sku: str, gtin: str) -> None:
        self.do("add_barcode", sku, gtin=gtin)

    @rule(sku=a_sku, gtin=a_gtin)
    def remove_barcode(self, sku: str, gtin: str) -> None:
        self.do("remove_barcode", sku, gtin=gtin)

    @rule(sku=a_sku, labels=st.lists(st.sampled_from(LABELS), unique=True))
    def set_labels(self, sku: str, labels: list[str]) -> None:
        self.do("set_labels", sku, labels=labels)

    @rule(add=st.sampled_from(LABELS), active=st.booleans())
    def change_all(self, add: str, active: bool) -> None:
        remove = next(label for label in LABELS if label != add)
        self.do("change_all", "", add=add, remove=remove, active=active)

    @rule(sku=a_sku, new=a_sku)
    def rename(self, sku: str, new: str) -> None:
        self.do("rename", sku, new=new)

    @rule(sku=a_sku, into=a_sku, named=st.booleans())
    def merge(self, sku: str, into: str, named: bool) -> None:
        self.do("merge", sku, into=into, named=named)

    @rule(sku=a_sku)
    def purge(self, sku: str) -> None:
        self.do("purge", sku)

    @rule(sku=a_sku, photo=a_photo | a_part, to=a_sku)
    def move_photo(self, sku: str, photo: int, to: str) -> None:
        self.do("move_photo", sku, photo=photo, to=to)

    @rule(sku=a_sku, photo=a_photo | a_part, new=a_photo)
    def replace_photo(self, sku: str, photo: int, new: int) -> None:
        self.do("replace_photo", sku, photo=photo, new=new)

    @rule(sku=a_sku, photo=a_photo)
    def crop_photo(self, sku: str, photo: int) -> None:
        self.do("crop_photo", sku, photo=photo)

    @rule(sku=a_sku, photo=a_photo | a_part)
    def uncrop_photo(self, sku: str, photo: int) -> None:
        self.do("uncrop_photo", sku, photo=photo)

    @rule()
    def lose_the_gallery(self) -> None:
        """Its folder is gone: the outbox makes it anew."""
        live = self.catalog.generations.ready()
        self.catalog.gallery.drop(live.collection)
        self.catalog.generations.release(live.collection)
        acting.settle(self.catalog)

    @invariant()
    def sql_agrees(self) -> None:
        assert acting.state(self.catalog).products == self.model.products
        gtin, label = next(self.codes), next(self.sets)
        for only, wanted in (
            (Filter(), lambda kept: kept.active),
            (Filter(retired=True), lambda kept: not kept.active),
            (Filter(search=gtin), lambda kept: kept.active and gtin in kept.barcodes),
            (Filter(label=label), lambda kept: kept.active and label in kept.labels),
            (Filter(few_photos=2), lambda kept: kept.active and len(kept.photos) < 2),
        ):
            listed = [each.sku for each in products.list_page(self.catalog.database, only).products]
            assert listed == sorted(sku for sku, kept in self.model.products.items() if wanted(kept)), only

    @invariant()
    def nothing_is_owed(self) -> None:
        assert enrollment.run_pending(self.catalog) == 0

    @invariant()
    def who_is_recognized(self) -> None:
        live = self.catalog.generations.ready()
        parts = {number for kept in self.model.products.values() for number in kept.photos}
        for number in parts | set(PHOTOS):
            matches = nearest_products(self.catalog, live, live.embedder.embed_bytes(photo(number)))
            self._check(matches, self.model.answering(number))

    @invariant()
    def what_a_till_is_told(self) -> None:
        number, label = next(self.asked), next(self.sets)
        owners = self.model.answering(number)
        self._check(recognize(self.catalog, photo(number)).matches, owners)
        labelled = {sku for sku, kept in self.model.products.items() if label in kept.labels}
        try:
            answer = recognize(self.catalog, photo(number), among=Scope((label,)))
        except InvalidInputError:
            assert not labelled
        else:
            assert {match.sku for match in answer.matches} <= labelled
            self._check(answer.matches, owners & labelled)

    def _check(self, matches: Sequence[Match], owners: set[str]) -> None:
        if owners:
            assert {match.sku for match in matches[: len(owners)] if match.score > 1 - enrolling.SAME} == owners
        else:
            assert not matches or matches[0].score < 1 - enrolling.SAME, matches
        assert all(self.model.products[match.sku].active and self.model.products[match.sku].photos for match in matches)

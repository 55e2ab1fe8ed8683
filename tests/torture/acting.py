"""The real catalog, driven by the model's changes, and read back in the model's terms."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from catalog import enrollment, maintenance, products
from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.enrollment import NewPhoto, enrolling
from catalog.errors import CatalogError
from catalog.maintenance.findings import WASTE
from catalog.products import BulkChange, Facts, Filter, Intake, Taken, Update, barcode_owners
from catalog.recognition.candidates import nearest_products
from catalog.storage import content_hash
from catalog.storage.tables import Enrollment, Photo, Product, Removal
from tests.support import catalogs
from tests.torture.model import BOX, Kept, Model, Op, number_of, photo

ACTOR = "torture"


def open_catalog(env: dict[str, str]) -> Catalog:
    """A catalog whose embedders outlive it, and remember what they saw."""
    return catalogs.open_catalog(Settings.from_env(env))


class Acting:
    """The use cases, by the names of the model's."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def perform(self, op: Op) -> str:
        """Make the change; the code of the typed error that refuses it, or "". What is no typed error is raised."""
        try:
            getattr(self, op.kind)(op.sku, **op.given)
        except CatalogError as error:
            return error.code
        return ""

    def create(self, sku: str, name: str, photos: list[int], barcodes: list[str]) -> None:
        facts = Facts(sku, name, barcodes=tuple(barcodes))
        products.create(self.catalog, facts, _uploads(photos), Intake(ACTOR, check="off", read_barcodes=False))

    def put(self, sku: str, name: str, photos: list[int], barcodes: list[str], labels: list[str], active: bool) -> None:
        wanted = Update(name=name, barcodes=tuple(barcodes), labels=tuple(labels), active=active)
        intake = Intake(ACTOR, check="off", read_barcodes=False)
        products.put(self.catalog, sku, wanted, _uploads(photos), intake)

    def add_photos(self, sku: str, photos: list[int]) -> None:
        products.add_photos(self.catalog, sku, _uploads(photos), Intake(ACTOR, check="off", read_barcodes=False))

    def change(self, sku: str, name: str) -> None:
        products.change(self.catalog.database, Facts(sku, name), actor=ACTOR)

    def set_active(self, sku: str, active: bool) -> None:
        products.set_active(self.catalog, sku, active, actor=ACTOR)

    def delete_photo(self, sku: str, photo: int) -> None:
        products.delete_photos(self.catalog, sku, [self.photo_id(sku, photo)], actor=ACTOR)

    def add_barcode(self, sku: str, gtin: str) -> None:
        barcode_owners.add(self.catalog.database, sku, gtin, actor=ACTOR)

    def remove_barcode(self, sku: str, gtin: str) -> None:
        barcode_owners.remove(self.catalog.database, sku, gtin, actor=ACTOR)

    def set_labels(self, sku: str, labels: list[str]) -> None:
        products.set_labels(self.catalog.database, sku, labels, actor=ACTOR)

    def change_all(self, sku: str, add: str, remove: str, active: bool) -> None:
        """All products of the same state, `sku` or not."""
        change = BulkChange(add_labels=(add,), remove_labels=(remove,), active=active)
        products.change_many(self.catalog, Filter(retired=active), change, actor=ACTOR)

    def rename(self, sku: str, new: str) -> None:
        products.rename(self.catalog, sku, new, actor=ACTOR)

    def merge(self, sku: str, into: str, named: bool = False) -> None:
        taken = Taken(frozenset({"name"} if named else ()))
        products.merge(self.catalog, sku, into, taken=taken, actor=ACTOR)

    def purge(self, sku: str) -> None:
        products.purge(self.catalog, sku, actor=ACTOR)

    def move_photo(self, sku: str, photo: int, to: str) -> None:
        products.move_photos(self.catalog, sku, [self.photo_id(sku, photo)], to, actor=ACTOR)

    def replace_photo(self, sku: str, photo: int, new: int) -> None:
        products.replace_photo(self.catalog, sku, self.photo_id(sku, photo), _uploads([new])[0], actor=ACTOR)

    def crop_photo(self, sku: str, photo: int) -> None:
        products.crop_photo(self.catalog, sku, self.photo_id(sku, photo), BOX, actor=ACTOR)

    def uncrop_photo(self, sku: str, photo: int) -> None:
        products.uncrop_photo(self.catalog, sku, self.photo_id(sku, photo), actor=ACTOR)

    def photo_id(self, sku: str, number: int) -> uuid.UUID:
        """The id of a product's photo; one that nobody has when the product does not have it."""
        found = products.get(self.catalog.database, sku).photos
        return next((each.id for each in found if each.sha256 == content_hash(photo(number))), uuid.uuid4())


def _uploads(numbers: list[int]) -> list[NewPhoto]:
    return [NewPhoto(f"{number}.jpg", photo(number)) for number in numbers]


def products_of(catalog: Catalog) -> list[Product]:
    """All products, with photos, barcodes and labels."""
    with catalog.database.read() as session:
        parts = [selectinload(part) for part in (Product.photos, Product.barcodes, Product.labels)]
        query = select(Product).options(*parts)
        return list(session.scalars(query.order_by(Product.sku)))


def state(catalog: Catalog) -> Model:
    """What SQL says."""
    return Model(
        {
            each.sku: Kept(
                each.name,
                each.active,
                {number_of(photo.sha256) for photo in each.photos},
                {barcode.gtin for barcode in each.barcodes},
                {label.name for label in each.labels},
            )
            for each in products_of(catalog)
        }
    )


def settle(catalog: Catalog) -> None:
    """Let the outbox run until nothing is owed."""
    while enrollment.run_pending(catalog):
        pass


def owed(catalog: Catalog) -> int:
    """Changes that the live gallery does not have yet."""
    mine = catalog.generations.live().generation_id
    with catalog.database.read() as session:
        pending = select(func.count()).select_from(Enrollment).where(Enrollment.generation_id == mine, ~Enrollment.done)
        removals = select(func.count()).select_from(Removal).where(Removal.generation_id == mine)
        return (session.scalar(pending) or 0) + (session.scalar(removals) or 0)


def wrongs(catalog: Catalog) -> Iterator[str]:
    """What is not as it must be once the outbox has run: SQL, photo store and gallery against each other."""
    live = catalog.generations.ready()
    found = products_of(catalog)
    with catalog.database.read() as session:
        lost = session.scalars(select(Photo.id).where(Photo.product_id.not_in(select(Product.id)))).all()
    if lost or owed(catalog):
        yield f"{owed(catalog)} changes are owed to the gallery, {len(lost)} photos have no product"
    active = {str(photo.id): photo.sha256 for each in found if each.active for photo in each.photos}
    points = catalog.gallery.ids(live.collection)
    if points != set(active):
        yield f"the gallery lacks {sorted(set(active) - points)} and has {sorted(points - set(active))} beside"
    said = Model({each.sku: Kept(each.name, each.active, {p.sha256 for p in each.photos}) for each in found})
    for sha256 in {one.sha256 for each in found for one in each.photos}:
        try:
            vector = live.embedder.embed_bytes(catalog.photos.get(sha256))
        except CatalogError as error:
            yield f"photo {number_of(sha256)}: {error}"
            continue
        owners = said.answering(sha256)
        matches = nearest_products(catalog, live, vector)
        first = {match.sku for match in matches if match.score >= matches[0].score - enrolling.SAME}
        if owners and not (owners & first and matches[0].score > 0.999):
            yield f"photo {number_of(sha256)} of {owners} is answered {matches[:1]}"
        for match in matches:
            if not said.products[match.sku].active:
                yield f"{match.sku} is retired and answered"
        for each in found:
            for one in each.photos:
                if each.active and one.sha256 == sha256 and not enrollment.finds_itself(catalog, live, one.id, vector):
                    yield f"photo {number_of(sha256)} of {each.sku} does not find itself"
    for finding in maintenance.examine(catalog, repair=True):
        if not finding.mended and finding.kind not in WASTE:
            yield f"doctor: {finding}"


def folder_of(root: Path, skus: dict[str, list[int]]) -> Path:
    """A folder to import: root/<SKU>/<number>.jpg."""
    for sku, numbers in skus.items():
        (root / sku).mkdir(parents=True)
        for number in numbers:
            (root / sku / f"{number}.jpg").write_bytes(photo(number))
    return root

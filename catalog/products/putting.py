"""Put a product: a program says what it is, and it is so afterwards, whether it was in the catalog or not."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from catalog.catalog import Catalog
from catalog.enrollment import Upload
from catalog.errors import ConflictError, NotFoundError, PreconditionFailedError, SkuExistsError
from catalog.normalization import check_sku
from catalog.products import adding, updating
from catalog.products.intake import Intake
from catalog.products.updating import Update
from catalog.storage import Database, content_hash
from catalog.storage.product_rows import Seen
from catalog.storage.tables import Photo, Product

#: How often it is tried again when somebody adds or deletes the product at the same moment.
TRIES = 3


def put(
    catalog: Catalog,
    sku: str,
    wanted: Update,
    photos: Sequence[Upload],
    intake: Intake,
    *,
    seen: Seen = None,
    new: bool = False,
) -> bool:
    """Add the product, or make it so and add the photos that it lacks; whether it was added. Photos it has stay.

    To repeat it changes nothing. One transaction. Raises as `create` and `update` do: InvalidInputError for a new
    product without a photo; PreconditionFailedError when it is not as it was `seen`, or is to be `new` and is not.
    """
    sku = check_sku(sku)
    for _ in range(TRIES):
        there = adding.exists(catalog.database, sku)
        if new if there else seen is not None:
            raise PreconditionFailedError(f"The product {sku!r} is {'' if there else 'not '}in the catalog.")
        try:
            if not there:
                active = wanted.active is not False
                adding.create(catalog, wanted.facts(sku), photos, intake, active=active)
            elif lacking := _lacking(catalog.database, sku, photos):
                adding.add_photos(catalog, sku, lacking, intake, update=wanted, seen=seen)
            else:
                updating.update(catalog, sku, wanted, seen=seen, actor=intake.actor)
        except SkuExistsError:
            if there:
                raise
        except NotFoundError:
            if not there:
                raise
        else:
            return not there
    raise ConflictError(f"The product {sku!r} was changed by somebody else; try again.")


def _lacking(database: Database, sku: str, photos: Sequence[Upload]) -> list[Upload]:
    """Those that the product has not: a program that sends all of them every night costs no more than their hashes."""
    with database.read() as session:
        known = set(session.scalars(select(Photo.sha256).join(Product).where(Product.sku == sku)))
    return [photo for photo in photos if content_hash(photo.data) not in known]

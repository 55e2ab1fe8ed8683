"""Scope of a recognition: the products that an answer may name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from catalog.errors import InvalidInputError
from catalog.normalization import check_sku, plain
from catalog.storage import Database
from catalog.storage.tables import Label, Product


@dataclass(frozen=True)
class Scope:
    """Which products an answer may name: those that have one of the labels, and those of the SKUs."""

    labels: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()

    def products(self, database: Database) -> frozenset[str] | None:
        """Ids of the active products; None (all) when neither labels nor SKUs are given.

        Raises InvalidInputError for a label that no product has, or a SKU that is not in the catalog: a till with a
        wrong name for a set would get "unknown" for ever.
        """
        if not self.labels and not self.skus:
            return None
        with database.read() as session:
            # A name that can't be stored is one that no product has, and PostgreSQL takes no such text.
            labelled = select(Label.name, Label.product_id, Product.active).join(Product)
            by_label = session.execute(labelled.where(Label.name.in_(filter(plain, self.labels)))).all()
            skus = [_stored(sku) for sku in self.skus]
            named = select(Product.sku, Product.id, Product.active).where(Product.sku.in_(skus))
            by_sku = session.execute(named).all()
        for field, wanted, found in (("label", self.labels, by_label), ("sku", skus, by_sku)):
            for name in sorted(set(wanted) - {row[0] for row in found}):
                raise InvalidInputError(field, f"No product has the {field} {name[:100]!r}.")
        return frozenset(str(identity) for _, identity, active in (*by_label, *by_sku) if active)


def _stored(sku: str) -> str:
    """The SKU as it is stored. Raises InvalidInputError for one that no product has."""
    try:
        return check_sku(sku)
    except InvalidInputError:
        raise InvalidInputError("sku", f"No product has the sku {sku[:100]!r}.") from None


#: All products of the catalog.
WHOLE_CATALOG = Scope()

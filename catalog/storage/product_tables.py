"""Tables of products and what they have: photos, barcodes, labels; and the bin."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from catalog.normalization import KEY_LENGTH, NAME_LENGTH, name_key, search_text, sku_key
from catalog.storage.table_base import Base, now


def _key_of_row(context: Any) -> str:
    return sku_key(context.get_current_parameters()["sku"])


def _search_of_row(context: Any) -> str:
    row = context.get_current_parameters()
    return search_text(row["sku"], row["name"], row.get("brand") or "", row.get("category") or "")


def _name_key_of_row(context: Any) -> str:
    return name_key(context.get_current_parameters()["name"])


class Product(Base):
    """What is sold under one SKU. A retired product (`active` false) stays, is not recognized, and can be restored.

    `sku_key` is what its SKU has in common with those that differ in capitals only (see normalization.py).
    `search` is the text that the list searches: SKU, name, brand and category, folded; `name_key` is the folded name,
    which a list by name is sorted by. Whoever changes a fact describes the product anew (see products/facts.py).
    """

    __tablename__ = "product"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    sku: Mapped[str] = mapped_column(String(64), unique=True)
    sku_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=_key_of_row, server_default="", index=True)
    name: Mapped[str] = mapped_column(String(200))
    brand: Mapped[str] = mapped_column(String(100), default="")
    category: Mapped[str] = mapped_column(String(100), default="")
    variant_group: Mapped[str] = mapped_column(String(100), default="", server_default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    search: Mapped[str] = mapped_column(Text, default=_search_of_row, server_default="")
    name_key: Mapped[str] = mapped_column(String(NAME_LENGTH), default=_name_key_of_row, server_default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    photos: Mapped[list[Photo]] = relationship(
        back_populates="product",
        cascade="all, delete-orphan",
        order_by="Photo.cover.desc(), Photo.created_at, Photo.id",
    )

    barcodes: Mapped[list[Barcode]] = relationship(
        back_populates="product", cascade="all, delete-orphan", order_by="Barcode.gtin"
    )

    labels: Mapped[list[Label]] = relationship(
        back_populates="product", cascade="all, delete-orphan", order_by="Label.name"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy takes it as it is
    __table_args__ = (
        Index("ix_product_active_sku", "active", "sku"),
        # A covering index for searches, so that SQLite reads no row for them.
        Index("ix_product_active_sku_search", "active", "sku", "search"),
        Index("ix_product_active_category_sku", "active", "category", "sku"),
        # Covering, for the brands that a form suggests: a page waits for it.
        Index("ix_product_active_brand", "active", "brand"),
        Index("ix_product_created_at", "created_at"),
        Index("ix_product_variant_group", "variant_group"),
    )


class PhotoColumns:
    """What is known of a photo, whether a product has it (Photo) or it is in the bin (BinPhoto).

    A crop is a photo of its own: `original` is the content hash of the photo that it was cut from, `crop` the box
    [left, top, right, bottom] in fractions of that photo's width and height. `source` is how it came: staff, api, cli,
    import. `status` is "accepted", or "overruled" if `warnings` (codes) were overridden when it was added. `cover`: it
    is the first of its product, wherever a picture of that is shown; at most one is.
    """

    sha256: Mapped[str] = mapped_column(String(64), index=True)
    filename: Mapped[str] = mapped_column(String(255), default="")
    bytes: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    source: Mapped[str] = mapped_column(String(20), default="", server_default="")
    status: Mapped[str] = mapped_column(String(20), default="accepted", server_default="accepted")
    warnings: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    original: Mapped[str | None] = mapped_column(String(64), index=True)
    crop: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True))
    cover: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=now)


class Photo(PhotoColumns, Base):
    """A reference photo of a product. Its id, derived from product and content, is also that of its gallery point."""

    __tablename__ = "photo"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))

    product: Mapped[Product] = relationship(back_populates="photos")

    __table_args__ = (
        UniqueConstraint("product_id", "sha256"),
        Index("ix_photo_created_at", "created_at"),
        # Photos with warnings are few.
        Index(
            "ix_photo_overruled",
            "product_id",
            sqlite_where=text("status = 'overruled'"),
            postgresql_where=text("status = 'overruled'"),
        ),
    )


class BinEntry(Base):
    """What a person deleted at one moment: photos of a product, or the product with all that it had (`product`).

    `product_id`, `sku` and `name` are the product's as they were; no foreign key, since it may be gone. `product`: a
    snapshot as in the audit log, and when it was created; None if only photos were deleted.
    """

    __tablename__ = "bin_entry"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    product_id: Mapped[uuid.UUID] = mapped_column(index=True)
    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    product: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    photos: Mapped[list[BinPhoto]] = relationship(
        cascade="all, delete-orphan", order_by="BinPhoto.cover.desc(), BinPhoto.created_at, BinPhoto.photo_id"
    )


class BinPhoto(PhotoColumns, Base):
    """A photo in the bin; its bytes stay in the photo store. `photo_id` is the id that it had on its product."""

    __tablename__ = "bin_photo"

    entry_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("bin_entry.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


class Barcode(Base):
    """A number that is printed on a product's packs. A product may have several; each belongs to one product."""

    __tablename__ = "barcode"

    gtin: Mapped[str] = mapped_column(String(14), primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)

    product: Mapped[Product] = relationship(back_populates="barcodes")


class Label(Base):
    """A set that a product belongs to ("bakery", "store 12"), to which recognition can be limited."""

    __tablename__ = "label"

    product_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)

    product: Mapped[Product] = relationship(back_populates="labels")


class DifferentProducts(Base):
    """Two products, `one_id` the lesser id, of which a person said that they differ, however alike they are.

    No foreign key to product: what is said of a product that is merged is carried over to the other one, whose rows
    name third products that the transaction does not lock.
    """

    __tablename__ = "different_products"

    one_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    other_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    actor: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (Index("ix_different_products_other_id", "other_id"),)

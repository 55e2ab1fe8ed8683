"""Tables (SQLAlchemy models). No behaviour, no side effects: the use cases are in the other packages."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    false,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from catalog.normalization import KEY_LENGTH, NAME_LENGTH, name_key, search_text, sku_key


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC timestamp, timezone-aware in Python on every database (SQLite stores no time zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware datetime to UTC. Raises ValueError for a naive one."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Make a naive datetime aware."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Constraint names by convention, so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, uuid.UUID: Uuid, dict[str, Any]: JSON}


# What follows from other columns of a row that is inserted without it, as by a restore.


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


class Generation(Base):
    """One bundle's collection in the gallery. Exactly one is live; its predecessor is kept for a rollback."""

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(primary_key=True)
    bundle_id: Mapped[str] = mapped_column(String(12), unique=True)
    bundle_name: Mapped[str] = mapped_column(String(100))
    collection: Mapped[str] = mapped_column(String(100), unique=True)
    dim: Mapped[int]
    live: Mapped[bool] = mapped_column(default=False)
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("generation.id"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    switched_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_generation_live", "live", unique=True, sqlite_where=text("live"), postgresql_where=text("live")),
    )


#: `Enrollment.attempts` of a photo that is pending because the gallery that held its vector was lost.
LOST = -1


class Enrollment(Base):
    """A photo's enrollment in a generation: `done` once its vector is in the gallery, else pending and retried.

    `attempts`: how often the photo itself was at fault, or LOST.
    """

    __tablename__ = "enrollment"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("photo.id", ondelete="CASCADE"), primary_key=True)
    done: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    __table_args__ = (
        Index(
            "ix_enrollment_pending", "generation_id", sqlite_where=text("NOT done"), postgresql_where=text("NOT done")
        ),
        Index("ix_enrollment_photo_id", "photo_id"),
    )


class Removal(Base):
    """A pending removal of a point from a generation: written with the deletion, deleted once it is applied."""

    __tablename__ = "removal"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    point_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LeftOutAnswer(Base):
    """What a reference photo is answered in a generation when its own visit is left out (catalog/margins).

    `first_id` and `second_id` are the nearest products, `margin` that of the first over the second; None where this is
    no match by the bundle's thresholds, and all three where the product has no photo of another visit. `stale`: photos
    near it have changed since. Rows are written by the background alone: no foreign key to product or photo, so that no
    change by a person ever waits for them; those of what is gone are removed when the change is settled.
    """

    __tablename__ = "left_out_answer"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID]
    first_id: Mapped[uuid.UUID | None]
    second_id: Mapped[uuid.UUID | None]
    margin: Mapped[float | None]
    stale: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime] = mapped_column(default=now)

    __table_args__ = (
        Index("ix_left_out_answer_product_id", "product_id"),
        Index("ix_left_out_answer_first_id", "first_id"),
        Index("ix_left_out_answer_second_id", "second_id"),
    )


class ProductMargin(Base):
    """The margin that a product needs to be a match in a generation, where that is more than the bundle's.

    Fitted from LeftOutAnswer: of `matches` photos that the bundle's margin gives this product, `wrong` are of others,
    and `rival_id` is the one whose photo decided. No foreign key to product, as there.
    """

    __tablename__ = "product_margin"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    margin: Mapped[float]
    rival_id: Mapped[uuid.UUID]
    matches: Mapped[int]
    wrong: Mapped[int]


class MarginDue(Base):
    """A product whose photos have changed: margins near it are to be fitted anew. Only ever inserted by a change."""

    __tablename__ = "margin_due"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID]
    created_at: Mapped[datetime] = mapped_column(default=now)


class ComparedPhoto(Base):
    """A photo that was compared with those of other products, to find products that are in the catalog twice.

    Written by the background alone (products/comparing.py), as LookAlikePair is: no foreign key to product or photo, so
    that no change by a person ever waits for it.
    """

    __tablename__ = "compared_photo"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    product_id: Mapped[uuid.UUID] = mapped_column(index=True)


class LookAlikePair(Base):
    """Two products that look alike, `one_id` the lesser id, by the two of their photos that are most alike.

    `cosine`: of their vectors. `points`: local features that match, None where they do not show one pack by them.
    `same_picture`: one is a copy of the other.
    """

    __tablename__ = "look_alike_pair"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generation.id", ondelete="CASCADE"), primary_key=True)
    one_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    other_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    one_photo: Mapped[uuid.UUID]
    other_photo: Mapped[uuid.UUID]
    cosine: Mapped[float]
    points: Mapped[int | None]
    same_picture: Mapped[bool]


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


class RecognitionEntry(Base):
    """An answer to a till (answer log). `product_id` is set only when the decision is a match."""

    __tablename__ = "recognition"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    asked_by: Mapped[str] = mapped_column(String(100), default="")
    decision: Mapped[str] = mapped_column(String(20))
    decided_by: Mapped[str] = mapped_column(String(20))
    product_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("product.id", ondelete="SET NULL"))
    sku: Mapped[str] = mapped_column(String(64), default="")
    score: Mapped[float | None]
    confidence: Mapped[float | None]
    bundle_id: Mapped[str] = mapped_column(String(12))
    milliseconds: Mapped[float]

    __table_args__ = (
        Index("ix_recognition_product_id_at", "product_id", "at"),
        # The overview counts the answers of each day by decision, from the index alone.
        Index("ix_recognition_decision_at", "decision", "at"),
    )


class Feedback(Base):
    """Feedback by a person or a till on an answer: it was `correct`, or the right SKU ("" for none of ours)."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    recognition_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("recognition.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(100))
    correct: Mapped[bool]
    sku: Mapped[str] = mapped_column(String(64), default="")
    note: Mapped[str] = mapped_column(Text, default="")


class InboxPhoto(Base):
    """A till's photo that was not recognized, or wrongly, kept for the staff. Its id is that of the answer.

    `vector`: float32 [dim] of the bundle `bundle_id`, as bytes. `candidates`: [SKU, score] of the answer's matches.
    Photos that the vector takes for one product are of one group. `seen`: how many photos it stands for. `ours` is
    false once a person said that the group is no product of the catalog: such photos are not shown, nor are those like
    them. `asked_at`: up to which photo of the catalog it has its answer. `ask_again`: the catalog has changed near it.
    `data`: the file, of `size` bytes. It and the vector are read only where they are needed.
    """

    __tablename__ = "inbox_photo"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    asked_by: Mapped[str] = mapped_column(String(100), default="")
    decision: Mapped[str] = mapped_column(String(20))
    candidates: Mapped[list[tuple[str, float]]] = mapped_column(JSON, default=list)
    bundle_id: Mapped[str] = mapped_column(String(12))
    vector: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    group_id: Mapped[uuid.UUID] = mapped_column(index=True)
    seen: Mapped[int] = mapped_column(default=1)
    ours: Mapped[bool] = mapped_column(default=True)
    asked_at: Mapped[datetime] = mapped_column(default=now)
    ask_again: Mapped[bool] = mapped_column(default=False)
    size: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class ImportJob(Base):
    """An import that was started in the pages; its files are below the data folder (transfer/uploads.py).

    `state`: uploading, columns, checking, checked, waiting, running, done, cancelled, failed. `listed`: it has a list,
    of which `mapping` gives the header for each column. `cancel`: it is to end. `attempts`: how many processes began
    what it is at. `counts`: what it added and changed. `errors`: what it left out, a line each; `message`: why it
    failed, or notes.
    """

    __tablename__ = "import_job"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(20), default="uploading", index=True)
    files: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    listed: Mapped[bool] = mapped_column(default=False)
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    update_facts: Mapped[bool] = mapped_column(default=False)
    cancel: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    errors: Mapped[list[str]] = mapped_column(JSON, default=list, deferred=True)
    message: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None]


class ImportLine(Base):
    """What an import would do with a line of its list, or with a folder (see transfer.Line).

    `changes`: [field, old, new] each.
    """

    __tablename__ = "import_line"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("import_job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(Text)
    sku: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    changes: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    photos: Mapped[int] = mapped_column(default=0)
    errors: Mapped[list[str]] = mapped_column(JSON, default=list)

    __table_args__ = (Index("ix_import_line_job_id_state", "job_id", "state", "number"),)


class User(Base):
    """A staff member who may sign in to the admin pages, as `role` (see accounts/roles.py).

    Rows from before there were roles are of admins. `password_hash` is "" until an invitation is accepted.
    """

    __tablename__ = "staff"  # "user" is a reserved word in PostgreSQL

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20), default="admin", server_default="admin")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_sign_in_at: Mapped[datetime | None]


class SignIn(Base):
    """A session of a staff member: it ends when the row is gone. Only a hash of the token in the cookie is stored.

    `seen_at`: its last request, but for a minute; null in rows from before it was noted.
    """

    __tablename__ = "sign_in"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime | None]


class Invitation(Base):
    """The last link by which a staff member may set the password, once. Only a hash of its token is stored."""

    __tablename__ = "invitation"

    user_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class SentForm(Base):
    """A form that has made the `secret` of `name`, to be read once in that session (see accounts/forms.py)."""

    __tablename__ = "sent_form"

    session: Mapped[str] = mapped_column(ForeignKey("sign_in.sha256", ondelete="CASCADE"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class ApiKey(Base):
    """A till's API key. Only a hash is stored; `prefix` is its start, for people to tell keys apart.

    `scopes`: what it may do (see accounts/keys.py); a key of an older version may do all. `inbox`: its photos that are
    not recognized are kept for the staff. `last_used_at`: but for a minute.
    """

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(12))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON, server_default='["recognize", "feedback", "catalog:write"]')
    inbox: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Audit log: who changed what, before and after."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str] = mapped_column(String(100), index=True)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

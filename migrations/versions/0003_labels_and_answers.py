"""labels, crops, attributes; what tills were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

# Plain ALTERs, also on SQLite: batch mode would copy the table and drop the old one, and with foreign keys enforced
# that deletes every row that refers to it.


def upgrade() -> None:
    """Apply."""
    op.add_column("product", sa.Column("variant_group", sa.String(length=100), server_default="", nullable=False))
    op.add_column("product", sa.Column("attributes", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("product", sa.Column("search", sa.Text(), server_default="", nullable=False))
    _fill_search()
    op.create_index("ix_product_active_sku_search", "product", ["active", "sku", "search"])
    op.create_index("ix_product_active_category_sku", "product", ["active", "category", "sku"])
    op.create_index("ix_product_variant_group", "product", ["variant_group"])
    op.add_column("photo", sa.Column("source", sa.String(length=20), server_default="", nullable=False))
    op.add_column("photo", sa.Column("status", sa.String(length=20), server_default="accepted", nullable=False))
    op.add_column("photo", sa.Column("warnings", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("photo", sa.Column("original", sa.String(length=64), nullable=True))
    op.add_column("photo", sa.Column("crop", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(op.f("ix_photo_original"), "photo", ["original"])
    op.create_table(
        "label",
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_label_product_id_product"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_id", "name", name=op.f("pk_label")),
    )
    op.create_index(op.f("ix_label_name"), "label", ["name"])
    op.create_table(
        "recognition",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=100), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=20), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=True),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("bundle_id", sa.String(length=12), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_recognition_product_id_product"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recognition")),
    )
    op.create_index(op.f("ix_recognition_at"), "recognition", ["at"])
    op.create_index("ix_recognition_product_id_at", "recognition", ["product_id", "at"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recognition_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recognition_id"],
            ["recognition.id"],
            name=op.f("fk_feedback_recognition_id_recognition"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    op.create_index(op.f("ix_feedback_recognition_id"), "feedback", ["recognition_id"])


def _fill_search() -> None:
    """As `catalog.products.facts.search_text` makes it."""
    names = ("id", "sku", "name", "brand", "category", "search")
    product = sa.table("product", *(sa.column(name, sa.Uuid() if name == "id" else sa.Text()) for name in names))
    connection = op.get_bind()
    for row in connection.execute(sa.select(product)).all():
        search = "\n".join((row.sku, row.name, row.brand, row.category)).casefold()
        connection.execute(sa.update(product).where(product.c.id == row.id).values(search=search))


def downgrade() -> None:
    """Take back."""
    for table in ("feedback", "recognition", "label"):
        op.drop_table(table)
    op.drop_index(op.f("ix_photo_original"), "photo")
    for column in ("crop", "original", "warnings", "status", "source"):
        op.drop_column("photo", column)
    op.drop_index("ix_product_variant_group", "product")
    op.drop_index("ix_product_active_category_sku", "product")
    op.drop_index("ix_product_active_sku_search", "product")
    for column in ("search", "attributes", "variant_group"):
        op.drop_column("product", column)

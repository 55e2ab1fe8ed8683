"""The bin: deleted photos and products, for 30 days. The cover of a product, and its brand to suggest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

# New tables, and a column with a default: rows of older catalogs and backups fit as they are.


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "bin_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("product", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bin_entry")),
    )
    op.create_index(op.f("ix_bin_entry_at"), "bin_entry", ["at"])
    op.create_index(op.f("ix_bin_entry_product_id"), "bin_entry", ["product_id"])
    op.create_table(
        "bin_photo",
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=20), server_default="", nullable=False),
        sa.Column("status", sa.String(length=20), server_default="accepted", nullable=False),
        sa.Column("warnings", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("original", sa.String(length=64), nullable=True),
        sa.Column("crop", sa.JSON(), nullable=True),
        sa.Column("cover", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["bin_entry.id"], name=op.f("fk_bin_photo_entry_id_bin_entry"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_id", "photo_id", name=op.f("pk_bin_photo")),
    )
    op.create_index(op.f("ix_bin_photo_sha256"), "bin_photo", ["sha256"])
    op.create_index(op.f("ix_bin_photo_original"), "bin_photo", ["original"])
    op.create_index("ix_product_active_brand", "product", ["active", "brand"])
    op.add_column("photo", sa.Column("cover", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("photo", "cover")
    op.drop_index("ix_product_active_brand", "product")
    op.drop_table("bin_photo")
    op.drop_table("bin_entry")

"""Products that are in the catalog twice: what was compared, what looks alike, what a person said differs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None

# New tables, and an index: rows of older catalogs and backups fit as they are.


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "compared_photo",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generation.id"],
            name=op.f("fk_compared_photo_generation_id_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation_id", "photo_id", name=op.f("pk_compared_photo")),
    )
    op.create_index(op.f("ix_compared_photo_product_id"), "compared_photo", ["product_id"])
    op.create_table(
        "look_alike_pair",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("one_photo", sa.Uuid(), nullable=False),
        sa.Column("other_photo", sa.Uuid(), nullable=False),
        sa.Column("cosine", sa.Double(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=True),
        sa.Column("same_picture", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generation.id"],
            name=op.f("fk_look_alike_pair_generation_id_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation_id", "one_id", "other_id", name=op.f("pk_look_alike_pair")),
    )
    op.create_table(
        "different_products",
        sa.Column("one_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("one_id", "other_id", name=op.f("pk_different_products")),
    )
    op.create_index("ix_different_products_other_id", "different_products", ["other_id"])
    op.create_index("ix_recognition_decision_at", "recognition", ["decision", "at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_recognition_decision_at", "recognition")
    op.drop_table("different_products")
    op.drop_table("look_alike_pair")
    op.drop_table("compared_photo")

"""margins by product: what reference photos are answered, what each product needs, what is to be fitted anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

# Three new tables and no change to an older one: rows of older catalogs and backups fit as they are. They start empty,
# and the serving process fills them.


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "left_out_answer",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("first_id", sa.Uuid(), nullable=True),
        sa.Column("second_id", sa.Uuid(), nullable=True),
        sa.Column("margin", sa.Double(), nullable=True),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generation.id"],
            name=op.f("fk_left_out_answer_generation_id_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation_id", "photo_id", name=op.f("pk_left_out_answer")),
    )
    op.create_index("ix_left_out_answer_product_id", "left_out_answer", ["product_id"])
    op.create_index("ix_left_out_answer_first_id", "left_out_answer", ["first_id"])
    op.create_index("ix_left_out_answer_second_id", "left_out_answer", ["second_id"])
    op.create_table(
        "product_margin",
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("margin", sa.Double(), nullable=False),
        sa.Column("rival_id", sa.Uuid(), nullable=False),
        sa.Column("matches", sa.Integer(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generation.id"],
            name=op.f("fk_product_margin_generation_id_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("generation_id", "product_id", name=op.f("pk_product_margin")),
    )
    op.create_table(
        "margin_due",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_margin_due")),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("margin_due", "product_margin", "left_out_answer"):
        op.drop_table(table)

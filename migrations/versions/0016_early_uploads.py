"""Photos that are sent before their form."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels = None
depends_on = None

# A new table: rows of older catalogs and backups fit as they are.


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "early_upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user", sa.String(length=100), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_upload")),
    )
    op.create_index(op.f("ix_early_upload_at"), "early_upload", ["at"])
    op.create_index(op.f("ix_early_upload_user"), "early_upload", ["user"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("early_upload")

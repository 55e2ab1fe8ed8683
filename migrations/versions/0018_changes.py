"""The feed of changes, and imports that ask nobody."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels = None
depends_on = None

# New tables, and a column with a default: rows of older catalogs and backups fit as they are.


def upgrade() -> None:
    """Apply. The feed of each database has a name of its own, by which cursors of another one are told."""
    op.create_table(
        "change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("actor", sa.String(length=10), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_change_at"), "change", ["at"])
    feed = op.create_table(
        "change_feed",
        sa.Column("name", sa.String(length=8), nullable=False),
        sa.Column("trimmed_to", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_change_feed")),
    )
    op.bulk_insert(feed, [{"name": secrets.token_hex(4), "trimmed_to": 0}])
    op.add_column("import_job", sa.Column("automatic", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("import_job", "automatic")
    op.drop_table("change_feed")
    op.drop_table("change")

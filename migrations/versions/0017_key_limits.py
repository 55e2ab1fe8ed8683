"""When a key ends, how often it may ask, and its two secrets during a changeover."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels = None
depends_on = None

# Columns that may be null: keys of older catalogs and backups never end, and have one secret, as before.
MOMENTS = ("expires_at", "rotated_at", "old_ends_at", "old_used_at")


def upgrade() -> None:
    """Apply."""
    for name in MOMENTS:
        op.add_column("api_key", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("rate", sa.String(length=20), nullable=True))
    op.add_column("api_key", sa.Column("old_prefix", sa.String(length=12), nullable=True))
    op.add_column("api_key", sa.Column("old_sha256", sa.String(length=64), nullable=True))
    op.create_index(op.f("ix_api_key_old_sha256"), "api_key", ["old_sha256"], unique=True)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_api_key_old_sha256"), "api_key")
    for name in ("old_sha256", "old_prefix", "rate", *MOMENTS):
        op.drop_column("api_key", name)

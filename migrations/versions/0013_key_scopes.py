"""What a key may do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None

# A column with a default: keys of older catalogs and backups may do everything, as before.


def upgrade() -> None:
    """Apply."""
    everything = '["recognize", "feedback", "catalog:write"]'
    op.add_column("api_key", sa.Column("scopes", sa.JSON(), server_default=everything, nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column("api_key", "scopes")

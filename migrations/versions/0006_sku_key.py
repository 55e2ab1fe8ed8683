"""What SKUs that differ in capitals or blanks only have in common."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from catalog.normalization import sku_key

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

# A column with a default: rows of older backups fit as they are, and get their key when they are inserted. It is not
# unique, since an older catalog may have such SKUs; they stay, and no more are accepted.


def upgrade() -> None:
    """Apply."""
    op.add_column("product", sa.Column("sku_key", sa.String(length=256), server_default="", nullable=False))
    product = sa.table("product", sa.column("id", sa.Uuid()), sa.column("sku"), sa.column("sku_key"))
    connection = op.get_bind()
    keys = [
        {"of": row.id, "key": sku_key(row.sku)} for row in connection.execute(sa.select(product.c.id, product.c.sku))
    ]
    if keys:
        filled = sa.update(product).where(product.c.id == sa.bindparam("of")).values(sku_key=sa.bindparam("key"))
        connection.execute(filled, keys)
    op.create_index(op.f("ix_product_sku_key"), "product", ["sku_key"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_product_sku_key"), "product")
    op.drop_column("product", "sku_key")

"""What the product list searches and sorts by, without accents; photos with warnings, indexed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from catalog.normalization import name_key, search_text

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

# A column with a default and an index. `search` is written anew, here and when an older backup is restored.

#: Rows of one statement.
BLOCK = 1000


def upgrade() -> None:
    """Apply."""
    op.add_column("product", sa.Column("name_key", sa.String(length=200), server_default="", nullable=False))
    texts = ("sku", "name", "brand", "category", "search", "name_key")
    product = sa.table("product", sa.column("id", sa.Uuid()), *(sa.column(name, sa.Text()) for name in texts))
    connection = op.get_bind()
    rows = [
        {
            "of": row.id,
            "searched": search_text(row.sku, row.name, row.brand, row.category),
            "sorted": name_key(row.name),
        }
        for row in connection.execute(sa.select(product)).all()
    ]
    filled = sa.update(product).where(product.c.id == sa.bindparam("of"))
    filled = filled.values(search=sa.bindparam("searched"), name_key=sa.bindparam("sorted"))
    for start in range(0, len(rows), BLOCK):
        connection.execute(filled, rows[start : start + BLOCK])
    op.create_index(
        "ix_photo_overruled",
        "photo",
        ["product_id"],
        sqlite_where=sa.text("status = 'overruled'"),
        postgresql_where=sa.text("status = 'overruled'"),
    )


def downgrade() -> None:
    """Take back. `search` stays as it is: what an older version searches is in it, too, but for accents."""
    op.drop_index("ix_photo_overruled", "photo")
    op.drop_column("product", "name_key")

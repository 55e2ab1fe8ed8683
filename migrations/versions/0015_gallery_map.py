"""Maps of the gallery: where each photo is in two dimensions, and which products look alike."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels = None
depends_on = None

# New tables: rows of older catalogs and backups fit as they are.


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "gallery_map",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation_id", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["generation_id"],
            ["generation.id"],
            name=op.f("fk_gallery_map_generation_id_generation"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gallery_map")),
    )
    op.create_index(op.f("ix_gallery_map_generation_id"), "gallery_map", ["generation_id"])
    op.create_table(
        "map_point",
        sa.Column("map_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("x", sa.Double(), nullable=False),
        sa.Column("y", sa.Double(), nullable=False),
        sa.Column("placed", sa.Boolean(), nullable=False),
        sa.Column("own", sa.Double(), nullable=True),
        sa.Column("rival", sa.Double(), nullable=True),
        sa.Column("rival_photo", sa.Uuid(), nullable=True),
        sa.Column("apart", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["map_id"], ["gallery_map.id"], name=op.f("fk_map_point_map_id_gallery_map"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("map_id", "photo_id", name=op.f("pk_map_point")),
    )
    op.create_table(
        "map_pair",
        sa.Column("map_id", sa.Integer(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("rival_photo", sa.Uuid(), nullable=False),
        sa.Column("cosine", sa.Double(), nullable=False),
        sa.Column("lead", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["map_id"], ["gallery_map.id"], name=op.f("fk_map_pair_map_id_gallery_map"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("map_id", "photo_id", "rival_photo", name=op.f("pk_map_pair")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("map_pair")
    op.drop_table("map_point")
    op.drop_table("gallery_map")

"""Roles and invitations of the staff, sessions that end when unused, when keys were last used, forms sent once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

# New tables, and columns with a default or null: rows of older catalogs and backups fit as they are. Who is there may
# do everything, as before.


def upgrade() -> None:
    """Apply."""
    op.add_column("staff", sa.Column("role", sa.String(length=20), server_default="admin", nullable=False))
    op.add_column("staff", sa.Column("last_sign_in_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sign_in", sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "invitation",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["staff.id"], name=op.f("fk_invitation_user_id_staff"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_invitation")),
        sa.UniqueConstraint("sha256", name=op.f("uq_invitation_sha256")),
    )
    op.create_table(
        "sent_form",
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"], ["sign_in.sha256"], name=op.f("fk_sent_form_session_sign_in"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session", "id", name=op.f("pk_sent_form")),
    )
    op.create_index(op.f("ix_sent_form_created_at"), "sent_form", ["created_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("sent_form")
    op.drop_table("invitation")
    op.drop_column("api_key", "last_used_at")
    op.drop_column("sign_in", "seen_at")
    op.drop_column("staff", "last_sign_in_at")
    op.drop_column("staff", "role")

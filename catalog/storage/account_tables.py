"""Tables of the staff, of the keys of tills, and of what each has changed (audit log)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, true
from sqlalchemy.orm import Mapped, mapped_column

from catalog.storage.table_base import Base, now


class User(Base):
    """A staff member who may sign in to the admin pages, as `role` (see accounts/roles.py).

    Rows from before there were roles are of admins. `password_hash` is "" until an invitation is accepted.
    """

    __tablename__ = "staff"  # "user" is a reserved word in PostgreSQL

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20), default="admin", server_default="admin")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_sign_in_at: Mapped[datetime | None]


class SignIn(Base):
    """A session of a staff member: it ends when the row is gone. Only a hash of the token in the cookie is stored.

    `seen_at`: its last request, but for a minute; null in rows from before it was noted.
    """

    __tablename__ = "sign_in"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime | None]


class Invitation(Base):
    """The last link by which a staff member may set the password, once. Only a hash of its token is stored."""

    __tablename__ = "invitation"

    user_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class SentForm(Base):
    """A form that has made the `secret` of `name`, to be read once in that session (see accounts/forms.py)."""

    __tablename__ = "sent_form"

    session: Mapped[str] = mapped_column(ForeignKey("sign_in.sha256", ondelete="CASCADE"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)


class ApiKey(Base):
    """A till's API key. Of its secret only a hash is stored; `prefix` is its start, for people to tell keys apart.

    `scopes`: what it may do (see accounts/keys.py). `inbox`: its photos that are not recognized are kept for the staff.
    `expires_at`: from then on it opens nothing; null: never. `rate`: its own limit (see catalog/rates.py); null: that
    of CATALOG_KEY_RATE. `last_used_at`: of its secret, but for a minute.

    During a changeover (`rotated_at` is when it began) the columns `old_...` are of the secret before, which opens the
    same until `old_ends_at`, or without it until somebody ends it.
    """

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(12))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON, server_default='["recognize", "feedback", "catalog:write"]')
    inbox: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    rate: Mapped[str | None] = mapped_column(String(20))
    rotated_at: Mapped[datetime | None]
    old_prefix: Mapped[str | None] = mapped_column(String(12))
    old_sha256: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    old_ends_at: Mapped[datetime | None]
    old_used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Audit log: who changed what, before and after."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now, index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(50))
    subject: Mapped[str] = mapped_column(String(100), index=True)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

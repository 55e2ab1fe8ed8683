"""The secrets of API keys: checking one at each request, and changing over from one to another without a gap."""

from __future__ import annotations

import hmac
from datetime import timedelta

from sqlalchemy import or_, select

from catalog.accounts import forms
from catalog.accounts.keys import NewKey, found, new_secret
from catalog.accounts.passwords import token_hash
from catalog.errors import ConflictError, InvalidInputError, KeyExpiredError
from catalog.storage import Database, LastUses, audit_log
from catalog.storage.tables import ApiKey, now

#: Days that an old secret works beside the new one, unless others are asked for; and at most.
OLD_DAYS, MOST_OLD_DAYS = 7, 365


def check_key(database: Database, key: str, uses: LastUses | None = None) -> ApiKey | None:
    """The key's row, or None when it is unknown or revoked. `uses`: notes that this secret was used.

    Raises KeyExpiredError when the key is past its end, or the secret was replaced and its time is over.

    The row is looked up by the SHA-256 of the whole secret, which an index does in a time that depends on how far two
    hashes agree. That tells nothing: nobody can choose what a hash begins with except by trying secrets, and whoever
    had learned the whole stored hash still lacks the 256 random bits that it was made of. What lets in is the
    comparison of the whole hashes below, in constant time, so it depends on no database's idea of equal texts.
    """
    sha256 = token_hash(key)
    query = select(ApiKey).where(or_(ApiKey.sha256 == sha256, ApiKey.old_sha256 == sha256))
    with database.read() as session:
        row = session.scalar(query.where(ApiKey.revoked_at.is_(None)))
    if row is None:
        return None
    is_new = hmac.compare_digest(row.sha256, sha256)
    is_old = hmac.compare_digest(row.old_sha256 or "", sha256)
    if not is_new and not is_old:
        return None
    moment = now()
    if not is_new and row.old_ends_at and row.old_ends_at <= moment:
        raise KeyExpiredError("This secret was replaced, and its time is over: use the key's new one.")
    if row.expires_at and row.expires_at <= moment:
        raise KeyExpiredError(f"This key ended at {row.expires_at:%Y-%m-%d %H:%M} UTC: ask the staff for another.")
    if uses:
        uses.key(sha256)
    return row


def rotate_key(
    database: Database, key_id: int, *, actor: str, days: int | None = OLD_DAYS, form: forms.Form | None = None
) -> NewKey:
    """Give a key a new secret. The one of before works beside it for `days`, or until it is ended (None).

    `form`: see forms.py. Raises NotFoundError, InvalidInputError for the days, ConflictError for a key that is revoked
    or has two secrets already, FormSentError.
    """
    if days is not None and not 0 <= days <= MOST_OLD_DAYS:
        raise InvalidInputError("days", f"The old secret works for 0 to {MOST_OLD_DAYS} days more, not {days}.")
    key, prefix, sha256 = new_secret()
    with database.write() as session:
        if form:  # first: of two clicks, the second is not a key that has two secrets already
            forms.keep(session, form, found(session, key_id).name, key)
        row, moment = found(session, key_id, lock=True), now()
        if row.revoked_at:
            raise ConflictError(f"{row.name} is revoked: make another key.")
        if has_two(row):
            raise ConflictError(f"{row.name} has two secrets already: end the old one first.")
        row.old_prefix, row.old_sha256, row.old_used_at = row.prefix, row.sha256, row.last_used_at
        row.old_ends_at = None if days is None else moment + timedelta(days=days)
        row.prefix, row.sha256, row.last_used_at, row.rotated_at = prefix, sha256, None, moment
        ends = row.old_ends_at.isoformat(timespec="seconds") if row.old_ends_at else None
        audit_log.record(
            session, actor, "key.rotate", row.name, {"prefix": row.old_prefix}, {"prefix": prefix, "old_ends": ends}
        )
        return NewKey(row.id, row.name, key)


def end_old_secret(database: Database, key_id: int, *, actor: str) -> None:
    """End the old secret of a changeover, at once; without one nothing changes. Raises NotFoundError."""
    with database.write() as session:
        row = found(session, key_id, lock=True)
        if row.old_sha256 is None:
            return
        audit_log.record(session, actor, "key.end_old", row.name, before={"prefix": row.old_prefix})
        row.old_prefix = row.old_sha256 = row.old_ends_at = row.old_used_at = None


def has_two(row: ApiKey) -> bool:
    """Whether the old secret of a changeover still works."""
    return row.old_sha256 is not None and (row.old_ends_at is None or row.old_ends_at > now())

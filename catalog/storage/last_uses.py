"""When keys and sessions were last used: noted in memory, written in the background.

No answer waits for the disk. Of each, the database gets one moment a minute at most, whatever process notes it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import or_, update

from catalog.storage.database import Database
from catalog.storage.tables import ApiKey, SignIn, now

#: A use within this time of the one before is not written.
EVERY = timedelta(minutes=1)


class LastUses:
    """The last uses of one catalog's keys and sessions. Thread-safe."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._keys: dict[str, datetime] = {}
        self._sessions: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._lock, self._writing = threading.Lock(), threading.Lock()

    def key(self, sha256: str) -> None:
        """The secret of this hash was used just now: of a key that has two, each has a last use of its own."""
        with self._lock:
            if at := self._due(sha256):
                self._keys[sha256] = at

    def session(self, sha256: str) -> None:
        """This session was."""
        with self._lock:
            if at := self._due(sha256):
                self._sessions[sha256] = at

    def flush(self) -> None:
        """Write what was noted. Raises DatabaseUnavailableError; it then stays noted."""
        with self._writing:
            with self._lock:
                keys, sessions = dict(self._keys), dict(self._sessions)
                old = now() - EVERY
                self._noted = {which: at for which, at in self._noted.items() if at > old}
            if not keys and not sessions:
                return
            with self._db.write() as session:
                for sha256, at in sorted(keys.items()):
                    # By the hash: a secret that was rotated meanwhile is the old one by now.
                    for secret, used in ((ApiKey.sha256, ApiKey.last_used_at), (ApiKey.old_sha256, ApiKey.old_used_at)):
                        unused = or_(used.is_(None), used <= at - EVERY)
                        session.execute(update(ApiKey).where(secret == sha256, unused).values({used: at}))
                for sha256, at in sorted(sessions.items()):
                    unused = or_(SignIn.seen_at.is_(None), SignIn.seen_at <= at - EVERY)
                    session.execute(update(SignIn).where(SignIn.sha256 == sha256, unused).values(seen_at=at))
            with self._lock:
                self._keys = {which: at for which, at in self._keys.items() if keys.get(which) != at}
                self._sessions = {which: at for which, at in self._sessions.items() if sessions.get(which) != at}

    def _due(self, which: str) -> datetime | None:
        at = now()
        before = self._noted.get(which)
        if before is not None and at - before < EVERY:
            return None
        self._noted[which] = at
        return at

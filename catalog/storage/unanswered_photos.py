"""Photos of tills that were not recognized, or wrongly, on their way into the inbox (SQL), written asynchronously.

No answer waits for it: photos are buffered in memory, within a limit, and written within seconds by the thread that
writes the answer log, too. What a killed process had in its buffer is lost: the till has its answer.
"""

from __future__ import annotations

import io
import logging
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from catalog.storage.database import Database
from catalog.storage.tables import InboxPhoto, now
from embedder import images
from embedder.errors import ImageError

log = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]

#: Bytes of photos that wait to be written, and of those whose answer may still be judged wrong; the oldest go first.
WAITING, RECENT = 32 * 2**20, 32 * 2**20
#: Photos written in one transaction.
CHUNK = 16
#: A larger file is saved again with so many pixels on its longest side: references of a till's photo need no more.
LARGEST, LONGEST, QUALITY = 512 * 1024, 1600, 90
#: Photos kept of one group: of a camera that sees the same thing all day, the newest.
OF_GROUP = 24
#: Photos kept of all groups that are not ours, to tell their like by.
NOT_OURS = 2000


@dataclass(frozen=True, eq=False)
class AskedPhoto:
    """A photo that a till asked about, and its answer.

    `candidates`: SKU and score of the matches, best first. `vector`: float32 [dim] of the bundle. `alike`: cosine from
    which on its vector takes two photos for one product. `data`: the file.
    """

    id: uuid.UUID
    at: datetime
    asked_by: str
    decision: str
    candidates: tuple[tuple[str, float], ...]
    bundle_id: str
    vector: Vectors = field(repr=False)
    alike: float
    data: bytes = field(repr=False)


class UnansweredPhotos:
    """The photos of one catalog on their way into the inbox; `days` 0: none is kept. Thread-safe."""

    def __init__(self, db: Database, days: int, megabytes: int) -> None:
        self._db, self._days, self._most = db, days, megabytes * 2**20
        self._waiting: deque[AskedPhoto] = deque()
        self._recent: OrderedDict[uuid.UUID, AskedPhoto] = OrderedDict()
        self._bytes = {"waiting": 0, "recent": 0}
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    @property
    def is_kept(self) -> bool:
        """Whether there is an inbox at all."""
        return self._days > 0

    def append(self, asked: AskedPhoto) -> None:
        """Take a photo: into the inbox if it was no match, else for a while, since the answer may be judged wrong."""
        if not self.is_kept:
            return
        with self._lock:
            if asked.decision != "match":
                self._wait(asked)
                return
            self._recent[asked.id] = asked
            self._bytes["recent"] += len(asked.data)
            while self._bytes["recent"] > RECENT:
                _, oldest = self._recent.popitem(last=False)
                self._bytes["recent"] -= len(oldest.data)

    def judged_wrong(self, answer: uuid.UUID) -> bool:
        """Put the photo of a wrong match into the inbox; False where it is no longer known."""
        with self._lock:
            asked = self._recent.pop(answer, None)
            if asked is not None:
                self._bytes["recent"] -= len(asked.data)
                self._wait(asked)
            return asked is not None

    def judged_right(self, answer: uuid.UUID) -> None:
        """An `unknown` that was right shows none of our products: its photo leaves the inbox."""
        self.flush()
        with self._db.write() as session:
            session.execute(delete(InboxPhoto).where(InboxPhoto.id == answer, InboxPhoto.decision == "unknown"))

    def _wait(self, asked: AskedPhoto) -> None:
        self._waiting.append(asked)
        self._bytes["waiting"] += len(asked.data)
        while self._bytes["waiting"] > WAITING and len(self._waiting) > 1:
            self._bytes["waiting"] -= len(self._waiting.popleft().data)

    def flush(self) -> int:
        """Write what waits into the inbox; returns how many photos. Raises DatabaseUnavailableError; they then wait."""
        written = 0
        with self._writing:
            while chunk := self._first():
                files = {asked.id: data for asked in chunk if (data := _smaller(asked.data)) is not None}
                with self._db.write() as session:
                    for asked in chunk:
                        if asked.id in files:
                            written += _keep(session, asked, files[asked.id])
                self._drop(chunk)
        return written

    def _first(self) -> list[AskedPhoto]:
        with self._lock:
            return [self._waiting[place] for place in range(min(CHUNK, len(self._waiting)))]

    def _drop(self, chunk: Sequence[AskedPhoto]) -> None:
        """Take what is written out of the buffer, which may have dropped some of it by itself."""
        done = {asked.id for asked in chunk}
        with self._lock:
            while self._waiting and self._waiting[0].id in done:
                self._bytes["waiting"] -= len(self._waiting.popleft().data)

    def trim(self) -> int:
        """Delete what is too old or too much, the oldest first; returns how many. Raises DatabaseUnavailableError."""
        with self._db.write() as session:
            old = InboxPhoto.at < now() - timedelta(days=self._days)
            gone = list(session.scalars(select(InboxPhoto.id).where(InboxPhoto.ours, old)))
            others = select(InboxPhoto.id).where(~InboxPhoto.ours).order_by(InboxPhoto.at.desc()).offset(NOT_OURS)
            gone += session.scalars(others)
            # A window sum would do it in SQL; these are a few thousand rows at most.
            held = 0
            for identity, size in session.execute(
                select(InboxPhoto.id, InboxPhoto.size).where(InboxPhoto.ours, ~old).order_by(InboxPhoto.at.desc())
            ):
                held += size
                if held > self._most:
                    gone.append(identity)
            for start in range(0, len(gone), 500):
                session.execute(delete(InboxPhoto).where(InboxPhoto.id.in_(gone[start : start + 500])))
            return len(gone)


def _smaller(data: bytes) -> bytes | None:
    """The file of a photo, saved again if it is large; None if it can't be read, which its answer excludes."""
    if len(data) <= LARGEST:
        return data
    try:
        picture = images.decode(data, want=LONGEST // 2)
    except ImageError as error:
        log.warning("a photo is not kept for the inbox: %s", error)
        return None
    picture.thumbnail((LONGEST, LONGEST))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _keep(session: Session, asked: AskedPhoto, data: bytes) -> bool:
    """Write a photo into the group of its like; False where that is not ours, or it is there already."""
    if session.get(InboxPhoto, asked.id) is not None:
        return False
    near = _nearest(session, asked.bundle_id, asked.vector)
    group = uuid.uuid4()
    if near is not None and near[1] >= asked.alike:
        row = near[0]
        if not row.ours:
            return False
        group = row.group_id
    session.add(
        InboxPhoto(
            id=asked.id,
            at=asked.at,
            asked_by=asked.asked_by[:100],
            decision=asked.decision,
            candidates=[(sku, round(score, 4)) for sku, score in asked.candidates],
            bundle_id=asked.bundle_id,
            vector=asked.vector.astype(np.float32).tobytes(),
            group_id=group,
            asked_at=asked.at,
            size=len(data),
            data=data,
        )
    )
    session.flush()
    _limit_group(session, group, asked.id)
    return True


def _limit_group(session: Session, group: uuid.UUID, newest: uuid.UUID) -> None:
    """Keep the newest photos of a group; `newest` stands for those that go."""
    mine = select(InboxPhoto).where(InboxPhoto.group_id == group).order_by(InboxPhoto.at.desc(), InboxPhoto.id)
    gone = session.scalars(mine.offset(OF_GROUP)).all()
    if gone:
        row = session.get_one(InboxPhoto, newest)
        for other in gone:
            if other is not row:
                row.seen += other.seen
                session.delete(other)


def _nearest(session: Session, bundle_id: str, vector: Vectors) -> tuple[InboxPhoto, float] | None:
    """The photo in the inbox that is nearest to a vector of the same bundle, and its cosine."""
    rows = session.execute(select(InboxPhoto.id, InboxPhoto.vector).where(InboxPhoto.bundle_id == bundle_id)).all()
    if not rows:
        return None
    cosines = np.stack([np.frombuffer(row.vector, np.float32) for row in rows]) @ vector
    best = int(np.argmax(cosines))
    return session.get_one(InboxPhoto, rows[best].id), float(cosines[best])

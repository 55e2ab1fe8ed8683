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

from catalog.errors import DatabaseUnavailableError
from catalog.storage import change_rows
from catalog.storage.change_events import ChangeEvent
from catalog.storage.database import Database
from catalog.storage.tables import Feedback, InboxPhoto, now
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
#: Photos shown in the inbox at most, and kept of all groups that are not ours, to tell their like by.
SHOWN, NOT_OURS = 5000, 2000


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

    def forget(self, answer: uuid.UUID) -> None:
        """Let the photo of a match go: nobody will ask for it, or it may not be kept."""
        with self._lock:
            asked = self._recent.pop(answer, None)
            if asked is not None:
                self._bytes["recent"] -= len(asked.data)

    def _wait(self, asked: AskedPhoto) -> None:
        self._waiting.append(asked)
        self._bytes["waiting"] += len(asked.data)
        while self._bytes["waiting"] > WAITING and len(self._waiting) > 1:
            self._bytes["waiting"] -= len(self._waiting.popleft().data)

    def flush(self) -> int:
        """Write what waits into the inbox, and trim it; returns how many photos were written.

        Raises DatabaseUnavailableError; they then wait.
        """
        written = 0
        with self._writing:
            while chunk := self._first():
                try:
                    written += self._write(chunk)
                except DatabaseUnavailableError:
                    raise
                except Exception:  # whatever is wrong with a photo: it must not hold up the thread that writes them
                    log.exception("%d photos are not kept for the inbox", len(chunk))
                self._drop(chunk)
        if written:
            self.trim()
        return written

    def _write(self, chunk: Sequence[AskedPhoto]) -> int:
        files = {asked.id: data for asked in chunk if (data := _smaller(asked.data)) is not None}
        with self._db.write() as session:
            kept = _Kept(session)
            return sum(_keep(session, kept, asked, files[asked.id]) for asked in chunk if asked.id in files)

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
            sizes = select(InboxPhoto.id, InboxPhoto.size).where(InboxPhoto.ours, ~old).order_by(InboxPhoto.at.desc())
            held = 0
            for place, (identity, size) in enumerate(session.execute(sizes)):
                held += size
                if held > self._most or place >= SHOWN:
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


class _Kept:
    """The vectors of the photos that are kept, by bundle: read once for the photos of one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._vectors: dict[str, list[Vectors]] = {}
        self._groups: dict[str, list[uuid.UUID | None]] = {}

    def nearest(self, asked: AskedPhoto) -> tuple[uuid.UUID | None, float]:
        """The group of the photo that is nearest to this one, None for one that is not ours, and its cosine."""
        self._load(asked.bundle_id)
        vectors, groups = self._vectors[asked.bundle_id], self._groups[asked.bundle_id]
        if not vectors:
            return None, -1.0
        cosines = np.stack(vectors) @ asked.vector
        best = int(np.argmax(cosines))
        return groups[best], float(cosines[best])

    def add(self, asked: AskedPhoto, group: uuid.UUID) -> None:
        """A photo that was written now."""
        self._vectors[asked.bundle_id].append(asked.vector)
        self._groups[asked.bundle_id].append(group)

    def _load(self, bundle_id: str) -> None:
        if bundle_id in self._vectors:
            return
        columns = select(InboxPhoto.vector, InboxPhoto.group_id, InboxPhoto.ours)
        rows = self._session.execute(columns.where(InboxPhoto.bundle_id == bundle_id)).all()
        self._vectors[bundle_id] = [np.frombuffer(row.vector, np.float32) for row in rows]
        self._groups[bundle_id] = [row.group_id if row.ours else None for row in rows]


def _keep(session: Session, kept: _Kept, asked: AskedPhoto, data: bytes) -> bool:
    """Write a photo into the group of its like; False where that is not ours, it is there already, or is of no use."""
    if session.get(InboxPhoto, asked.id) is not None or _was_right(session, asked):
        return False
    near, cosine = kept.nearest(asked)
    group = near if cosine >= asked.alike else uuid.uuid4()
    if group is None:
        return False
    if group != near:
        change_rows.note(session, ChangeEvent("inbox.group_added", told={"group": str(group)}), "key")
    kept.add(asked, group)
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


def _was_right(session: Session, asked: AskedPhoto) -> bool:
    """Whether somebody has said meanwhile, perhaps to another process, that it shows no product of the catalog."""
    said = select(Feedback.id).where(Feedback.recognition_id == asked.id, Feedback.correct)
    return asked.decision == "unknown" and session.scalar(said.limit(1)) is not None


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

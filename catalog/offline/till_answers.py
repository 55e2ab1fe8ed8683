"""A till's own answers and feedback: in a file that outlives versions, with what the server does not have yet.

The file is attached to the database of the version in use, which has no tables of that kind, so that SQLite finds them
there by the same names: the server's code reads products and writes answers in one session, and knows of no two files.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Uuid,
    create_engine,
    delete,
    event,
    func,
    inspect,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.schema import CreateTable

from catalog.errors import StorageError
from catalog.storage import AnswerLog, Database
from catalog.storage.tables import Base, Feedback, RecognitionEntry

#: Answers sent in one request.
BATCH = 100
#: Tables of the file. They are in no version's own database.
NAMES = (RecognitionEntry.__tablename__, Feedback.__tablename__)
_OWN = MetaData()
#: Of each answer that the server has, the number of the last feedback on it that it has, too.
_SENT = Table("sent", _OWN, Column("answer", Uuid, primary_key=True), Column("feedback", Integer, nullable=False))


def make_file(path: Path) -> None:
    """Make the file, or bring that of another version of this program into this one's form. Raises StorageError."""
    engine = create_engine(f"sqlite:///{path}")
    try:
        with engine.begin() as connection:
            _OWN.create_all(connection)
            for name in NAMES:
                _make_table(connection, Base.metadata.tables[name])
            connection.execute(text("CREATE INDEX IF NOT EXISTS feedback_of ON feedback (recognition_id)"))
            connection.execute(text("CREATE INDEX IF NOT EXISTS recognition_at ON recognition (at)"))
    except Exception as error:
        raise StorageError(f"The till's answers in {path} can't be opened: {error}.") from error
    finally:
        engine.dispose()


def _make_table(connection: Connection, table: Table) -> None:
    there = inspect(connection).has_table(table.name)
    if there and _columns(connection, table.name) == {column.name for column in table.columns}:
        return
    if there:
        connection.execute(text(f"ALTER TABLE {table.name} RENAME TO old_{table.name}"))
    # Without what it refers to: products are in the other file.
    own = table.to_metadata(MetaData())
    for key in list(own.foreign_key_constraints):
        own.constraints.discard(key)
    connection.execute(CreateTable(own))
    if there:
        before = _columns(connection, f"old_{table.name}")
        both = ", ".join(column.name for column in table.columns if column.name in before)
        connection.execute(text(f"INSERT INTO {table.name} ({both}) SELECT {both} FROM old_{table.name}"))  # noqa: S608
        connection.execute(text(f"DROP TABLE old_{table.name}"))


def _columns(connection: Connection, table: str) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table)}


def attach(database: Database, path: Path) -> None:
    """Let each connection of a version's database find the till's answers. Before it is first used."""

    @event.listens_for(database.engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute("ATTACH DATABASE ? AS till", (str(path),))
            cursor.execute("PRAGMA till.journal_mode = WAL")
            cursor.execute("PRAGMA till.synchronous = FULL")  # feedback that was acknowledged survives a power cut


class TillAnswers(AnswerLog):
    """The answer log of a till, through the database of the version in use, to which the till's file is attached."""

    def move_to(self, database: Database) -> None:
        """From now on through another version's database, to which the same file is attached."""
        self._db = database

    def waiting(self) -> list[dict[str, Any]]:
        """Up to BATCH answers that the server lacks, the oldest first, each with the feedback that it lacks.

        As web.api.schemas.OfflineAnswer has them. Raises DatabaseUnavailableError.
        """
        self.flush()
        with self._db.read() as session:
            entries = session.scalars(
                select(RecognitionEntry).where(_lacking()).order_by(RecognitionEntry.at).limit(BATCH)
            ).all()
            ids = [entry.id for entry in entries]
            sent = {row.answer: row.feedback for row in session.execute(select(_SENT).where(_SENT.c.answer.in_(ids)))}
            said = session.scalars(select(Feedback).where(Feedback.recognition_id.in_(ids)).order_by(Feedback.id)).all()
        return [
            {
                "id": str(entry.id),
                "at": entry.at.isoformat(),
                "decision": entry.decision,
                "decided_by": entry.decided_by,
                "sku": entry.sku,
                "score": entry.score,
                "confidence": entry.confidence,
                "bundle": entry.bundle_id,
                "milliseconds": entry.milliseconds,
                "feedback": [
                    {
                        "number": one.id,
                        "at": one.at.isoformat(),
                        "correct": one.correct,
                        "sku": one.sku,
                        "note": one.note,
                    }
                    for one in said
                    if one.recognition_id == entry.id and one.id > sent.get(entry.id, 0)
                ],
            }
            for entry in entries
        ]

    def count_waiting(self) -> int:
        """How many answers the server lacks, or feedback on them."""
        with self._db.read() as session:
            return session.scalar(select(func.count()).select_from(RecognitionEntry).where(_lacking())) or 0

    def mark_sent(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """The server has these, as `waiting` gave them. Raises DatabaseUnavailableError; they are then sent again."""
        with self._db.write() as session:
            for answer in answers:
                last = max((one["number"] for one in answer["feedback"]), default=0)
                row = insert(_SENT).values(answer=uuid.UUID(answer["id"]), feedback=last)
                known = func.max(_SENT.c.feedback, row.excluded.feedback)
                session.execute(row.on_conflict_do_update(index_elements=["answer"], set_={"feedback": known}))

    def trim(self) -> int:
        """See AnswerLog. What belongs to an answer goes with it: no key of the database does that here."""
        count = super().trim()
        if count:
            with self._db.write() as session:
                kept = select(RecognitionEntry.id)
                session.execute(delete(Feedback).where(Feedback.recognition_id.not_in(kept)))
                session.execute(delete(_SENT).where(_SENT.c.answer.not_in(kept)))
        return count


def _lacking() -> Any:
    """Of RecognitionEntry: the server lacks the answer, or feedback on it."""
    known = select(_SENT.c.feedback).where(_SENT.c.answer == RecognitionEntry.id).scalar_subquery()
    newest = select(func.max(Feedback.id)).where(Feedback.recognition_id == RecognitionEntry.id).scalar_subquery()
    return or_(known.is_(None), known < func.coalesce(newest, 0))

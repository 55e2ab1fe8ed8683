"""What a till is told is on its disk, and reaches the server once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from catalog.catalog import Catalog
from catalog.config import Settings
from catalog.errors import FeedbackGivenError, NotFoundError
from catalog.feedback import Judgement, give
from catalog.offline import (
    ServerUnreachableError,
    Till,
    TillAnswer,
    TillFeedback,
    TillFolder,
    TillOptions,
    receive,
    send_waiting,
)
from catalog.recognition import recognize
from catalog.storage.tables import Feedback, RecognitionEntry, now
from tests.support.catalogs import open_catalog
from tests.support.offline import KEY, add, built, till_of
from tests.support.pictures import jpeg


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(tmp_path_factory.mktemp("server"))}))
    add(catalog, "S1", jpeg(1))
    add(catalog, "S2", jpeg(2))
    yield catalog
    catalog.close()


@pytest.fixture
def till(server: Catalog, tmp_path: Path) -> Iterator[Till]:
    with till_of(server, built(server).path, tmp_path / "till") as opened:
        yield opened


class Line:
    """The way to a server, as ServerLink has it, which may break before or after the server has stored."""

    def __init__(self, server: Catalog) -> None:
        self.server, self.breaks, self.sent = server, "", 0

    def send(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.breaks == "before":
            raise ServerUnreachableError("out")
        refused = receive(self.server, [given(answer) for answer in answers], actor="key till")
        self.sent += len(answers)
        if self.breaks == "after":
            raise ServerUnreachableError("the answer was lost")
        return [{"id": str(one.id), "code": one.code} for one in refused]


def given(answer: dict[str, Any]) -> TillAnswer:
    from web.api.schemas import OfflineAnswer

    return OfflineAnswer.model_validate_json(json.dumps(answer)).as_given()


def ask(till: Till, seed: int) -> uuid.UUID:
    return recognize(till.catalog, jpeg(seed), asked_by="key till").id


def judge(till: Till, answer: uuid.UUID, sku: str = "") -> None:
    """The answer was right, or the photo shows this SKU."""
    give(till.catalog, answer, Judgement(not sku, sku), actor="key till")


def stored(server: Catalog, answer: uuid.UUID) -> tuple[str, list[tuple[bool, str]]]:
    """The SKU that was answered, and what was said of it."""
    with server.database.read() as session:
        entry = session.get_one(RecognitionEntry, answer)
        said = session.scalars(select(Feedback).where(Feedback.recognition_id == answer).order_by(Feedback.id))
        return entry.sku, [(one.correct, one.sku) for one in said]


def test_feedback_outlives_the_process_and_is_sent_once(server: Catalog, till: Till) -> None:
    right, wrong = ask(till, 1), ask(till, 1)
    judge(till, right)
    judge(till, wrong, "S2")
    line = Line(server)
    line.breaks = "before"
    with pytest.raises(ServerUnreachableError):
        send_waiting(till.answers, line)  # type: ignore[arg-type]
    line.breaks = "after"
    for _ in range(3):
        with pytest.raises(ServerUnreachableError):
            send_waiting(till.answers, line)  # type: ignore[arg-type]
    assert till.answers.count_waiting() == 2
    line.breaks = ""
    assert send_waiting(till.answers, line) == []  # type: ignore[arg-type]
    assert till.answers.count_waiting() == 0
    assert stored(server, right) == ("S1", [(True, "")])
    assert stored(server, wrong) == ("S1", [(False, "S2")])
    before = line.sent
    send_waiting(till.answers, line)  # type: ignore[arg-type]
    assert line.sent == before, "nothing is left to send"


def test_what_was_not_closed_is_there_after_a_restart(server: Catalog, till: Till, tmp_path: Path) -> None:
    answer = ask(till, 2)
    judge(till, answer)
    import shutil

    copied = tmp_path / "copied"
    shutil.copytree(till.folder.root, copied)  # as a kill leaves it: nothing was closed
    again = Till(TillFolder(copied), TillOptions(KEY))
    try:
        line = Line(server)
        send_waiting(again.answers, line)  # type: ignore[arg-type]
    finally:
        again.close()
    assert stored(server, answer) == ("S2", [(True, "")])


def test_feedback_on_an_answer_that_was_sent_before(server: Catalog, till: Till) -> None:
    answer = ask(till, 1)
    line = Line(server)
    send_waiting(till.answers, line)  # type: ignore[arg-type]
    assert stored(server, answer) == ("S1", [])
    judge(till, answer, "S2")
    assert till.answers.count_waiting() == 1
    send_waiting(till.answers, line)  # type: ignore[arg-type]
    assert stored(server, answer) == ("S1", [(False, "S2")])


def test_a_till_refuses_what_its_server_would(till: Till) -> None:
    answer = ask(till, 1)
    with pytest.raises(NotFoundError, match="There is no product 'S9'"):
        judge(till, answer, "S9")
    judge(till, answer, "S2")
    judge(till, answer, "S2")
    with pytest.raises(FeedbackGivenError):
        judge(till, answer)
    with pytest.raises(NotFoundError, match="There is no answer"):
        judge(till, uuid.uuid4())


def test_the_server_names_what_it_can_not_take(catalog: Catalog) -> None:
    add(catalog, "S1", jpeg(1))
    mine, other = uuid.uuid4(), uuid.uuid4()

    def told(identity: uuid.UUID, *said: TillFeedback) -> TillAnswer:
        return TillAnswer(identity, now(), "match", "embedding", "S1", 0.9, None, "0123456789ab", 5.0, said)

    gone = TillFeedback(now(), False, "GONE", "")
    good = TillFeedback(now(), False, "S1", "a note")
    other_way = TillFeedback(now(), True, "", "")
    assert receive(catalog, [told(mine), told(other, gone)], actor="key one")[0].code == "not_found"
    assert receive(catalog, [told(mine, good)] * 2, actor="key one") == []
    assert receive(catalog, [told(mine, other_way)], actor="key one")[0].code == "feedback_given"
    (refused,) = receive(catalog, [told(mine, good)], actor="key two")
    assert (refused.id, refused.code) == (mine, "conflict")
    assert stored(catalog, mine) == ("S1", [(False, "S1")])
    assert stored(catalog, other) == ("S1", [])

"""What is logged as JSON: a line is an object, whatever is logged, and none is lost when a program ends."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog.log_lines import JsonLines
from tests.support import pictures
from tests.support.redises import free_port, redis_server
from tests.support.served import environment, run, served
from web import request_ids

ODD = 'a "quote", a\nline, a tab\t, \udcff, \x00, ä and \u2028'


def formatted(message: str, *arguments: object, **more: Any) -> dict[str, Any]:
    record = logging.LogRecord("web.errors", logging.ERROR, "x.py", 1, message, arguments, more.get("exc_info"))
    request_ids.InEachLine().filter(record)
    line = JsonLines().format(record)
    assert "\n" not in line and line.isascii()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_has_all_that_a_record_has() -> None:
    request_ids.end()
    told = formatted("%s of %d", "one", 2)
    at = datetime.fromisoformat(told.pop("time"))
    assert at.tzinfo == UTC and abs(datetime.now(UTC) - at) < timedelta(minutes=1)
    assert told == {"level": "error", "logger": "web.errors", "request_id": None, "message": "one of 2"}
    request_ids.begin("till-7")
    assert formatted("x")["request_id"] == "till-7"
    request_ids.end()


@pytest.mark.parametrize("text", [ODD, "", "{", "%"])
def test_any_text_is_one_line(text: str) -> None:
    assert formatted("%s", text)["message"] == text


def test_an_exception_is_in_the_line() -> None:
    try:
        raise ValueError(ODD)
    except ValueError:
        told = formatted("failed", exc_info=sys.exc_info())
    assert told["message"] == "failed"
    assert told["exception"].startswith("Traceback") and ODD in told["exception"]


ENDING = """
import logging, os, sys, threading, warnings
from catalog import log_lines
log_lines.begin("json")
logging.getLogger("a").info("begun")
logging.getLogger("alembic").info("not said")
warnings.warn("odd")
thread = threading.Thread(target=lambda: 1 / 0, name="worker")
thread.start()
thread.join()
for number in range(1000):
    logging.getLogger("a").warning("line %d", number)
{ending}
"""


@pytest.mark.parametrize(
    ("ending", "status", "last"),
    [
        ("os._exit(0)", 0, "line 999"),
        ("os.kill(os.getpid(), 9)", -9, "line 999"),
        ("raise ValueError('no')", 1, "ended"),
        ("log_lines.fail('a setting')", 1, "a setting"),
    ],
)
def test_no_line_is_lost_however_a_program_ends(ending: str, status: int, last: str) -> None:
    program = ENDING.format(ending=ending)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == status and ended.stdout == ""
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["message"] for line in lines if line["level"] == "warning" and line["logger"] == "a"] == [
        f"line {number}" for number in range(1000)
    ]
    assert lines[0]["message"] == "begun" and lines[-1]["message"] == last
    assert any("odd" in line["message"] and line["logger"] == "py.warnings" for line in lines)
    [thread] = [line for line in lines if "ZeroDivisionError" in line.get("exception", "")]
    assert thread["message"] == "the thread worker ended" and thread["level"] == "critical"
    assert "not said" not in ended.stderr


def test_text_stays_the_default() -> None:
    program = ENDING.replace('begin("json")', 'begin("")').format(ending="log_lines.fail('a setting')")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    lines = ended.stderr.splitlines()
    assert re.fullmatch(r"[-0-9]+ [0-9:,]+ INFO a: begun", lines[0])
    assert lines[-1] == "catalog: a setting" and ended.returncode == 1


@pytest.mark.slow
def test_a_server_logs_json(tmp_path: Path) -> None:
    """Its lines go to standard error, with what it greets the operator with on standard output."""
    log = tmp_path / "log"
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_GALLERY="http://127.0.0.1:1", CATALOG_LOG="json")
    key = run(["key", "create", "till"], env).stdout.split()[-1]
    with served(log, env) as server:
        headers = {"Authorization": f"Bearer {key}", request_ids.HEADER: "till-7"}
        reply = httpx.post(f"{server.url}/api/v1/recognize", content=pictures.jpeg(1), headers=headers, timeout=60)
        assert reply.status_code == 503
    greeting = re.compile("Nobody can|First start|Catalog in|Serving on")
    lines = [json.loads(line) for line in log.read_text().splitlines() if not greeting.match(line)]
    [refused] = [line for line in lines if line["request_id"] == "till-7" and line["level"] == "error"]
    assert refused["logger"] == "web.errors" and "gallery_unavailable" in refused["message"]


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why_as_json(tmp_path: Path) -> None:
    env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_LOG="json", CATALOG_GALLERY="nowhere")
    for command in (["serve"], ["till", "--data", str(tmp_path / "till")]):
        ended = run([*command, "--port", "0"], env)
        [line] = ended.stderr.splitlines()
        told = json.loads(line)
        assert (ended.returncode, told["level"]) == (1, "critical")
        assert ("CATALOG_GALLERY" if command == ["serve"] else "CATALOG_TILL_KEY") in told["message"]


@pytest.mark.slow
def test_a_worker_logs_json(tmp_path: Path) -> None:
    pytest.importorskip("celery", reason="Celery (extra `celery`) is not installed")
    log = tmp_path / "log"
    with redis_server(tmp_path, free_port()) as url:
        env = environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_JOBS=url, CATALOG_LOG="json")
        with log.open("wb") as out:
            command = [sys.executable, "-m", "catalog", "worker"]
            worker = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=out)
        try:
            until = time.monotonic() + 60
            while "ready" not in log.read_text():
                assert worker.poll() is None and time.monotonic() < until, log.read_text()
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(30)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line["logger"] == "celery.apps.worker" and line["message"].endswith("ready.") for line in lines)


def test_another_form_is_refused(tmp_path: Path) -> None:
    ended = run(["serve"], environment(CATALOG_DATA=str(tmp_path / "data"), CATALOG_LOG="xml"))
    assert ended.returncode == 1 and ended.stderr.startswith("catalog: CATALOG_LOG='xml'")

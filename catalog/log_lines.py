"""What a program logs, on standard error: lines of text, or, with CATALOG_LOG=json, one JSON object a line.

Each line is written and flushed before the program goes on, so none is lost however it ends.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

#: `request` is what web/request_ids.py says of a line; it is "" elsewhere.
TEXT = "%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s"

log = logging.getLogger("catalog")


class JsonLines(logging.Formatter):
    """A record as JSON in ASCII, which every terminal and pipe takes as it is.

    `time` (UTC), `level`, `logger`, `request_id` (null outside of a request), `message`, and `exception`, a traceback
    with all its lines, where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "request_id": getattr(record, "request_id", "") or None,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


def begin(form: str) -> None:
    """Log from now on; as JSON if `form` is json, in which nothing else is written on standard error then."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT, defaults={"request": ""}))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = lambda kind, error, trace: log.critical("ended", exc_info=error)
        threading.excepthook = _thread_ended


def begin_by(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Log as CATALOG_LOG says, or its file; returns the variables with the content of all such files.

    Ends the program with status 1 when one can't be read.
    """
    from catalog.config import with_files
    from catalog.errors import ConfigError

    try:
        given = with_files(environment)
    except ConfigError as error:
        sys.exit(f"catalog: {error}")
    begin(given.get("CATALOG_LOG", ""))
    return given


def fail(message: str) -> NoReturn:
    """End the program with status 1, and say why: in one line, as it is, or as JSON if that is what is logged."""
    if any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers):
        log.critical("%s", message)
        sys.exit(1)
    sys.exit(f"catalog: {message}")


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        log.critical("the thread %s ended", ended.thread and ended.thread.name, exc_info=ended.exc_value)

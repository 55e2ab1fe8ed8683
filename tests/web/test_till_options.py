"""Any text in any option of `catalog till`: it serves, or says in a line what is wrong."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from catalog.config import Settings
from tests.support.catalogs import open_catalog
from tests.support.offline import add, built, public_key
from tests.support.pictures import jpeg
from web.serving import Server
from web.till import __main__ as program

TEXTS = (
    *("", " ", "-1", "0", "1", "60", "86401", "nan", "٣", "127.0.0.1", "localhost", "a..b", "\udcff", "é", "x" * 300),
    *("\n", "whole.zip", "key", "no-key", "folder", "http://127.0.0.1:9", "https://", "ftp://a", "http://a:b@c", "://"),
    *("0" * 64, "f" * 64, "g" * 64, "0" * 63, "{0}", "%", "till"),
)
OPTIONS = ("--bundle", "--trust", "--data", "--key-file", "--update-from", "--every", "--host", "--port", "--threads")


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """The servers that were started, each of which ends at once."""
    servers: list[Server] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Server, "run", lambda server, stop: servers.append(server))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield servers
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def trust(tmp_path: Path) -> str:
    """The key of an archive, whole.zip, and files and folders that options may name."""
    catalog = open_catalog(Settings.from_env({"CATALOG_DATA": str(tmp_path / "server")}))
    add(catalog, "S1", jpeg(1))
    (tmp_path / "whole.zip").write_bytes(built(catalog).path.read_bytes())
    (tmp_path / "key").write_text("pc_key\n")
    (tmp_path / "no-key").write_bytes(b"\xff\n")
    (tmp_path / "folder").mkdir()
    key = public_key(catalog)
    catalog.close()
    return key


def till(monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    """What the program ended with: 0, 2 for wrong options, or the line that it says."""
    monkeypatch.setattr(sys, "argv", ["catalog till", *options])
    try:
        program.main()
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.mark.slow
def test_any_text_in_any_option(started: list[Server], trust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(blacklist_characters="\x00/."), max_size=10))
    good = ["--bundle", "whole.zip", "--trust", trust, "--key-file", "key", "--data", "till", "--port", "0"]
    assert till(monkeypatch, *good) == 0

    @settings(
        max_examples=40, database=None, deadline=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(st.tuples(st.sampled_from(OPTIONS), texts), max_size=3))
    def call(given: list[tuple[str, str]]) -> None:
        ended = till(monkeypatch, *good, *(word for option in given for word in option))
        assert ended in (0, 2) or (ended.startswith("catalog: ") and ended.count("\n") <= 1), given

    call()
    assert len(started) > 1


def test_what_is_missing_is_said(started: list[Server], trust: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        till(monkeypatch, "--data", "till"),
        till(monkeypatch, "--data", "till", "--key-file", "key"),
        till(monkeypatch, "--data", "till", "--key-file", "key", "--trust", trust),
        till(monkeypatch, "--data", "till", "--key-file", "key", "--bundle", "whole.zip", "--trust", "0" * 64),
    ]
    for ended, told in zip(said, ("--key-file", "--trust KEY", "--bundle FILE", "not signed by"), strict=True):
        assert told in ended, ended
    assert not started

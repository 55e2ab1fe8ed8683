"""Any text in any argument and option of every command, on both databases and on any terminal: never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import catalog.cli
import embedder.cli
from tests.support.pictures import jpeg

#: Names in scripts that Latin-1 lacks, beside one that it has.
NAME, SKU = "Żółw 乌龟 café", "茶-1"
#: No null character: no system passes one to a program. A byte that is no UTF-8 comes as a lone surrogate.
BAD = (
    *("", " ", "-", "--", "\n", "\x1b[2J", "\udcff", "a\udc80.jpg", "\U0010ffff", "e\u0301", "İ"),
    *("-1", "0", "2147483648", "99999999999999999999", "nan", "inf", "1e400", "٣", "true", "auto"),
    *("%", "?", "#", "'", '"', "a=b", "sku=a,photos=b", "=", ",", "x" * 5000, "{0}", "1:1", "*"),
)
GOOD = (SKU, "tea", "1", "1.jpg", "in", "list.csv", "list.txt", "anna", "correct horse", "out")
#: These become other programs (tests/web/serving/test_options.py, tests/web/test_till_options.py).
NOT_HERE = {"catalog serve", "catalog till"}
#: These load TensorFlow.
TRAININGS = {"embedder train", "embedder adapt", "embedder compare", "embedder export"}

#: What does not ask the database in any way of its own.
ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def inside(text: str) -> str:
    """A text that names no file outside of the test's folder."""
    return text.replace("/", "_").replace("..", "_").replace("\x00", "_")


texts = st.one_of(st.sampled_from(BAD), st.sampled_from(GOOD), st.text(max_size=20).map(inside))


def commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        elif " ".join((*words, name)) not in NOT_HERE:
            yield (*words, name), command


@st.composite
def calls(draw: st.DrawFn, known: list[tuple[tuple[str, ...], click.Command]]) -> list[str]:
    """A command with any of its options, and texts for its arguments."""
    words, command = draw(st.sampled_from(known))
    given = list(words)
    for option in (one for one in command.params if isinstance(one, click.Option)):
        if option.is_flag:
            given += [option.opts[0]] if draw(st.booleans()) else []
        elif draw(st.booleans()):
            given += [option.opts[0], draw(texts)]
    for argument in (one for one in command.params if isinstance(one, click.Argument)):
        given += draw(st.lists(texts, min_size=1, max_size=3 if argument.nargs < 0 else 1))
    return given


@pytest.fixture
def here(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of a catalog with one product; the test's folder holds what the commands may name."""
    monkeypatch.chdir(tmp_path)
    for name in ("1.jpg", "in/A/2.jpg"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(jpeg(1))
    Path("list.csv").write_text("sku,photos,name\nB,1.jpg,Käse\n")
    Path("list.txt").write_bytes(b"1.jpg\nk\xe4se.jpg\n\xff\n")
    run(catalog.cli.main, ["add", SKU, "1.jpg", "--name", NAME], env)
    run(catalog.cli.main, ["label", SKU, "tea"], env)
    return env


def run(main: click.Group, words: list[str], env: dict[str, str], charset: str = "utf-8") -> int:
    result = CliRunner(charset=charset).invoke(main, words, env=env)
    told = (words, charset, result.output[-2000:])
    assert result.exception is None or isinstance(result.exception, SystemExit), (told, result.exc_info)
    assert result.exit_code in (0, 1, 2) and "Traceback" not in result.output, told
    return result.exit_code


def run_anything(
    main: click.Group, name: str, env: dict[str, str], examples: int, *, trainings: bool = False, **options: Any
) -> None:
    known = [
        (words, command) for words, command in commands(main, (name,)) if (" ".join(words) in TRAININGS) == trainings
    ]

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **options,
    )
    @given(calls(known), st.sampled_from(("utf-8", "latin-1", "ascii")))
    def call(words: list[str], charset: str) -> None:
        run(main, words[1:], env, charset)

    call()


def test_any_text_for_catalog(here: dict[str, str]) -> None:
    run_anything(catalog.cli.main, "catalog", here, 80, derandomize=True)


# Click leaves the file of --from to the garbage collector when an option after it is wrong.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_much_more_for_catalog(here: dict[str, str]) -> None:
    run_anything(catalog.cli.main, "catalog", here, 400, derandomize=True)


@ONCE
def test_any_text_for_embedder(here: dict[str, str]) -> None:
    run_anything(embedder.cli.main, "embedder", here, 60, derandomize=True)


@ONCE
@pytest.mark.slow
def test_any_text_for_trainings(here: dict[str, str]) -> None:
    """The folder has too few photos to train on: what gets that far says so."""
    pytest.importorskip("tensorflow")
    run_anything(embedder.cli.main, "embedder", here, 80, trainings=True, derandomize=True)


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_a_number_beyond_the_databases(here: dict[str, str], number: int) -> None:
    assert run(catalog.cli.main, ["list", "--few-photos", str(number)], here) == 0
    assert run(catalog.cli.main, ["coverage", "--quiet", "--sample", str(number)], here) == 0
    assert run(catalog.cli.main, ["key", "revoke", str(number)], here) == 1


@ONCE
def test_a_folder_is_no_backup(here: dict[str, str]) -> None:
    for target in ("", ".", "/", "in"):
        assert run(catalog.cli.main, ["backup", "--quiet", target], here) in (1, 2)
    assert run(embedder.cli.main, ["till-views", "in", "--out", ""], here) in (1, 2)


@ONCE
def test_every_command_that_shows_a_name_on_any_terminal(here: dict[str, str]) -> None:
    shown = (["list"], ["recognize", "1.jpg"], ["coverage", "--quiet"], ["key", "list"])
    changes = (["rename", SKU, "Größe-乌"], ["label", "Größe-乌", "乌龟"], ["retire", "Größe-乌"])
    for charset in ("latin-1", "ascii", "utf-16"):
        for words in (["key", "create", "乌龟"], *shown):
            assert run(catalog.cli.main, words, here, charset) == 0, words
    for words in changes:
        assert run(catalog.cli.main, words, here, "latin-1") == 0
    assert run(catalog.cli.main, ["retire", "乌"], here, "ascii") == 1
    assert run(catalog.cli.main, ["export", "乌龟", "--quiet"], here, "latin-1") == 0
    assert run(catalog.cli.main, ["backup", "乌龟.tar", "--quiet"], here, "latin-1") == 0


@ONCE
@pytest.mark.parametrize(
    ("terminal", "seen"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, NAME.encode("latin-1", "backslashreplace")),
        # Click takes ASCII for a terminal that nobody set up, and writes UTF-8.
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, NAME.encode()),
        ({"PYTHONIOENCODING": "utf-8"}, NAME.encode()),
    ],
    ids=["latin-1", "posix", "utf-8"],
)
def test_a_terminal(here: dict[str, str], terminal: dict[str, str], seen: bytes) -> None:
    """A process of its own, as a person starts it: what the terminal can't show is escaped, and the rest is there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONIO"))}
    ran = subprocess.run(
        [sys.executable, "-m", "catalog", "list"], env={**clean, **here, **terminal}, capture_output=True, check=True
    )
    assert ran.stderr == b""
    assert seen in ran.stdout


@ONCE
def test_a_list_of_paths_in_any_encoding(here: dict[str, str]) -> None:
    """A path is bytes: one of another encoding is read as it is."""
    os.rename("1.jpg", os.fsencode("k") + b"\xe4se.jpg")
    result = CliRunner().invoke(catalog.cli.main, ["recognize", "--from", "list.txt"], env=here)
    assert result.exit_code == 1, "two of the three are not there"
    assert SKU in result.stdout and result.stdout.startswith("k\\udce4se.jpg: match")

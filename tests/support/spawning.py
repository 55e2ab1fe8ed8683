"""Programs of tests/support/programs as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def spawn(name: str, *arguments: object, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start a program with these settings; its standard output is read as text, its standard error is the test's."""
    command = [sys.executable, "-m", f"tests.support.programs.{name}", *map(str, arguments)]
    environment = {**os.environ, **env}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    )


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    text = child.stdout.readline()
    assert text, "the program ended"
    return text.strip()

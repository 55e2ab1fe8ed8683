"""Programs of tests/support as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def spawn(name: str, *arguments: object, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start `name`.py with these settings; its standard output is read as text, its standard error is the test's."""
    command = [sys.executable, str(HERE / f"{name}.py"), *map(str, arguments)]
    environment = {**os.environ, **env}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    text = child.stdout.readline()
    assert text, "the program ended"
    return text.strip()

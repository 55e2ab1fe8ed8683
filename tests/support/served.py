"""The real server in a process of its own, on a free port."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx

PASSWORD = "a password of the tests"


@dataclass(frozen=True)
class Served:
    url: str
    said: str
    process: subprocess.Popen[bytes]
    seconds: float  # from start to listening

    @property
    def first_start(self) -> str:
        """The link that makes the first account."""
        found = re.search(r"First start: (\S+)", self.said)
        assert found, self.said
        return found.group(1)

    @cached_property
    def password(self) -> str:
        """Of `admin`, whom the link makes."""
        with httpx.Client(timeout=60) as client:
            token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(self.first_start).text)
            assert token
            form = {"name": "admin", "password": PASSWORD, "csrf_token": token.group(1)}
            assert client.post(self.first_start, data=form).status_code == 302
        return PASSWORD


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with these CATALOG_* variables and no others."""
    return {k: v for k, v in os.environ.items() if not k.startswith("CATALOG_")} | variables


def run(arguments: list[str], env: dict[str, str], **options: object) -> subprocess.CompletedProcess[str]:
    """The `catalog` command in a process of its own."""
    command = [sys.executable, "-m", "catalog", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


@contextlib.contextmanager
def served(
    log: Path, env: dict[str, str], arguments: list[str] | None = None, *, module: str = "catalog"
) -> Iterator[Served]:
    """`catalog serve` until the block ends. Raises AssertionError with its output when it does not start."""
    command = [sys.executable, "-m", module, *(arguments or ["serve", "--port", "0"])]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        while "Serving on" not in log.read_text():
            assert process.poll() is None and time.monotonic() < began + 60, log.read_text()
            time.sleep(0.02)
        said = log.read_text()
        address = re.search(r"Serving on (\S+)", said)
        assert address
        yield Served(address.group(1).replace("0.0.0.0", "127.0.0.1"), said, process, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

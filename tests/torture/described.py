"""schemathesis over the whole description, against a catalog that is really served, with all of its checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog import accounts
from tests.support import fuzzing, pictures
from tests.support.served import Served, environment, run, served

ROOT = Path(__file__).parents[2]


@contextmanager
def stocked(folder: Path) -> Iterator[tuple[Served, str]]:
    """A served catalog with the products that tests/support/fuzzing.py knows -> it, and a key with all scopes."""
    env = environment(CATALOG_DATA=str(folder / "data"))
    lines = ["sku,name,labels,photos"]
    for number, sku in enumerate(fuzzing.SKUS):
        (folder / f"{number}.jpg").write_bytes(pictures.jpeg(100 + number))
        lines.append(f"{sku},Product {number},{fuzzing.LABEL},{number}.jpg")
    (folder / "list.csv").write_text("\n".join(lines))
    imported = run(["import", str(folder / "list.csv")], env)
    assert imported.returncode == 0, imported.stdout + imported.stderr
    scopes = [argument for scope in accounts.SCOPES for argument in ("--scope", scope)]
    made = run(["key", "create", "schemathesis", "--rate", "off", *scopes], env)
    with served(folder / "log", env) as server:
        yield server, made.stdout.split()[-1]


def examine(folder: Path, *, examples: int, seed: int, phases: str = "examples,coverage,fuzzing,stateful") -> str:
    """What it finds, "" for nothing; `examples`: requests of each operation and phase, at most."""
    with stocked(folder) as (server, key):
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        settings = str(ROOT / "tests" / "support" / "schemathesis.toml")
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run"]
        command.append(f"{server.url}/openapi/v1.json")
        options = ["--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"]
        options += ["--phases", phases, "--workers", "2", "--request-timeout", "60", "--max-response-time", "60"]
        found = subprocess.run(
            [*command, *options, "--header", f"Authorization: Bearer {key}"],
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.fuzzing", "PYTHONPATH": path},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=3600,
        )
        logged = (folder / "log").read_text()
    wrong = [] if found.returncode == 0 else [found.stdout, found.stderr]
    return "\n".join([*wrong, *([logged] if "Traceback" in logged or " ERROR " in logged else [])])

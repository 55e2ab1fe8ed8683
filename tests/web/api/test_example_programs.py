"""The programs of docs/api-examples.md are run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.served import Served
from tests.torture.described import stocked

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[3] / "docs" / "api-examples.md").read_text()
PROJECT = """<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType>
<TargetFramework>net8.0</TargetFramework><ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable>
</PropertyGroup></Project>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    with stocked(tmp_path_factory.mktemp("programs")) as running:
        yield running


def run_program(language: str, name: str, command: list[str], folder: Path, site: tuple[Served, str], seed: int) -> str:
    """What the page's program of this language prints. Skips the test where its tool is missing."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} on this machine")
    [program] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (folder / name).write_text(program)
    (folder / "front.jpg").write_bytes(pictures.jpeg(seed))
    env = {**os.environ, "CATALOG_URL": site[0].url, "CATALOG_KEY": site[1]}
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_curl(site: tuple[Served, str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    assert "TEA-CURL" in run_program("bash", "program.sh", ["bash", "program.sh"], tmp_path, site, 41)


def test_python(site: tuple[Served, str], tmp_path: Path) -> None:
    said = run_program("python", "program.py", [sys.executable, "program.py"], tmp_path, site, 42)
    assert said.splitlines()[-1] == "invalid_input ['sku', 'photos']"
    assert said.startswith(("TEA-PYTHON", "unknown"))


def test_javascript(site: tuple[Served, str], tmp_path: Path) -> None:
    assert run_program("javascript", "program.mjs", ["node", "program.mjs"], tmp_path, site, 43) == "TEA-JAVASCRIPT\n"


def test_csharp(site: tuple[Served, str], tmp_path: Path) -> None:
    (tmp_path / "program.csproj").write_text(PROJECT)
    assert "TEA-CSHARP" in run_program("csharp", "Program.cs", ["dotnet", "run"], tmp_path, site, 44)


def test_the_settings_of_the_generator_are_those_that_are_tested() -> None:
    from tests.web.api.test_generated_clients import CONFIG

    [settings] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert settings.strip() in CONFIG

"""The Dockerfile and .dockerignore, read."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from tests.support.deployed import ROOT, copied, instructions, ours, pods

IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def is_sent(path: str) -> bool:
    """Whether a path of this folder gets to the builder: the last line that fits it, or a folder of it, decides."""
    sent = True
    parts = Path(path).parts
    folders = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for line in IGNORED:
        pattern = line.removeprefix("!").removeprefix("**/")
        names = parts if line.startswith("**/") else folders
        if any(fnmatch(name, pattern) for name in names):
            sent = line.startswith("!")
    return sent


def test_all_that_is_copied_is_there_and_sent() -> None:
    for source in copied():
        assert (ROOT / source).exists(), f"{source} is copied, but not there"
        assert is_sent(source), f"{source} is copied, but .dockerignore leaves it out"


def test_nothing_else_is_sent() -> None:
    """Secrets, data and history stay out, and the image is small."""
    needed = {Path(source).parts[0] for source in copied()}
    there = {path.name for path in ROOT.iterdir()} | {"secrets", "catalog-data", "demo-data", ".env", ".git"}
    assert {name for name in there if is_sent(name)} == needed
    assert not is_sent("catalog/__pycache__/config.cpython-313.pyc") and is_sent("catalog/config.py")


def test_every_package_goes_into_the_image() -> None:
    """Also those of no Python, which are data of packages: the wheel is made of the same folders as everywhere."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied())
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.rstrip("*") for pattern in found} == packages


def test_it_is_pinned_in_all_that_it_installs() -> None:
    """Two stages of one base; libraries by hash; and no package of Debian, since each library is a wheel."""
    bases = [said.split()[0] for name, said in instructions() if name == "FROM"]
    assert len(bases) == 2 and len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0])
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    minor = int(bases[0].split(".")[1])
    assert int(python.split(">=3.")[1].split(",")[0]) <= minor < int(python.split("<3.")[1])
    ran = " && ".join(said for name, said in instructions() if name == "RUN")
    assert "apt" not in ran and "curl" not in ran
    for command in ran.split(" && "):
        if "pip" in command.split() or "install" in command.split():
            pinned = "--require-hashes" in command or "--no-index" in command
            assert pinned or command.startswith(("install -d", "python -m venv")), command
    assert "--only-binary :all: --require-hashes -r requirements/docker.txt" in ran
    locks = re.findall(r"-r (\S+)", ran)
    assert set(locks) <= set(copied()) and all("--hash=sha256:" in (ROOT / lock).read_text() for lock in locks)


def test_what_builds_it_is_what_pyproject_names() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert needed == [line for line in (ROOT / "requirements/build.in").read_text().split("\n") if line[:1] not in "#"]
    least = int(needed[0].split(">=")[1])
    locked = re.search(r"^setuptools==(\d+)", (ROOT / "requirements/build.txt").read_text(), re.MULTILINE)
    assert locked and int(locked[1]) >= least


def test_it_runs_as_a_user_of_its_own_and_what_compose_runs() -> None:
    last = dict(instructions())
    assert last["USER"] == "999:999", "by number, for Kubernetes, and as the volumes of earlier images have it"
    users = [pod["spec"]["securityContext"] for name, pod in pods().items() if name in ours()]
    assert len(users) == 3 and all((user["runAsUser"], user["runAsGroup"]) == (999, 999) for user in users)
    assert json.loads(last["CMD"]) == ours()["web"]["command"] == ours("docker-compose.small.yml")["web"]["command"]
    assert last["VOLUME"] == "/data" and "CATALOG_DATA=/data" in last["ENV"]
    assert all("data:/data" in service["volumes"] for service in ours().values())

"""docker-compose*.yml, deploy/kubernetes/ and the Dockerfile, as they are read."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPOSE = ("docker-compose.yml", "docker-compose.small.yml")
OURS = "photo-catalog"


@cache
def composed(name: str = "docker-compose.yml") -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def services(name: str = "docker-compose.yml") -> dict[str, Any]:
    found: dict[str, Any] = composed(name)["services"]
    return found


def ours(name: str = "docker-compose.yml") -> dict[str, Any]:
    """The services of this project's image."""
    return {key: service for key, service in services(name).items() if service["image"].startswith(f"{OURS}:")}


def interpolated(text: str, given: dict[str, str]) -> str:
    """A value as Compose reads it: ${NAME:-default}, and $$ for a dollar."""

    def value(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if name is None:
            return "$"
        return given.get(name) or default or ""

    return re.sub(r"\$(?:\$|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})", value, text)


def checked(test: list[str]) -> list[str]:
    """The command line of a health check."""
    kind, *command = [interpolated(part, {}) for part in test]
    return ["sh", "-c", *command] if kind == "CMD-SHELL" else command


@cache
def manifests() -> list[Any]:
    """All documents that kustomization.yaml lists."""
    files = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    return [document for file in files for document in yaml.safe_load_all((KUBERNETES / file).read_text())]


def of_kind(*kinds: str) -> dict[str, Any]:
    """Manifests by name."""
    return {document["metadata"]["name"]: document for document in manifests() if document["kind"] in kinds}


def pods() -> dict[str, Any]:
    """Pod templates by the name of what makes them."""
    made = of_kind("Deployment", "StatefulSet", "Job")
    return {name: document["spec"]["template"] for name, document in made.items()}


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile: instruction and arguments, comments and line ends taken out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], " ".join(line.split()[1:])) for line in text.splitlines() if line.strip()]


def copied() -> list[str]:
    """What the image takes from this folder."""
    taken = [shlex.split(said) for name, said in instructions() if name == "COPY" and not said.startswith("--from=")]
    return [source for *sources, _ in taken for source in sources]


def make_secrets(folder: Path) -> Path:
    """A folder of secrets, by the script that operators run."""
    subprocess.run(["sh", str(ROOT / "deploy" / "make-secrets.sh"), str(folder)], check=True, timeout=30)
    return folder

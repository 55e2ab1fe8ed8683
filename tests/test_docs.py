"""The docs name what there is: settings, commands, answers, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import click
import pytest

import catalog.cli
import embedder.cli
from catalog.maintenance import Kind
from catalog.transfer import COLUMNS
from web.api import reference

ROOT = Path(__file__).parents[1]
DOCS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}


def test_every_setting_is_documented_and_no_other() -> None:
    read = set(re.findall(r'"(CATALOG_[A-Z_]+)"', (ROOT / "catalog" / "config.py").read_text()))
    named = set(re.findall(r"`(CATALOG_[A-Z_]+)`", DOCS["docs/operating.md"]))
    assert read == named


def commands(group: click.Group, prefix: str) -> set[str]:
    found = set()
    for name, command in group.commands.items():
        found |= commands(command, f"{prefix} {name}") if isinstance(command, click.Group) else {f"{prefix} {name}"}
    return found


def test_every_command_is_documented() -> None:
    text = "\n".join(DOCS.values())
    missing = {
        command
        for command in commands(catalog.cli.main, "catalog") | commands(embedder.cli.main, "embedder")
        if not re.search(rf"{command}\b", text)
    }
    assert missing == set()


def test_every_column_of_a_list_is_documented() -> None:
    for page in ("docs/command-line.md", "docs/importing.md"):
        assert {column for column in (*COLUMNS, "attribute:NAME") if f"`{column}`" not in DOCS[page]} == set()


def test_the_reference_of_the_api_is_made_from_the_code() -> None:
    """`python -m web.api.reference docs/api-reference.md` makes it anew."""
    assert DOCS["docs/api-reference.md"] == reference.reference()


def test_every_finding_of_the_doctor_is_documented() -> None:
    _, doctor = DOCS["docs/operating.md"].split("\n## The doctor\n")
    named = set(re.findall(r"^\| `([a-z_]+)` \|", doctor, re.MULTILINE))
    assert named == set(get_args(Kind))


def test_every_problem_of_the_status_is_documented() -> None:
    told = set(re.findall(r'Problem\(\s*"([a-z_]+)"', (ROOT / "catalog" / "cli" / "status.py").read_text()))
    _, after = DOCS["docs/operating.md"].split("\n## At one glance\n")
    rows = re.findall(r"^\| (`.*`) \|", after.split("\n## ")[0], re.MULTILINE)
    assert told == {kind for row in rows for kind in re.findall("`([a-z_]+)`", row)} - {"kind"}


@pytest.mark.parametrize("page", DOCS)
def test_links_and_pictures_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", DOCS[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


def test_make_targets_that_docs_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for text in DOCS.values() for name in re.findall(r"`?\bmake ([a-z]+)\b`?(?= |`|\n|$)", text)}
    assert named & targets >= {"demo", "serve", "test", "lint", "bench", "lock", "help", "pictures"}


def test_the_tree_of_the_design_page_is_the_tree() -> None:
    """Every folder and file of the packages stands in the tree, in its place, and nothing else does."""
    drawn = DOCS["docs/design.md"].split("```")[1]
    named: set[str] = set()
    package = folder = ""
    for line in drawn.strip().splitlines():
        if found := re.match(r"(\w+)/ ", line):
            package, folder = found[1], ""
        elif found := re.match(r"  (\w+)/ ", line):
            folder = f"{found[1]}/"
        elif re.match(r"  \w", line):
            folder = ""
        if package in ("embedder", "catalog", "web"):
            named |= {f"{package}/{folder}{name}" for name in re.findall(r"\b\w+\.py\b", line)}
    there = {
        path.relative_to(ROOT).as_posix()
        for package in ("embedder", "catalog", "web")
        for path in (ROOT / package).rglob("*.py")
        if not path.name.startswith("__") and path.parent.name not in ("demo", "admin", "api", "schemas")
    }
    assert named == there

"""Whose the data is: files and folders are their owner's alone, and root does not lock the owner out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from catalog.cli import main
from embedder.bundle import load_bundle
from tests.support.pictures import jpeg
from tests.support.served import environment, run, served

#: A user that need not exist.
SOMEBODY = 54_321


def command(data: Path, *words: str, **variables: str) -> Result:
    env = {"CATALOG_DATA": str(data), **variables}
    return CliRunner().invoke(main, words, env=env)


def modes(data: Path) -> set[tuple[str, str]]:
    """(kind, rights) of all that there is, the folder itself included."""
    there = [data, *data.rglob("*")]
    return {("folder" if path.is_dir() else "file", oct(path.stat().st_mode & 0o777)) for path in there}


ALIKE = {("folder", "0o700"), ("file", "0o600")}


@pytest.fixture
def photo(tmp_path: Path) -> str:
    (tmp_path / "1.jpg").write_bytes(jpeg(1))
    return str(tmp_path / "1.jpg")


@pytest.fixture
def permissive() -> object:
    """The umask of most systems, whatever tests before have left."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_all_files_are_the_owners_alone(tmp_path: Path, photo: str, permissive: None) -> None:
    data = tmp_path / "data"
    env = environment(CATALOG_DATA=str(data))
    assert run(["add", "tea", photo], env).returncode == 0
    with served(tmp_path / "log", env):
        assert modes(data) == ALIKE
    assert run(["backup", str(data / "b.tar"), "--quiet"], env).returncode == 0
    assert run(["export", str(data / "out"), "--quiet"], env).returncode == 0
    assert modes(data) == ALIKE
    assert {"catalog.db", "secret-key", "b.tar"} <= {path.name for path in data.iterdir()}


def test_an_older_catalog_is_closed(tmp_path: Path, photo: str, permissive: None) -> None:
    data = tmp_path / "data"
    assert command(data, "add", "tea", photo).exit_code == 0
    outside = tmp_path / "elsewhere"
    outside.write_text("")
    (data / "link").symlink_to(outside)
    for path in [data, *data.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert command(data, "recognize", photo).exit_code == 0
    (data / "link").unlink()
    assert modes(data) == ALIKE
    assert outside.stat().st_mode & 0o777 == 0o644, "what a link names is not ours"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write in another's place")
def test_root_does_not_write_in_another_users_place(tmp_path: Path, photo: str) -> None:
    data = tmp_path / "data"
    assert command(data, "add", "tea", photo).exit_code == 0
    there = [data, *data.rglob("*")]
    for path in there:
        os.chown(path, SOMEBODY, SOMEBODY)
    before = {path: path.stat().st_mtime_ns for path in there}
    for words in (
        ["add", "milk", photo],
        ["list"],
        ["init"],
        ["user", "add", "a", "--password", "x" * 10],
        ["reembed", "--quiet"],
    ):
        result = command(data, *words)
        assert result.exit_code == 1 and result.stdout == "", result.output
        assert result.stderr.startswith("catalog: ") and "belongs to the user" in result.stderr
    started = run(["serve", "--port", "0"], environment(CATALOG_DATA=str(data)))
    assert started.returncode == 1 and "belongs to the user" in started.stderr
    assert {path: path.stat().st_mtime_ns for path in [data, *data.rglob("*")]} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write in another's place")
@pytest.mark.parametrize(("name", "kind"), [("CATALOG_PHOTOS", "file"), ("CATALOG_GALLERY", "edge")])
def test_nor_in_a_folder_of_another_part(tmp_path: Path, photo: str, name: str, kind: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, SOMEBODY, SOMEBODY)
    result = command(tmp_path / "data", "add", "tea", photo, **{name: f"{kind}:{other}"})
    assert result.exit_code == 1 and f"{other} belongs to" in result.stderr
    assert list(other.iterdir()) == []


def test_a_bundle_is_kept_with_the_rights_of_the_data(tmp_path: Path, permissive: None) -> None:
    data = tmp_path / "data"
    assert command(data, "init").exit_code == 0
    (kept,) = (data / "bundles").iterdir()
    assert load_bundle(kept).id == kept.name
    assert modes(kept) == ALIKE

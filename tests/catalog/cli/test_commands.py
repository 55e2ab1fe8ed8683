from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from sqlalchemy import select, update

from catalog import accounts
from catalog.catalog import Catalog
from catalog.cli import keys, main, users
from catalog.enrollment import run_pending
from catalog.recognition import recognize
from catalog.storage.tables import ApiKey, Generation
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.commands import Run, one_line
from tests.support.pictures import jpeg


def test_every_command_explains_itself(run: Run) -> None:
    def walk(command: click.Command, path: list[str]) -> None:
        assert command.help, path
        if path in (["serve"], ["till"]):  # which become other programs
            said = subprocess.run([sys.executable, "-m", "catalog", *path, "--help"], capture_output=True, text=True)
            assert said.stdout.startswith(f"usage: catalog {path[0]}")
            return
        assert run(*path, "--help").stdout.startswith("Usage")
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*path, name])

    walk(main, [])


def test_init_can_be_repeated(run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        assert load_bundle(RELEASED).id in run("init").stdout
    assert {"gallery", "bundles"} <= {path.name for path in (tmp_path / "data").iterdir()}


def test_add_and_recognize(run: Run) -> None:
    added = run("add", "tea", "1.jpg", "2.jpg", "--name", "Green tea").stdout.splitlines()
    assert [re.sub("details: [1-9][0-9]*$", "details: N", line) for line in added[:2]] == [
        f"{name}.jpg: searchable, details: N" for name in (1, 2)
    ]
    assert added[2].startswith("tea: 2 photos in ")
    run("add", "milk", "3.jpg")
    assert run("recognize", "1.jpg").stdout.startswith("1.jpg: match (tea 1.000, milk 0.")
    answer = json.loads(run("recognize", "--json", "2.jpg").stdout)
    assert list(answer) == [
        "photo",
        "decision",
        "matches",
        "decided_by",
        "confidence",
        "barcodes",
        "mirrored",
        "complete",
        "looked_at",
        "bundle",
        "milliseconds",
        "timings",
        "id",
    ]
    # The vector alone was sure.
    assert (answer["mirrored"], answer["complete"], answer["looked_at"]) == (False, True, None)
    assert (answer["photo"], answer["decision"], answer["bundle"]) == ("2.jpg", "match", load_bundle(RELEASED).id)
    score = pytest.approx(1, abs=1e-3)
    first = answer["matches"][0]
    assert (first["sku"], first["name"], first["score"], first["evidence"]) == ("tea", "Green tea", score, None)
    assert answer["milliseconds"] > 0


def test_recognize_reads_paths_from_a_file(run: Run, tmp_path: Path) -> None:
    run("add", "tea", "1.jpg")
    (tmp_path / "list").write_text("1.jpg\n\n2.jpg\r\n")
    for result in (
        run("recognize", "--json", "3.jpg", "--from", "list"),
        run("recognize", "--json", "3.jpg", "--from", "-", input="1.jpg\n2.jpg\n"),
    ):
        assert [json.loads(text)["photo"] for text in result.stdout.splitlines()] == ["3.jpg", "1.jpg", "2.jpg"]
    assert "name photos" in run("recognize", status=2).stderr
    (tmp_path / "list").write_text("\n")
    assert "name photos" in run("recognize", "--from", "list", status=2).stderr


def test_a_photo_that_can_not_be_read_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    run("add", "tea", "1.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    (tmp_path / "folder.jpg").mkdir()
    names = ["text.jpg", "absent.jpg", "folder.jpg", "\0.jpg", "1.jpg"]
    (tmp_path / "list").write_text("\n".join(names))
    lines = run("recognize", "--json", "--from", "list", status=1).stdout.splitlines()
    answers = [json.loads(text) for text in lines]
    assert [answer["photo"] for answer in answers] == names
    assert [answer.get("error") for answer in answers] == [
        "not_an_image",
        "unreadable",
        "unreadable",
        "unreadable",
        None,
    ]
    assert answers[1]["detail"] == "No such file or directory"
    assert answers[4]["matches"][0]["sku"] == "tea"
    plain = run("recognize", "absent.jpg", "1.jpg", status=1)
    assert plain.stderr == "absent.jpg: No such file or directory\n"
    assert plain.stdout.startswith("1.jpg: match")


def test_errors_are_one_line(run: Run, tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "text.jpg").write_text("no photo")
    run("add", "tea", "1.jpg")
    assert "in the catalog already" in one_line(run("add", "tea", "2.jpg", status=1))
    assert "text.jpg: The file is not an image" in one_line(run("add", "A", "text.jpg", status=1))
    assert "slashes" in one_line(run("add", "a/../b", "1.jpg", status=1))
    assert "no product 'A'" in one_line(run("retire", "A", status=1))
    assert "no generation" in one_line(run("reembed", "--rollback", "--quiet", status=1))
    (tmp_path / "empty").mkdir()
    assert "no photo below" in one_line(run("import", "empty", status=1))
    assert "no model bundle" in one_line(run("reembed", "--quiet", "--bundle", "empty", status=1))
    env["CATALOG_GALLERY"] = "nonsense"
    assert "CATALOG_GALLERY='nonsense'" in one_line(run("list", status=1))


def test_a_database_that_is_away_is_one_line(run: Run, env: dict[str, str]) -> None:
    env["CATALOG_DATABASE"] = "postgresql://me@127.0.0.1:1/x"
    assert "database" in one_line(run("list", status=1))


def test_list_retire_and_restore(run: Run) -> None:
    run("add", "tea", "1.jpg", "2.jpg", "--name", "Green tea")
    run("add", "milk", "3.jpg")
    assert run("list").stdout == "milk\tmilk\t1 photos\ntea\tGreen tea\t2 photos\n"
    assert run("list", "GREEN").stdout == "tea\tGreen tea\t2 photos\n"
    run("retire", "tea")
    assert run("list").stdout == "milk\tmilk\t1 photos\n"
    assert "tea" not in run("recognize", "1.jpg").stdout
    run("unretire", "tea")
    assert "match (tea" in run("recognize", "1.jpg").stdout


def test_reembed(run: Run, other_bundle: Bundle) -> None:
    run("add", "tea", "1.jpg", "2.jpg")
    first, other = load_bundle(RELEASED).id, other_bundle.id
    switched = f"{first} -> {other}: 2 photos embedded, 2 searchable\n"
    assert run("reembed", "--quiet", "--bundle", str(other_bundle.path)).stdout == switched
    assert run("reembed", "--quiet", "--bundle", str(other_bundle.path)).stdout == f"{other} is live already\n"
    assert "match (tea" in run("recognize", "1.jpg").stdout
    back = f"{other} -> {first}: 0 photos embedded, 2 searchable\n"
    assert run("reembed", "--quiet", "--rollback").stdout == back
    assert "no --bundle" in run("reembed", "--rollback", "--bundle", str(other_bundle.path), status=2).stderr


def test_a_model_whose_vectors_are_not_finite_is_refused(
    run: Run, env: dict[str, str], numberless_bundle: Bundle, open_catalog: Callable[[], Catalog]
) -> None:
    """And nothing of it stays: the catalog begins, or goes on, with another."""
    bad = str(numberless_bundle.path)
    env["CATALOG_MODEL"] = bad
    for command in (("init",), ("add", "tea", "1.jpg"), ("recognize", "1.jpg")):
        assert "not finite" in one_line(run(*command, status=1))
    assert run("list").stdout == ""
    env["CATALOG_MODEL"] = str(RELEASED)
    assert load_bundle(RELEASED).id in run("init").stdout
    run("add", "tea", "1.jpg")
    assert "not finite" in one_line(run("reembed", "--quiet", "--bundle", bad, status=1))
    assert "match (tea" in run("recognize", "1.jpg").stdout
    with open_catalog().database.read() as session:
        assert session.scalars(select(Generation.bundle_id)).all() == [load_bundle(RELEASED).id]
    assert not (Path(env["CATALOG_DATA"]) / "bundles" / numberless_bundle.id).exists()


def test_users(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("user", "add", "anna", "--password", "correct horse")
    run("user", "add", "ben", input="correct horse\ncorrect horse\n")
    run("user", "password", "ben", "--password", "another battery")
    assert "already" in one_line(run("user", "add", "anna", "--password", "correct horse", status=1))
    assert "10 to 1000 characters" in one_line(run("user", "add", "cleo", "--password", "short", status=1))
    catalog = open_catalog()
    assert accounts.check_password(catalog.database, "anna", "correct horse") is not None
    assert accounts.check_password(catalog.database, "ben", "another battery") is not None


def test_a_user_is_switched_off_and_on(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("user", "add", "anna", "--password", "correct horse")
    assert "only admin" in one_line(run("user", "disable", "anna", status=1))
    run("user", "add", "carla", "--password", "correct horse")
    catalog = open_catalog()
    for command, knows in (("disable", False), ("disable", False), ("enable", True)):
        run("user", command, "anna")
        assert (accounts.check_password(catalog.database, "anna", "correct horse") is not None) == knows
    assert "no user 'ben'" in one_line(run("user", "disable", "ben", status=1))


def test_roles_and_links(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    run("user", "add", "anna", "--password", "correct horse")
    run("user", "add", "ben", "--role", "viewer", "--password", "correct horse")
    run("user", "role", "ben", "editor")
    link = run("user", "invite", "carla", "--role", "viewer", "--url", "https://shop.example/").stdout.strip()
    address, _, token = link.rpartition("/")
    assert address == "https://shop.example/invite"
    assert run("user", "list").stdout.splitlines() == [
        *("anna\tadmin\tnever\tactive", "ben\teditor\tnever\tactive", "carla\tviewer\tnever\tinvited")
    ]
    catalog = open_catalog()
    accounts.accept(catalog.database, token, "another battery")
    again = run("user", "invite", "ben").stdout.strip().rpartition("/")[2]
    assert accounts.invited(catalog.database, again).name == "ben"
    assert "no user 'dora'" in one_line(run("user", "invite", "dora", status=1))
    assert "already" in one_line(run("user", "invite", "ben", "--role", "admin", status=1))
    assert "only admin" in one_line(run("user", "role", "anna", "viewer", status=1))
    run("user", "role", "anna", "owner", status=2)
    assert tuple(users.Role.choices) == accounts.ROLES


def test_keys(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    key = run("key", "create", "till 1").stdout.strip()
    assert run("key", "list").stdout == f"1\t{key[:9]}...\ttill 1\tactive, may recognize\n"
    assert tuple(accounts.SCOPES) == keys.SCOPES
    run("key", "create", "ERP", "--scope", "catalog:write", "--scope", "feedback")
    assert "\tERP\tactive, may feedback catalog:write\n" in run("key", "list").stdout
    run("key", "create", "ERP", "--scope", "everything", status=2)
    catalog = open_catalog()
    assert accounts.check_key(catalog.database, key, catalog.uses) is not None
    catalog.uses.flush()
    run("key", "rename", "1", "till at the door")
    assert "\ttill at the door\tactive, may recognize, last used 20" in run("key", "list").stdout
    run("key", "revoke", "1")
    assert accounts.check_key(catalog.database, key) is None
    assert "\trevoked 20" in run("key", "list").stdout
    assert "is revoked" in one_line(run("key", "rotate", "1", status=1))
    assert "no key 7" in one_line(run("key", "revoke", "7", status=1))


def test_a_key_that_ends_is_limited_and_is_rotated(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    def listed() -> str:
        (line,) = run("key", "list").stdout.splitlines()
        return line.rpartition("\t")[2]

    assert accounts.OLD_DAYS == keys.OLD_DAYS
    first = run("key", "create", "ERP", "--ends", "2099-12-31", "--rate", "60 per minute").stdout.strip()
    assert listed() == "active, may recognize, through 2099-12-31, at most 60/minute"
    run("key", "change", "1", "--scope", "catalog:read", "--rate", "off")
    assert listed() == "active, may catalog:read, through 2099-12-31, at most off"
    run("key", "change", "1", "--ends", "", "--rate", "")
    assert listed() == "active, may catalog:read"
    assert "is no day" in one_line(run("key", "change", "1", "--ends", "soon", status=1))
    assert "is no limit" in one_line(run("key", "create", "ERP 2", "--rate", "soon", status=1))
    assert "ends today or later" in one_line(run("key", "create", "ERP 2", "--ends", "2020-01-01", status=1))

    second = run("key", "rotate", "1", "--keep-old").stdout.strip()
    assert listed() == f"active, may catalog:read, and its old secret {first[:9]}..., not used"
    assert "two secrets already" in one_line(run("key", "rotate", "1", status=1))
    catalog = open_catalog()
    assert all(accounts.check_key(catalog.database, secret, catalog.uses) for secret in (first, second))
    catalog.uses.flush()
    assert re.fullmatch(r"active, may catalog:read, last used .*, and its old secret .*, last used .*", listed())
    run("key", "end-old", "1")
    assert accounts.check_key(catalog.database, first) is None
    assert re.fullmatch(r"active, may catalog:read, last used 20.{14}", listed())
    run("key", "rotate", "1", "--days", "3")
    assert f"its old secret {second[:9]}... until 20" in listed()
    run("key", "end-old", "1")
    with catalog.database.write() as session:
        session.execute(update(ApiKey).values(expires_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert listed().startswith("ended, may catalog:read, through 2025-12-31")
    assert "0 to 365 days" in one_line(run("key", "rotate", "1", "--days", "400", status=1))


def test_while_another_process_holds_the_gallery(
    run: Run, open_catalog: Callable[[], Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.gallery.edge.EdgeGallery.__init__.__defaults__", (0.0,))  # don't wait for it
    run("add", "tea", "1.jpg")
    open_catalog().generations.ready()
    for command in (("recognize", "1.jpg"), ("add", "milk", "2.jpg"), ("recognize", "--json", "1.jpg")):
        assert "is open in another process (pid " in one_line(run(*command, status=1))
    # What needs no gallery still works.
    assert run("list").stdout.startswith("tea")
    run("key", "create", "till")


def test_retire_beside_a_serving_process(
    run: Run, open_catalog: Callable[[], Catalog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.gallery.edge.EdgeGallery.__init__.__defaults__", (0.0,))
    run("add", "tea", "1.jpg")
    catalog = open_catalog()
    assert recognize(catalog, jpeg(1)).matches
    assert run("retire", "tea").output == ""
    assert recognize(catalog, jpeg(1)).matches == []
    assert run_pending(catalog) == 1  # which the serving process's worker does


def test_the_command_is_installed() -> None:
    result = subprocess.run([sys.executable, "-m", "catalog", "--help"], capture_output=True, text=True, check=True)
    assert "recognizes its products by photo" in result.stdout
    assert result.stderr == ""

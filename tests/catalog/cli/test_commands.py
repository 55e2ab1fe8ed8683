from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from catalog import accounts
from catalog.catalog import Catalog
from catalog.cli import main
from catalog.enrollment import run_pending
from catalog.recognition import recognize
from catalog.storage.tables import Generation
from catalog.transfer import importing
from embedder.bundle import RELEASED, Bundle, load_bundle
from tests.support.pictures import jpeg
from tests.support.qdrants import HttpFault, HttpQdrant, http_qdrant, says

Run = Callable[..., Result]


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a `catalog` command in the folder of the test, whose photos are 1.jpg to 4.jpg."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2, 3, 4):
        (tmp_path / f"{seed}.jpg").write_bytes(jpeg(seed))

    def run_it(*arguments: str, status: int = 0, **options: str) -> Result:
        result = CliRunner().invoke(main, arguments, env=env, **options)
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result

    return run_it


def one_line(result: Result) -> str:
    assert result.stdout == ""
    assert result.stderr.startswith("catalog: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_every_command_explains_itself(run: Run) -> None:
    def walk(command: click.Command, path: list[str]) -> None:
        assert command.help, path
        if path == ["serve"]:  # which becomes another program
            said = subprocess.run([sys.executable, "-m", "catalog", *path, "--help"], capture_output=True, text=True)
            assert said.stdout.startswith("usage: catalog serve")
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
        "id",
    ]
    # The vector alone was sure.
    assert (answer["mirrored"], answer["complete"], answer["looked_at"]) == (False, True, None)
    assert (answer["photo"], answer["decision"], answer["bundle"]) == ("2.jpg", "match", load_bundle(RELEASED).id)
    score = pytest.approx(1, abs=1e-3)
    assert answer["matches"][0] == {"sku": "tea", "name": "Green tea", "score": score, "evidence": None}
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


def test_import(run: Run, tmp_path: Path) -> None:
    for sku, seed in (("A", 1), ("A", 2), ("B", 3)):
        (tmp_path / "in" / sku).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / sku / f"{seed}.jpg").write_bytes(jpeg(seed))
    summary = "2 products and 3 photos added, 0 photos were there already, 0 pending, 0 left out\n"
    assert run("import", "in", "--quiet").stdout == summary
    again = "0 products and 0 photos added, 3 photos were there already, 0 pending, 0 left out\n"
    assert run("import", "in", "--quiet").stdout == again
    (tmp_path / "in" / "B" / "bad.jpg").write_text("no photo")
    broken = run("import", "in", "--quiet", status=1)
    assert broken.stdout == again.replace("0 left", "1 left")
    assert broken.stderr.startswith("left out: ")
    assert "bad.jpg" in broken.stderr
    (tmp_path / "list.csv").write_text("sku,photos,name\nC,4.jpg,Cheese\nD,absent.jpg,\n")
    error = "list.csv:3: absent.jpg: No such file or directory\n"
    told = "nothing was imported: 1 errors; --skip-errors imports the rest of it\n"
    result = run("import", "list.csv", "--quiet", status=1)
    assert (result.stdout, result.stderr) == ("", error + told)
    assert "bad.jpg" in run("import", "in", "--strict", "--quiet", status=1).stderr.splitlines()[0]
    result = run("import", "list.csv", "--quiet", "--skip-errors", status=1)
    assert result.stdout.startswith("1 products and 1 photos added")
    assert result.stderr == f"left out: {error}"
    assert "100%" in run("import", "in", status=1).stderr  # the progress bar


def test_export_and_foreign_headers(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("Artikel;Bild;Preis\nA;1.jpg|2.jpg;1,99\n")
    refused = one_line(run("import", "list.csv", "--quiet", status=1))
    assert "no header 'photos'" in refused and "Artikel, Bild, Preis" in refused
    result = run("import", "list.csv", "--map", "sku=Artikel,photos=Bild", "--quiet")
    assert result.stdout.startswith("1 products and 2 photos added")
    assert result.stderr == "columns that are not read: Preis\n"
    assert run("export", "out", "--quiet").stdout == "1 products and 2 photos in out\n"
    assert "there already" in one_line(run("export", "out", "--quiet", status=1))
    assert run("export", "out.zip", "--no-photos", "--quiet").stdout == "1 products and 0 photos in out.zip\n"
    for source in ("out", "out/catalog.csv"):
        assert "2 photos were there already" in run("import", source, "--quiet").stdout
    (tmp_path / "broken.zip").write_text("no zip")
    assert "broken.zip is no zip" in one_line(run("import", "broken.zip", "--quiet", status=1))


def write(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def zipped(root: Path) -> None:
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as out:
        for path in sorted(root.rglob("*")):
            out.write(path, path.relative_to(root.parent))


@pytest.mark.parametrize("source", ["in", "in.zip"])
def test_import_passes_over_what_systems_make(run: Run, tmp_path: Path, source: str) -> None:
    names = (
        "TEA-1/1.jpg",
        "TEA-1/@eaDir/1.jpg/M.jpg",
        "#recycle/OLD-1/1.jpg",
        "$RECYCLE.BIN/S-1/$R.jpg",
        "MILK-1/1.jpg",
    )
    write(tmp_path / "in", {name: jpeg(seed) for seed, name in enumerate(names)} | {"MILK-1/Thumbs.db": b"x"})
    zipped(tmp_path / "in")
    result = run("import", source, "--quiet", "--strict")
    assert result.stdout.startswith("2 products and 2 photos added")
    assert result.stderr.startswith("passed over: hidden files and folders, and those that systems make (4): ")
    assert "@eaDir" in result.stderr and "#recycle" in result.stderr
    assert [line.split("\t")[0] for line in run("list").stdout.splitlines()] == ["MILK-1", "TEA-1"]


@pytest.mark.parametrize("source", ["in", "in.zip"])
def test_import_names_all_that_it_leaves_out(run: Run, tmp_path: Path, source: str) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    files = {"A/1.jpg": jpeg(1), "B/1.HEIC": jpeg(2), "C/1.jfif": jpeg(3), "D/1.heic": heic, "A/1.MOV": b"film"}
    write(tmp_path / "in", files)
    (tmp_path / "in" / "E").mkdir()
    zipped(tmp_path / "in")
    strict = run("import", source, "--quiet", "--strict", status=1)
    assert (strict.stdout, run("list").stdout) == ("", "")
    result = run("import", source, "--quiet", status=1)
    assert result.stdout.startswith("3 products and 3 photos added") and "2 left out" in result.stdout
    for text, start in ((result.stderr, "left out: "), (strict.stderr, "")):
        assert re.search(rf"^{start}.*D/1\.heic: HEIC is a format of pictures that can't be read$", text, re.M)
        assert re.search(rf"^{start}.*/E: there is no photo in this folder$", text, re.M)
    assert re.search(r"^note: .*A/1\.MOV: it is no photo$", result.stderr, re.M)
    assert re.search(r"^.*A/1\.MOV: it is no photo$", strict.stderr, re.M)


def test_import_of_nothing_but_what_can_not_be_read_names_it(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "in", {"D/1.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"})
    result = run("import", "in", "--quiet", status=1)
    assert result.stdout.startswith("0 products") and "D/1.heic: HEIC" in result.stderr


def test_import_of_links(run: Run, tmp_path: Path) -> None:
    write(tmp_path, {"in/MILK-1/1.jpg": jpeg(1), "real/TEA-1/1.jpg": jpeg(2)})
    (tmp_path / "in" / "TEA-1").symlink_to("../real/TEA-1")
    (tmp_path / "in" / "MILK-2").symlink_to("MILK-1")
    result = run("import", "in", "--quiet", status=1)
    assert result.stdout.startswith("2 products and 2 photos added")
    assert "left out: in/TEA-1: it is a link that leads out of in" in result.stderr
    assert [line.split("\t")[0] for line in run("list").stdout.splitlines()] == ["MILK-1", "MILK-2"]


@pytest.mark.parametrize("source", ["in", "in.zip"])
def test_import_tells_of_folders_of_one_name(run: Run, tmp_path: Path, source: str) -> None:
    names = ("TEA-1/1.jpg", "TEA-1/back/1.jpg", "MILK-1/1.jpg", "MILK-1/back/1.jpg")
    write(tmp_path / "in", {name: jpeg(seed) for seed, name in enumerate(names, start=1)})
    zipped(tmp_path / "in")
    told = "the SKU 'back' comes from 2 folders, as one product: "
    strict = run("import", source, "--quiet", "--strict", status=1)
    assert strict.stderr.startswith(told) and run("list").stdout == ""
    result = run("import", source, "--quiet")
    assert result.stderr.startswith(f"note: {told}") and "MILK-1/back" in result.stderr
    assert result.stdout.startswith("3 products and 4 photos added")


def test_import_tells_of_photos_that_a_list_does_not_name(run: Run, tmp_path: Path) -> None:
    files = {"in/p/1.jpg": jpeg(1), "in/p/2.jpg": jpeg(2), "in/catalog.csv": b"sku,photos\nA,p/1.jpg\n"}
    write(tmp_path, files)
    told = "1 photos that no line of catalog.csv names: in/p/2.jpg"
    assert run("import", "in", "--strict", "--quiet", status=1).stderr.startswith(told)
    assert run("import", "in", "--quiet").stderr == f"note: {told}\n"


@pytest.mark.parametrize("listed", ["pics\\front.jpg", "Pics/FRONT.JPG", "pics/./front.jpg", "PICS\\Front.jpg"])
def test_a_list_with_paths_of_another_system(run: Run, tmp_path: Path, listed: str) -> None:
    write(tmp_path, {"pics/front.jpg": jpeg(1), "list.csv": f"sku,photos\nA,{listed}\n".encode()})
    assert run("import", "list.csv", "--quiet").stdout.startswith("1 products and 1 photos added")


@pytest.mark.parametrize(("written", "kept"), [("u\u0308.jpg", "\u00fc.jpg"), ("\u00fc.jpg", "u\u0308.jpg")])
def test_a_list_with_composed_and_decomposed_names(run: Run, tmp_path: Path, written: str, kept: str) -> None:
    write(tmp_path, {f"pics/{kept}": jpeg(1), "list.csv": f"sku,photos\nA,pics/{written}\n".encode()})
    assert run("import", "list.csv", "--quiet").stdout.startswith("1 products and 1 photos added")


def test_a_list_whose_photo_may_be_either_of_two(run: Run, tmp_path: Path) -> None:
    write(tmp_path, {"p/a.JPG": jpeg(1), "p/A.jpg": jpeg(2), "list.csv": b"sku,photos\nA,p/a.jpg\n"})
    said = run("import", "list.csv", "--quiet", status=1).stderr
    assert "several of similar names: " in said and "p/A.jpg" in said and "p/a.JPG" in said


@pytest.fixture
def latin(tmp_path: Path) -> str:
    """A photo whose name is Latin-1, as an old USB stick has it."""
    name = os.fsdecode(b"r\xfcckseite.jpg")
    try:
        (tmp_path / name).write_bytes(jpeg(1))
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    return name


def test_photos_whose_names_are_not_utf8(run: Run, tmp_path: Path, latin: str) -> None:
    shown = "r\\udcfcckseite.jpg"
    assert run("add", "TEA-1", latin).stdout.startswith(f"{shown}: searchable")
    assert run("recognize", latin).stdout.startswith(f"{shown}: match (TEA-1")
    answer = json.loads(run("recognize", "--json", latin).stdout)
    assert (answer["photo"], answer["matches"][0]["sku"]) == (latin, "TEA-1")
    (tmp_path / "list").write_bytes(b"r\xfcckseite.jpg\n")
    assert run("recognize", "--from", "list").stdout.startswith(f"{shown}: match (TEA-1")
    absent = os.fsdecode(b"\xfc.jpg")
    assert run("recognize", absent, status=1).stderr == "\\udcfc.jpg: No such file or directory\n"
    write(tmp_path, {f"in/MILK-1/{latin}": jpeg(2)})
    assert run("import", "in", "--quiet").stdout.startswith("1 products and 1 photos added")
    target = os.fsdecode(b"out\xfc")
    assert run("export", target, "--quiet").stdout == "2 products and 2 photos in out\\udcfc\n"
    assert run("import", target, "--quiet").stdout.startswith("0 products and 0 photos added, 2 photos were there")
    assert "0 findings" in run("doctor").stdout


def test_such_a_name_in_a_process_of_its_own(env: dict[str, str], tmp_path: Path, latin: str) -> None:
    """The lock of the gallery names the command that holds it, and standard output is as strict as a terminal's."""
    for command in (["add", "TEA-1", latin], ["recognize", "--json", latin], ["recognize", latin]):
        done = subprocess.run(
            [os.fsencode(text) for text in (sys.executable, "-m", "catalog", *command)],
            env={**os.environ, **env, "PYTHONUTF8": "1", "PYTHONPATH": str(Path(__file__).parents[3])},
            cwd=tmp_path,
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"TEA-1" in done.stdout and b"udcfc" in done.stdout


def test_a_setting_that_is_not_utf8_is_refused(run: Run, env: dict[str, str]) -> None:
    env["CATALOG_DATA"] += os.fsdecode(b"\xfc")
    assert "CATALOG_DATA" in (told := one_line(run("list", status=1))) and "can't be shown" in told


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf1.jpg\r\n2.jpg\r\n", "1.jpg\r\n2.jpg".encode("utf-16"), b"1.jpg\r2.jpg"])
def test_recognize_reads_paths_saved_by_any_editor(run: Run, tmp_path: Path, raw: bytes) -> None:
    run("add", "tea", "1.jpg")
    (tmp_path / "list").write_bytes(raw)
    answers = [json.loads(line) for line in run("recognize", "--json", "--from", "list").stdout.splitlines()]
    assert [answer["photo"] for answer in answers] == ["1.jpg", "2.jpg"]


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
    catalog = open_catalog()
    for command, knows in (("disable", False), ("disable", False), ("enable", True)):
        run("user", command, "anna")
        assert (accounts.check_password(catalog.database, "anna", "correct horse") is not None) == knows
    assert "no user 'ben'" in one_line(run("user", "disable", "ben", status=1))


def test_keys(run: Run, open_catalog: Callable[[], Catalog]) -> None:
    key = run("key", "create", "till 1").stdout.strip()
    assert run("key", "list").stdout == f"1\t{key[:9]}...\ttill 1\tactive\n"
    catalog = open_catalog()
    assert accounts.check_key(catalog.database, key) is not None
    run("key", "revoke", "1")
    assert accounts.check_key(catalog.database, key) is None
    assert "\trevoked 20" in run("key", "list").stdout
    assert "no key 7" in one_line(run("key", "revoke", "7", status=1))


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


class _AfterTheFirstWrite:
    """Faults of a server that fails for good from the first write on."""

    def __init__(self, server: HttpQdrant) -> None:
        self._server = server

    def __bool__(self) -> bool:
        return any(name.startswith("PUT ") and name.endswith("/points") for name, _ in self._server.calls)

    def pop(self, place: int) -> HttpFault:
        return says(503)


def test_an_import_whose_photos_stay_pending_fails(
    run: Run, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AGAIN", 0.1)
    folder = tmp_path / "in" / "A"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(jpeg(1))
    with http_qdrant() as server:
        env["CATALOG_GALLERY"] = server.url
        env["CATALOG_GALLERY_TRIES"] = "1"
        server.faults = _AfterTheFirstWrite(server)  # type: ignore[assignment]
        result = run("import", "in", "--quiet", status=1)
        assert "1 photos added" in result.stdout and "1 pending" in result.stdout
        assert "1 photos can't be found yet: The Qdrant server at" in result.stderr
        server.faults = []
        assert "0 pending" in run("import", "in", "--quiet").stdout

"""`catalog import` and `export`: what is taken, what is named as left out, and names of files in any encoding."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from catalog.transfer import importing
from tests.support.commands import Run, one_line
from tests.support.pictures import jpeg
from tests.support.qdrants import HttpFault, HttpQdrant, http_qdrant, says


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


def test_import_over_what_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("sku,photos,name\nA,1.jpg,Tea\nB,2.jpg,Milk\n")
    run("import", "list.csv", "--quiet")
    (tmp_path / "list.csv").write_text("sku,photos,name\nA,1.jpg,Green tea\nB,2.jpg,Milk\nC,3.jpg,Cheese\n")
    checked = run("import", "list.csv", "--check", "--quiet")
    assert (
        "list.csv:2: A: changed: name: Tea -> Green tea\nlist.csv:4: C: new: name: Cheese; +1 photos\n"
        in checked.stdout
    )
    assert "3 lines: 1 new, 1 changed, 1 unchanged, 0 wrong. Nothing was imported" in checked.stdout
    strict = run("import", "list.csv", "--strict", "--quiet", status=1)
    assert strict.stderr.startswith("list.csv:2: A: changed: name: Tea -> Green tea\nnothing was imported: 1 errors")
    left = run("import", "list.csv", "--quiet")
    assert left.stderr.startswith("as it was: list.csv:2: A: name: Tea -> Green tea\n1 lines differ")
    assert "A\tTea" in run("list").stdout
    (tmp_path / "list.csv").write_text("sku,name\nA,Green tea\nB,Milk\n")
    assert "1 products changed" in run("import", "list.csv", "--update", "--quiet").stdout
    assert "A\tGreen tea" in run("list").stdout
    (tmp_path / "list.csv").write_text("sku,name\nA,Black\nN,\n")
    assert "N has no photo" in run("import", "list.csv", "--update", "--check", "--quiet", status=1).stderr

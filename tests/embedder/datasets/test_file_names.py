from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedder.datasets import FileFinder, is_system_name, name_parts, read_lines, similar_names


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "@EADIR", "#recycle", "#Recycle", "$RECYCLE.BIN", "RECYCLER", "System Volume Information"),
        *(".thumbnails", ".Trash-1000", ".AppleDouble", ".@__thumb", ".snapshot", ".DS_Store", "._1.jpg"),
        *("#snapshot", "~snapshot", "@Recycle", "@Recently-Snapshot", "lost+found", "__MACOSX", "found.000"),
        *("Thumbs.db", "thumbs.db", "ehthumbs.db", "desktop.ini", "Network Trash Folder", "Temporary Items"),
        *("@GMT-2024.01.01-00.00.00", "SYNOPHOTO_THUMB_M.jpg", "Icon\r"),
    ],
)
def test_names_that_systems_make(name: str) -> None:
    assert is_system_name(name)


@pytest.mark.parametrize("name", ["TEA-1", "recycle", "#1 Tea", "@home", "$5", "thumbs", "snapshot", "found", "lost"])
def test_names_that_people_make(name: str) -> None:
    assert not is_system_name(name)


def test_parts_of_a_name() -> None:
    assert name_parts("TEA-1\\front.jpg") == ("TEA-1", "front.jpg")
    assert name_parts("Kra\u0308uter/1.jpg") == ("Kr\u00e4uter", "1.jpg")
    assert name_parts("\\") == ("\\",)
    half = b"TEA-1/\x83\x5c.jpg".decode("utf-8", "surrogateescape")  # Shift-JIS: its second byte is a backslash
    assert name_parts(half) == ("TEA-1", half[6:])


def test_similar_names_prefer_the_nearest() -> None:
    assert similar_names("Tü.jpg", ["tü.jpg", "Tu\u0308.jpg", "TÜ.JPG"]) == ["Tu\u0308.jpg"]
    assert similar_names("tÜ.JPG", ["tü.jpg", "T.jpg"]) == ["tü.jpg"]
    assert similar_names("t.jpg", ["T.jpg", "t.JPG", "u.jpg"]) == ["T.jpg", "t.JPG"]
    latin, dos = os.fsdecode(b"r\xfcck.jpg"), os.fsdecode(b"r\x81ck.jpg")
    assert similar_names("rück.jpg", ["front.jpg", latin]) == [latin]
    assert similar_names("rück.jpg", ["front.jpg", dos]) == [dos]
    assert similar_names("räck.jpg", [latin, dos]) == []


def test_files_by_the_names_of_other_systems(tmp_path: Path) -> None:
    (tmp_path / "pics" / "Über").mkdir(parents=True)
    for name in ("pics/front.jpg", "pics/Über/ru\u0308ckseite.jpg", "pics/a.JPG", "pics/A.jpg"):
        (tmp_path / name).touch()
    finder = FileFinder(tmp_path)
    front = [tmp_path / "pics/front.jpg"]
    assert finder.find("pics/front.jpg") == finder.find("pics\\front.jpg") == finder.find("Pics/FRONT.JPG") == front
    assert finder.find(".\\pics\\front.jpg") == front
    assert finder.find("PICS\\U\u0308BER/R\u00fcckseite.jpg") == [tmp_path / "pics/Über/ru\u0308ckseite.jpg"]
    assert finder.find("pics/A.jpg") == [tmp_path / "pics/A.jpg"]
    assert finder.find("pics/a.jpg") == [tmp_path / "pics/A.jpg", tmp_path / "pics/a.JPG"]
    for absent in ("pics/back.jpg", "C:\\pics\\front.jpg", "/nowhere/front.jpg", "a\0b", "x" * 300, "pics/front.jpg/x"):
        assert finder.find(absent) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"A/1.jpg\nB\xc3\xa4/2.jpg\n",
        b"\xef\xbb\xbfA/1.jpg\r\nB\xc3\xa4/2.jpg",
        b"A/1.jpg\rB\xc3\xa4/2.jpg\r",
        "A/1.jpg\r\nBä/2.jpg\r\n".encode("utf-16"),
        b"\xfe\xff" + "A/1.jpg\nBä/2.jpg".encode("utf-16-be"),
    ],
)
def test_lines_of_any_editor(raw: bytes) -> None:
    assert [line for line in read_lines(raw) if line] == ["A/1.jpg", "Bä/2.jpg"]


def test_a_line_that_is_not_utf8_names_its_file() -> None:
    assert [os.fsencode(line) for line in read_lines(b"r\xfcck.jpg\na\x85b")] == [b"r\xfcck.jpg", b"a\x85b"]

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from catalog import transfer
from catalog.errors import InvalidInputError
from catalog.transfer import zip_archive
from catalog.transfer.zip_archive import open_archive
from tests.support.pictures import jpeg


def made(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def test_folders_in_a_zip(tmp_path: Path) -> None:
    photo = jpeg(1)
    names = ["deep/Kr\u0061\u0308uter/1.jpg", "deep/A/2.JPG", "deep/A/notes.txt", "__MACOSX/A/1.jpg", "A/._1.jpg"]
    path = made(tmp_path / "in.zip", dict.fromkeys(names, photo))
    with transfer.open_source(path) as source:
        assert [(item.facts.sku, len(item.photos)) for item in source.items] == [("A", 1), ("Kr\u00e4uter", 1)]
        assert source.items[0].photos[0].name == "2.JPG"
        assert source.items[0].photos[0].read_bytes() == photo
        assert not source.listed


def test_a_list_in_a_zip_names_photos_of_the_zip_only(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(2))
    listed = f"sku,photos\nA,p/1.jpg|../secret.jpg|{tmp_path}/secret.jpg|absent.jpg\n"
    path = made(tmp_path / "in.zip", {"x/list.csv": listed.encode(), "x/p/1.jpg": jpeg(1)})
    with transfer.open_source(path) as source:
        assert source.listed
        first, *others = source.items[0].photos
        assert first.read_bytes() == jpeg(1)
        for other in others:
            with pytest.raises(FileNotFoundError, match="not in"):
                other.read_bytes()


@pytest.mark.parametrize("name", ["../A/1.jpg", "/A/1.jpg", "A/../../1.jpg", "C:/A/1.jpg", "..\\A\\1.jpg"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / "in.zip", {name: jpeg(1)})
    with pytest.raises(InvalidInputError, match="leads out of it"), open_archive(path):
        pass


def test_a_bomb_is_refused_by_what_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "BOMB_BYTES", 1_000_000)
    path = made(tmp_path / "in.zip", {f"A/{n}.jpg": bytes(1_000_000) for n in range(3)})
    with pytest.raises(InvalidInputError, match="no photos shrink like that"), open_archive(path):
        pass


def test_a_photo_that_is_too_large_is_not_unpacked(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"A/1.jpg": bytes(30 * 1024 * 1024)})
    with open_archive(path) as opened:
        file = opened.get("A/1.jpg")
        assert file is not None
        with pytest.raises(OSError, match="at most"):
            file.read_bytes()


def test_a_file_that_promises_less_than_it_holds(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"A/1.jpg": bytes(5_000_000)})
    raw = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # where the two headers tell the size
        struct.pack_into("<I", raw, raw.index(signature) + place, 1000)
    path.write_bytes(raw)
    with open_archive(path) as opened:
        file = opened.get("A/1.jpg")
        assert file is not None
        with pytest.raises(OSError, match="can't be read from the zip"):
            file.read_bytes()


def test_damaged_zips(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"A/1.jpg": jpeg(1), "A/2.jpg": jpeg(2)}, zipfile.ZIP_STORED)
    raw = path.read_bytes()
    for broken in (b"", b"no zip", raw[: len(raw) // 2]):
        (tmp_path / "broken.zip").write_bytes(broken)
        with pytest.raises(InvalidInputError, match=r"broken\.zip"), open_archive(tmp_path / "broken.zip"):
            pass
    bit = bytearray(raw)
    bit[200] ^= 1
    path.write_bytes(bit)
    with open_archive(path) as opened:
        first, second = opened.get("A/1.jpg"), opened.get("A/2.jpg")
        assert first is not None and second is not None
        with pytest.raises(OSError, match="CRC"):
            first.read_bytes()
        assert second.read_bytes() == jpeg(2)


def test_zips_without_anything_to_import(tmp_path: Path) -> None:
    two = {"a.csv": b"sku,photos\n", "b.csv": b"sku,photos\n"}
    for files, words in (({"notes.txt": b""}, "no photo"), (two, "several lists, and one is possible: a.csv, b.csv")):
        path = made(tmp_path / "in.zip", files)
        with pytest.raises(InvalidInputError, match=words), transfer.open_source(path):
            pass

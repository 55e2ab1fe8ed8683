from __future__ import annotations

import stat
import struct
import zipfile
import zlib
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
    path = made(tmp_path / "in.zip", {**dict.fromkeys(names, photo), "deep/A/notes.txt": b"no photo"})
    with transfer.open_source(path) as source:
        assert source.told == [f"{path}/deep/A/notes.txt: it is no photo"]
        assert source.system == [f"{path}/A/._1.jpg", f"{path}/__MACOSX"]
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
        [file] = opened.find("A/1.jpg")
        with pytest.raises(OSError, match="at most"):
            file.read_bytes()


def test_a_file_that_promises_less_than_it_holds(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"A/1.jpg": bytes(5_000_000)})
    raw = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # where the two headers tell the size
        struct.pack_into("<I", raw, raw.index(signature) + place, 1000)
    path.write_bytes(raw)
    with open_archive(path) as opened:
        [file] = opened.find("A/1.jpg")
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
        [first], [second] = opened.find("A/1.jpg"), opened.find("A/2.jpg")
        with pytest.raises(OSError, match="CRC"):
            first.read_bytes()
        assert second.read_bytes() == jpeg(2)


def test_zips_without_anything_to_import(tmp_path: Path) -> None:
    two = {"a.csv": b"sku,photos\n", "b.csv": b"sku,photos\n"}
    for files, words in (
        ({"notes.txt": b"", "@eaDir/1.jpg": jpeg(1)}, "no photo"),
        (two, "several lists, and one is possible: a.csv, b.csv"),
    ):
        path = made(tmp_path / "in.zip", files)
        with pytest.raises(InvalidInputError, match=words), transfer.open_source(path):
            pass


def with_names(path: Path, names: dict[bytes, bytes]) -> Path:
    """A zip whose names are these bytes, without the flag that they are UTF-8."""
    stands = {b"#" * (len(name) - 2) + b"%02d" % number: name for number, name in enumerate(names)}
    made(path, {stand.decode(): names[name] for stand, name in stands.items()}, zipfile.ZIP_STORED)
    raw = path.read_bytes()
    for stand, name in stands.items():
        raw = raw.replace(stand, name)
    path.write_bytes(raw)
    return path


def skus(path: Path) -> dict[str, list[str]]:
    with transfer.open_source(path) as source:
        for item in source.items:
            assert all(photo.read_bytes() for photo in item.photos)
        return {item.facts.sku: [photo.name for photo in item.photos] for item in source.items}


def test_names_in_utf8_that_do_not_say_so(tmp_path: Path) -> None:
    finder = "Kra\u0308uter/ru\u0308ckseite.jpg".encode()
    path = with_names(tmp_path / "in.zip", {finder: jpeg(1), "茶/1.jpg".encode(): jpeg(2)})
    assert skus(path) == {"Kr\u00e4uter": ["r\u00fcckseite.jpg"], "茶": ["1.jpg"]}


@pytest.mark.parametrize("page", ["cp850", "cp866", "cp1252", "cp932"])
def test_names_of_an_encoding_that_is_not_told(tmp_path: Path, page: str) -> None:
    word = {"cp866": "Чай", "cp932": "ソ茶表"}.get(page, "Kräuter")
    names = {f"{word}/1.jpg".encode(page): jpeg(1), f"TEA-1/{word}.jpg".encode(page): jpeg(2)}
    path = with_names(tmp_path / "in.zip", names)
    with transfer.open_source(path) as source:
        # The folder is known where only the photo's name is not; and no SKU is made up.
        assert [(item.facts.sku, len(item.photos)) for item in source.items] == [("TEA-1", 1)]
        assert source.items[0].photos[0].read_bytes() == jpeg(2)
        [left] = source.left_out
        assert "can't be told" in left and "1 photos" in left


@pytest.mark.parametrize("page", ["cp437", "cp850", "cp1252", "cp866"])
def test_a_list_tells_the_encoding_of_a_name(tmp_path: Path, page: str) -> None:
    word = "задняя" if page == "cp866" else "rückseite"
    listed = f"sku,photos\nTEA-1,{word}.jpg\n".encode()
    path = with_names(tmp_path / "in.zip", {f"{word}.jpg".encode(page): jpeg(1), b"list.csv": listed})
    with transfer.open_source(path) as source:
        assert source.items[0].photos[0].read_bytes() == jpeg(1)
        assert source.told == []
    other = "sku,photos\nTEA-1,茶.jpg\n".encode()
    path = with_names(tmp_path / "in.zip", {f"{word}.jpg".encode(page): jpeg(1), b"list.csv": other})
    with transfer.open_source(path) as source, pytest.raises(FileNotFoundError, match="does not tell"):
        source.items[0].photos[0].read_bytes()


def test_the_extra_field_with_a_name(tmp_path: Path) -> None:
    raw, name = b"Tee gr\x81n/1.jpg", "Tee grün/1.jpg"
    info = zipfile.ZipInfo("#" * len(raw))
    unicode_path = struct.pack("<BI", 1, zlib.crc32(raw)) + name.encode()
    info.extra = struct.pack("<HH", 0x7075, len(unicode_path)) + unicode_path
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as out:
        out.writestr(info, jpeg(1))
    whole = (tmp_path / "in.zip").read_bytes().replace(b"#" * len(raw), raw)
    (tmp_path / "in.zip").write_bytes(whole)
    assert skus(tmp_path / "in.zip") == {"Tee grün": ["1.jpg"]}


def test_a_zip_whose_names_are_not_the_utf8_that_they_claim(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"Kräuter/1.jpg": jpeg(1)})
    path.write_bytes(path.read_bytes().replace("ä".encode(), b"\xe4\xe4"))
    with pytest.raises(InvalidInputError, match=r"in\.zip is no zip that can be read"), open_archive(path):
        pass


def test_links_and_empty_folders_of_a_zip_are_told(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("photos/TEA-1")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as out:
        out.writestr(link, "../real/TEA-1")
        out.writestr("photos/MILK-1/1.jpg", jpeg(1))
        out.mkdir("photos/EMPTY-1")
        out.mkdir("photos/@eaDir")
    with transfer.open_source(tmp_path / "in.zip") as source:
        assert [item.facts.sku for item in source.items] == ["MILK-1"]
        first, second = sorted(source.left_out)
        assert "EMPTY-1: there is no photo in this folder" in first
        assert "TEA-1: it is a link" in second


def test_a_zip_may_hold_one_name_twice(tmp_path: Path) -> None:
    path = made(tmp_path / "in.zip", {"Tee gr\u00fcn/1.jpg": jpeg(1), "Tee gru\u0308n/1.jpg": jpeg(2)})
    with transfer.open_source(path) as source:
        [item] = source.items
        assert {photo.read_bytes() for photo in item.photos} == {jpeg(1), jpeg(2)}


def test_a_list_finds_a_photo_in_a_folder_that_an_import_of_folders_passes_over(tmp_path: Path) -> None:
    listed = b"sku,photos\nA,photos/__MACOSX/1.jpg|P/2.JPG\n"
    files = {"catalog.csv": listed, "photos/__MACOSX/1.jpg": jpeg(1), "p/2.jpg": jpeg(2), "q/3.jpg": jpeg(3)}
    path = made(tmp_path / "in.zip", files)
    with transfer.open_source(path) as source:
        assert [photo.read_bytes() for photo in source.items[0].photos] == [jpeg(1), jpeg(2)]
        assert source.told == [f"1 photos that no line of catalog.csv names: {path}/q/3.jpg"]

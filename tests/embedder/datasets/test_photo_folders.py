"""What a folder of photos gives, and what is told of the rest."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from embedder.datasets import Scan, find_photos, read_skus, scan_photos
from embedder.errors import DataError

Encode = Callable[..., bytes]
#: The first bytes of files as phones and cameras write them.
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
JPEG_XL = b"\xff\x0a\xfa\x7f"
MOVIE = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "


@pytest.fixture
def photo(encode: Encode) -> bytes:
    return encode(Image.new("RGB", (16, 16)), "JPEG")


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def skus(found: Scan[Path]) -> dict[str, list[str]]:
    return {sku: [path.name for path in paths] for sku, paths in found.photos.items()}


def test_what_systems_make_is_no_product(tmp_path: Path, photo: bytes) -> None:
    system = (
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", ".thumbnails", "lost+found"),
        *(".Trash-1000", ".AppleDouble", "__MACOSX", ".@__thumb", "#snapshot", ".snapshot", "Thumbs.db"),
    )
    files = {"TEA-1/1.jpg": photo, "MILK-1/1.jpg": photo, "MILK-1/desktop.ini": b"", "MILK-1/._1.jpg": photo}
    files |= {f"{name}/OLD-1/1.jpg": photo for name in system} | {f"TEA-1/{name}/1.jpg/M.jpg": photo for name in system}
    found = scan_photos(write(tmp_path / "in", files))
    assert skus(found) == {"MILK-1": ["1.jpg"], "TEA-1": ["1.jpg"]}
    assert len(found.system) == 2 * len(system) + 2
    assert (found.left_out, found.no_photos, found.joined) == ([], [], [])


def test_a_file_is_what_its_bytes_are(tmp_path: Path, photo: bytes, encode: Encode) -> None:
    picture = Image.new("RGB", (16, 16))
    files = {
        **{f"A/{name}": photo for name in ("1.jfif", "2.jpe", "3.HEIC", "4", "5.dat", "6.JPG")},
        **{f"B/{form}.file": encode(picture, form) for form in ("PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")},
        "C/1.mov": MOVIE,
        "C/2.txt": b"BM, or what is a text",
        "C/3": b"",
        "C/4.jpg": photo,
        "D/1.heic": HEIC,
        "E/web.jxl": JPEG_XL,
        "F/1.dng": encode(picture, "TIFF"),  # a TIFF in its first bytes, with a picture that is a thumbnail
        "G/1.bin": HEIC,
    }
    found = scan_photos(write(tmp_path / "in", files))
    assert {sku: len(paths) for sku, paths in found.photos.items()} == {"A": 6, "B": 6, "C": 1}
    said = [str(left).removeprefix(f"{tmp_path}/in/") for left in found.left_out]
    form = "is a format of pictures that can't be read"
    assert said == [
        f"D/1.heic: HEIC {form}",
        f"E/web.jxl: JPEG XL {form}",
        f"F/1.dng: .dng {form}",
        f"G/1.bin: HEIC {form}",
    ]
    assert [Path(left.place).name for left in found.no_photos] == ["1.mov", "2.txt", "3"]


def test_no_folder_disappears(tmp_path: Path, photo: bytes) -> None:
    root = write(
        tmp_path / "in", {"A/1.jpg": photo, "B/clip.mov": MOVIE, "docs/a/b.txt": b"x", "C/@eaDir/1.jpg": photo}
    )
    (root / "empty").mkdir()
    (root / "A" / "hollow").mkdir()
    found = scan_photos(root)
    assert list(found.photos) == ["A"]
    told = [f"{root}/{name}: there is no photo in this folder" for name in ("A/hollow", "B", "C", "docs", "empty")]
    assert sorted(map(str, found.left_out)) == told


def test_links_are_followed_as_long_as_they_stay(tmp_path: Path, photo: bytes) -> None:
    root = write(tmp_path / "in", {"A/1.jpg": photo, "deep/er/1.jpg": photo})
    out = write(tmp_path / "out", {"OUT/1.jpg": photo, "2.jpg": photo})
    (root / "B").symlink_to("A")
    (root / "A" / "2.jpg").symlink_to("1.jpg")
    (root / "A" / "3.jpg").symlink_to(out / "2.jpg")
    (root / "OUT").symlink_to("../out/OUT")
    (root / "gone").symlink_to("nowhere")
    (root / "self").symlink_to("self")
    (root / "deep" / "loop").symlink_to("..")
    (root / "deep" / "A").symlink_to("../A")
    found = scan_photos(root)
    # One file of two names is one photo of a SKU; a linked folder is a SKU of its own by its name.
    assert skus(found) == {"A": ["1.jpg"], "B": ["1.jpg"], "er": ["1.jpg"]}
    said = {Path(left.place).relative_to(root).as_posix(): left.why for left in found.left_out}
    assert sorted(said) == ["A/3.jpg", "B/3.jpg", "OUT", "deep/loop", "gone", "self"]
    assert "leads out" in said["OUT"] and "leads out" in said["A/3.jpg"]
    assert "leads nowhere" in said["gone"] and "leads nowhere" in said["self"]
    assert "leads back" in said["deep/loop"]
    assert found.joined == []


def test_links_that_multiply_end(tmp_path: Path, photo: bytes) -> None:
    """Two links a folder to the next one are a billion paths."""
    root = write(tmp_path / "in", {f"d{depth}/1.jpg": photo for depth in range(31)})
    for depth in range(30):
        for name in ("x", "y"):
            (root / f"d{depth}" / name).symlink_to(f"../d{depth + 1}")
    assert {f"d{depth}" for depth in range(31)} < set(scan_photos(root).photos)


@pytest.mark.parametrize(
    "data", [b"../real/TEA-1", b"/mnt/x\n", b"XSym\n0012\n", b"L\0\0\0\x01\x14\x02\0\0", b"book\0\0\0\0mark\0"]
)
def test_links_of_other_systems_are_told(tmp_path: Path, photo: bytes, data: bytes) -> None:
    found = scan_photos(write(tmp_path / "in", {"A/1.jpg": photo, "TEA-1": data}))
    assert [str(left) for left in found.left_out] == [
        f"{tmp_path}/in/TEA-1: it is a link of another system, which can't be followed"
    ]


def test_folders_of_one_name_are_told(tmp_path: Path, photo: bytes) -> None:
    names = (
        "TEA-1/1.jpg",
        "TEA-1/back/1.jpg",
        "MILK-1/1.jpg",
        "MILK-1/back/1.jpg",
        "Gru\u0308n/1.jpg",
        "x/Gr\u00fcn/1.jpg",
    )
    root = write(tmp_path / "in", dict.fromkeys(names, photo))
    found = scan_photos(root)
    assert {sku: len(paths) for sku, paths in found.photos.items()} == {"Grün": 2, "MILK-1": 1, "TEA-1": 1, "back": 2}
    start = "comes from 2 folders, as one product"
    assert found.joined == [
        f"the SKU 'Grün' {start}: {root}/Grün, {root}/x/Grün",
        f"the SKU 'back' {start}: {root}/MILK-1/back, {root}/TEA-1/back",
    ]


def test_names_of_other_systems(tmp_path: Path, photo: bytes) -> None:
    root = tmp_path / "in"
    write(root, {"TEA-1\\front.jpg": photo, "Tee\\GREEN-1/1.jpg": photo, "@eaDir\\1.jpg": photo, "A/1.jpg": photo})
    latin = os.fsencode(root) + b"/Kr\xe4uter"
    os.mkdir(latin)
    for name in (latin + b"/1.jpg", os.fsencode(root) + b"/A/r\xfcck.jpg"):
        with open(name, "wb") as file:
            file.write(photo)
    found = scan_photos(root)
    assert {sku: len(paths) for sku, paths in found.photos.items()} == {"A": 2, "GREEN-1": 1, "TEA-1": 1}
    [left] = found.left_out
    assert "not in UTF-8, so the SKU of its 1 photos can't be told" in left.why
    assert found.system == [f"{root}/@eaDir/1.jpg"]


def test_what_is_no_file_is_not_opened(tmp_path: Path, photo: bytes) -> None:
    root = write(tmp_path / "in", {"A/1.jpg": photo})
    os.mkfifo(root / "A" / "2.jpg")
    [left] = scan_photos(root).left_out
    assert str(left) == f"{root}/A/2.jpg: it is neither a file nor a folder"


def test_the_name_of_a_folder_above(tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "mugs", {"1.jpg": photo, "below/2.jpg": photo})
    monkeypatch.chdir(tmp_path / "mugs" / "below")
    assert find_photos(Path("..")) == {"below": [Path("../below/2.jpg")], "mugs": [Path("../1.jpg")]}


@pytest.mark.parametrize(
    "lines",
    [
        "\ufeffpics/TEA-1/front.jpg, 4\r\npics/Grün/1.jpg\r\n".encode(),
        "pics\\TEA-1\\front.jpg\r\npics\\Grün\\1.jpg\r\n".encode("utf-16"),
        "Pics/tea-1/FRONT.JPG\npics/Gru\u0308n/1.jpg".encode(),
        "pics/TEA-1/front.jpg\rpics/Gr\u00fcn/1.jpg".encode(),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_split_files_of_other_systems(tmp_path: Path, photo: bytes, lines: bytes, form: str) -> None:
    name = unicodedata.normalize(form, "pics/Grün/1.jpg")
    write(tmp_path, {"pics/TEA-1/front.jpg": photo, name: photo, "part.txt": lines})
    assert skus(scan_photos(tmp_path / "part.txt")) == {"Grün": ["1.jpg"], "TEA-1": ["front.jpg"]}


def test_a_line_of_a_split_file_that_fits_two_files(tmp_path: Path, photo: bytes) -> None:
    write(tmp_path, {"A/a.JPG": photo, "A/A.jpg": photo, "part.txt": b"A/a.jpg\n"})
    with pytest.raises(DataError, match="several files"):
        scan_photos(tmp_path / "part.txt")


@pytest.mark.parametrize("text", ["\ufeffTEA-1\r\nGru\u0308n\r\n".encode(), "TEA-1\r\n\r\nGrün".encode("utf-16")])
def test_skus_of_a_file_from_any_editor(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "skus").write_bytes(text)
    assert read_skus(tmp_path / "skus") == {"TEA-1", "Grün"}

"""What an import reads of a disk: an upload nothing but its own files, and nobody what has no end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from catalog.errors import InvalidInputError
from catalog.transfer import local_files, open_source, uploads
from catalog.transfer.sources import Source
from embedder import images
from tests.support.pictures import jpeg


def error_of(source: Source) -> str:
    """Why the only photo of a source is not read."""
    [photo] = source.items[0].photos
    with pytest.raises(OSError) as raised:
        photo.read_bytes()
    return str(raised.value.strerror)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A folder of uploaded files, beside which lies what is nobody's business."""
    (tmp_path / "secret.jpg").write_bytes(jpeg(1))
    (tmp_path / "Twice.jpg").write_bytes(jpeg(1))
    (tmp_path / "tWice.jpg").write_bytes(jpeg(1))
    root = tmp_path / "files"
    (root / "shop").mkdir(parents=True)
    (root / "photos").mkdir()
    (root / "photos" / "1.jpg").write_bytes(jpeg(2))
    (root / "shop" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "shop" / "out").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    "name",
    [
        *("{0}/secret.jpg", "{0}/absent.jpg", "../../secret.jpg", "../../absent.jpg", "../../twice.jpg"),
        *("..\\..\\secret.jpg", "nowhere/../../../secret.jpg", "link.jpg", "LINK.jpg", "out/secret.jpg"),
        *("out/absent.jpg", "/dev/zero", "/dev/nothing"),
    ],
)
def test_an_uploaded_list_reads_nothing_but_the_upload_and_does_not_tell_what_is_there(upload: Path, name: str) -> None:
    (upload / "shop" / "list.csv").write_text(f"sku,photos\nA,{name.format(upload.parent)}\n")
    with uploads.open_upload(upload, {}) as source:
        assert error_of(source) == "it leads out of the upload"


def test_an_uploaded_list_names_photos_of_the_whole_upload(upload: Path) -> None:
    (upload / "shop" / "list.csv").write_text("sku,photos\nA,../photos/1.jpg|..\\PHOTOS\\1.JPG|absent.jpg|a\0b\n")
    with uploads.open_upload(upload, {}) as source:
        first, second, absent, _ = source.items[0].photos
        assert first.read_bytes() == second.read_bytes() == jpeg(2)
        with pytest.raises(FileNotFoundError, match="No such file"):
            absent.read_bytes()


def test_a_list_of_the_command_line_names_photos_anywhere(upload: Path) -> None:
    (upload / "list.csv").write_text(f"sku,photos\nA,{upload.parent / 'secret.jpg'}\nB,../secret.jpg\n")
    with open_source(upload / "list.csv") as source:
        assert [photo.read_bytes() for item in source.items for photo in item.photos] == [jpeg(1)] * 2


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("make", [fifo, lambda path: Path("/dev/zero")])
def test_no_photo_is_a_device_or_a_fifo(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    (tmp_path / "list.csv").write_text(f"sku,photos\nA,{make(tmp_path / '1.jpg')}\n")
    with open_source(tmp_path / "list.csv") as source:
        assert error_of(source) == "it is no regular file"


@pytest.mark.parametrize("name", ["list.csv", "all.zip", "list"])
def test_no_source_is_a_fifo(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="no regular file"), open_source(fifo(tmp_path / name)):
        pass


def sparse(path: Path, size: int) -> Path:
    """A file of zeros that takes no room."""
    path.touch()
    os.truncate(path, size)
    return path


def test_a_list_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "list.csv", local_files.MAX_LIST + 1)
    with pytest.raises(InvalidInputError, match=r"it has 104,857,601 bytes; at most 104,857,600"), open_source(path):
        pass


@pytest.mark.parametrize("name", ["list.csv", "film.mov"])
def test_headers_of_an_upload_that_is_too_large_are_not_read(tmp_path: Path, name: str) -> None:
    sparse(tmp_path / name, 1 << 40)
    with pytest.raises(InvalidInputError, match="at most 104,857,600"):
        uploads.list_headers(tmp_path)


def test_a_photo_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    sparse(tmp_path / "A.jpg", images.MAX_BYTES + 1)
    (tmp_path / "list.csv").write_text("sku,photos\nA,A.jpg\n")
    for path in (tmp_path, tmp_path / "list.csv"):
        with open_source(path) as source:
            assert "it has 26,214,401 bytes" in error_of(source)

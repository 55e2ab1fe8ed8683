"""A zip of photos and CSVs, read in place: nothing is extracted to disk, so no name can lead outside (zip slip)."""

from __future__ import annotations

import posixpath
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.errors import InvalidInputError
from catalog.transfer.local_files import MAX_LIST, check_regular, too_large
from embedder import datasets, images

#: Files in one zip, at most. Its list of names is kept in memory.
MAX_FILES = 500_000
#: A zip that declares this many bytes and this many times its own size is a zip bomb: photos hardly compress.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 100
#: What reading a damaged, encrypted or unusual file in a zip raises; ValueError: a name that is not in its encoding.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
#: Flag of a file whose name is UTF-8.
_UTF8_FLAG = 0x800
#: Extra field with the name in UTF-8, for programs that write the name itself in a code page (Info-ZIP, 7-Zip).
_UNICODE_PATH = 0x7075


class ZippedFile:
    """A file in a zip, with the methods of a Path that an import needs."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> None:
        self._archive, self._info, self.path = archive, info, path
        self.name = posixpath.basename(path)
        self._limit = MAX_LIST if path.lower().endswith(".csv") else images.MAX_BYTES

    def __str__(self) -> str:
        return f"{self._archive.filename}/{self.path}"

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link; its bytes are then where it leads."""
        return stat.S_ISLNK(self._info.external_attr >> 16)

    def read_bytes(self) -> bytes:
        """The bytes, verified by their CRC. Raises OSError; also for another size than declared, or over the limit."""
        if self._info.file_size > self._limit:
            raise self._error(too_large(self._info.file_size, self._limit))
        data = self._read(self._limit + 1)
        if len(data) != self._info.file_size:
            raise self._error("it is not of the size that the zip says")
        return data

    def read_head(self) -> bytes:
        """The first bytes, which tell its format. Raises OSError."""
        return self._read(images.HEAD)

    def _read(self, size: int) -> bytes:
        try:
            with self._archive.open(self._info) as file:
                return file.read(size)
        except _UNREADABLE as error:
            raise self._error(f"it can't be read from the zip: {error}") from error

    def _error(self, message: str) -> OSError:
        return OSError(0, message, str(self))


class Archive:
    """The files and folders of an open zip. Names are NFC, with slashes.

    Names without the UTF-8 flag are UTF-8 nonetheless (macOS), or of a code page that a zip does not tell: the bytes of
    such a name stand as lone surrogates in it.
    """

    def __init__(self, archive: zipfile.ZipFile, bytes_on_disk: int) -> None:
        self.name = str(archive.filename)
        infos = archive.infolist()
        promised = sum(info.file_size for info in infos)
        if len(infos) > MAX_FILES:
            raise InvalidInputError(
                "zip", f"{self.name} holds {len(infos):,} files; at most {MAX_FILES:,} are possible."
            )
        if promised > BOMB_BYTES and promised > BOMB_RATIO * bytes_on_disk:
            raise InvalidInputError(
                "zip", f"{self.name} has {bytes_on_disk:,} bytes and promises {promised:,}: no photos shrink like that."
            )
        self.files: list[ZippedFile] = []
        self.folders: list[str] = []
        self._by_path: dict[str, ZippedFile] = {}
        for info in infos:
            name = _name(info)
            path = _checked(name, self.name)
            if name.endswith(("/", "\\")):
                self.folders.append(path)
                continue
            file = ZippedFile(archive, info, path)
            self.files.append(file)
            self._by_path[path] = file
        self._folded: dict[str, list[str]] = {}
        for path in self._by_path:
            self._folded.setdefault(path.casefold(), []).append(path)

    def find(self, name: str) -> list[ZippedFile]:
        """The file of this name; else those of a similar one (code page, capitals), so more than one is none that can
        be told. None for a name that leads out of the zip.
        """
        path = posixpath.normpath(datasets.plain_path(name))
        if path in self._by_path:
            return [self._by_path[path]]
        coded = {_as_text(raw) for raw in datasets.in_code_pages(path)}
        found = [same for same in coded if same in self._by_path] or self._folded.get(path.casefold(), [])
        return [self._by_path[same] for same in sorted(found)]


def _name(info: zipfile.ZipInfo) -> str:
    """The name as its bytes tell it, see Archive."""
    if info.flag_bits & _UTF8_FLAG:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")  # as which zipfile decodes it, byte by byte
    return _unicode_path(info.extra, raw) or _as_text(raw)


def _as_text(raw: bytes) -> str:
    return unicodedata.normalize("NFC", raw.decode("utf-8", "surrogateescape"))


def _unicode_path(extra: bytes, raw: bytes) -> str:
    """The name in the extra field for it; "" without one, or when it belongs to another name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and body[:5] == struct.pack("<BI", 1, zlib.crc32(raw)):
            return body[5:].decode("utf-8", "replace")
    return ""


def _checked(name: str, archive: str) -> str:
    name = datasets.plain_path(name)
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        raise InvalidInputError("zip", f"{archive} holds a file of the name {name[:200]!r}, which leads out of it.")
    return posixpath.normpath(name)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A zip, open until the block ends; its files can be read by many threads at once. Raises InvalidInputError."""
    try:
        check_regular(path)
        opened = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise InvalidInputError("zip", f"{path} is no zip that can be read: {error}") from error
    with opened as archive:
        yield Archive(archive, path.stat().st_size)

"""A zip of photos and CSVs, read in place: nothing is extracted to disk, so no name can lead outside (zip slip)."""

from __future__ import annotations

import posixpath
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.errors import InvalidInputError
from embedder import images

#: Files in one zip, at most. Its list of names is kept in memory.
MAX_FILES = 500_000
#: A zip that declares this many bytes and this many times its own size is a zip bomb: photos hardly compress.
BOMB_BYTES, BOMB_RATIO = 1 << 30, 100
#: Bytes of a CSV, at most.
MAX_LIST = 100 * 1024 * 1024
#: What reading a damaged, encrypted or unusual file in a zip raises.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


class ZippedFile:
    """A file in a zip, with the methods of a Path that an import needs."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> None:
        self._archive, self._info, self._limit = archive, info, limit
        self.name = posixpath.basename(info.filename)

    def __str__(self) -> str:
        return f"{self._archive.filename}/{self._info.filename}"

    def read_bytes(self) -> bytes:
        """The bytes, verified by their CRC. Raises OSError; also for another size than declared, or over the limit."""
        if self._info.file_size > self._limit:
            raise self._error(f"it has {self._info.file_size:,} bytes; at most {self._limit:,} are possible")
        try:
            with self._archive.open(self._info) as file:
                data = file.read(self._limit + 1)
        except _UNREADABLE as error:
            raise self._error(f"it can't be read from the zip: {error}") from error
        if len(data) != self._info.file_size:
            raise self._error("it is not of the size that the zip says")
        return data

    def _error(self, message: str) -> OSError:
        return OSError(0, message, str(self))


class Archive:
    """The files of an open zip by name (NFC); folders and hidden files are left out."""

    def __init__(self, archive: zipfile.ZipFile, bytes_on_disk: int) -> None:
        self.name = str(archive.filename)
        infos = [info for info in archive.infolist() if not info.is_dir()]
        promised = sum(info.file_size for info in infos)
        if len(infos) > MAX_FILES:
            raise InvalidInputError(
                "zip", f"{self.name} holds {len(infos):,} files; at most {MAX_FILES:,} are possible."
            )
        if promised > BOMB_BYTES and promised > BOMB_RATIO * bytes_on_disk:
            raise InvalidInputError(
                "zip", f"{self.name} has {bytes_on_disk:,} bytes and promises {promised:,}: no photos shrink like that."
            )
        self._files: dict[str, ZippedFile] = {}
        for info in infos:
            name = _checked(info.filename, self.name)
            if any(part.startswith(".") or part == "__MACOSX" for part in name.split("/")):
                continue
            self._files[name] = ZippedFile(
                archive, info, MAX_LIST if name.lower().endswith(".csv") else images.MAX_BYTES
            )

    def names(self, *suffixes: str) -> list[str]:
        """Names with one of these suffixes, case-insensitively, sorted."""
        return sorted(name for name in self._files if posixpath.splitext(name)[1].lower() in suffixes)

    def get(self, name: str) -> ZippedFile | None:
        """The file of this name; None if there is none, and for a name that leads out of the zip."""
        return self._files.get(posixpath.normpath(unicodedata.normalize("NFC", name.replace("\\", "/"))))


def _checked(name: str, archive: str) -> str:
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        raise InvalidInputError("zip", f"{archive} holds a file of the name {name[:200]!r}, which leads out of it.")
    return posixpath.normpath(name)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A zip, open until the block ends; its files can be read by many threads at once. Raises InvalidInputError."""
    try:
        opened = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise InvalidInputError("zip", f"{path} is no zip that can be read: {error}") from error
    with opened as archive:
        yield Archive(archive, path.stat().st_size)

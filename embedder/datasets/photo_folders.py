"""Photo folders and split files -> photos by SKU."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embedder import images
from embedder.datasets.file_names import FileFinder, is_system_name, name_parts, read_lines
from embedder.datasets.photo_sorting import Scan, Sorter
from embedder.errors import DataError


def find_photos(*roots: Path) -> dict[str, list[Path]]:
    """Photo folders or split files -> {SKU: photos}, sorted; a photo's SKU is its parent folder's name, at any depth.

    Folders of one name in several roots are one SKU. Raises like `scan_photos`, which also tells what is left out.
    """
    found: dict[str, list[Path]] = {}
    for root in roots:
        for sku, paths in scan_photos(root).photos.items():
            found.setdefault(sku, []).extend(paths)
    return dict(sorted(found.items()))


def scan_photos(root: Path) -> Scan[Path]:
    """A photo folder or a split file -> its photos by SKU (NFC), and what is left out.

    In a folder, hidden files and those that systems make are passed over, a file is a photo by its bytes or its suffix,
    and links are followed as long as they stay below the folder. A split file (.txt) has a path a line, relative to its
    own folder; anything after a comma is ignored. Raises FileNotFoundError for a root that is neither, and for a
    missing photo of a split file; DataError for a split file whose line fits several files.
    """
    if root.suffix.lower() == ".txt" and root.is_file():
        return _scan_split(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder")
    return _FolderScan(root).run()


@dataclass(frozen=True)
class _Folder:
    """A folder to read: its path as shown, its real one, its place, and the real paths of the folders above it."""

    path: Path
    real: str
    parts: tuple[str, ...]
    above: frozenset[str]


class _FolderScan:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = os.path.realpath(root)
        # The name of `.`, `..` or `x/..` is that of the folder which it stands for.
        self._sorter: Sorter[Path] = Sorter(str(root), "".join(name_parts(os.path.abspath(root))[-1:]))
        self._seen: set[tuple[str, str]] = set()

    def run(self) -> Scan[Path]:
        waiting = [_Folder(self._root, self._real, (), frozenset())]
        while waiting:
            folder = waiting.pop()
            # Under another name a linked folder's own photos are another SKU's; what lies below it is told already.
            if (key := (folder.real, folder.path.name)) in self._seen:
                self._sorter.note(folder.parts)
                continue
            self._seen.add(key)
            waiting += reversed(list(self._read(folder)))
        found = self._sorter.result()
        for paths in found.photos.values():
            paths.sort()
        return found

    def _read(self, folder: _Folder) -> Iterator[_Folder]:
        """Sort the files of a folder; yields those folders in it that are to be read."""
        self._sorter.add_folder(folder.parts)
        try:
            with os.scandir(folder.path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._sorter.leave_out(folder.parts, error.strerror or str(error))
            return
        for entry in found:
            name, linked, own = entry.name, entry.is_symlink(), name_parts(entry.name)
            path, parts = folder.path / name, folder.parts + own
            if any(map(is_system_name, own)):
                self._sorter.pass_over(parts)
                continue
            real = os.path.realpath(path) if linked else os.path.join(folder.real, name)
            if linked and (why := self._why_not_followed(path, real, folder)):
                self._sorter.leave_out(parts, why)
            elif entry.is_dir():
                yield _Folder(path, real, parts, folder.above | {folder.real})
            elif entry.is_file():
                self._sorter.add_file(parts, path, lambda path=path: _head(path), real)  # type: ignore[misc]
            else:
                self._sorter.leave_out(parts, "it is neither a file nor a folder")

    def _why_not_followed(self, path: Path, real: str, folder: _Folder) -> str | None:
        if not os.path.exists(path):
            return "it is a link that leads nowhere"
        if real != self._real and not real.startswith(self._real.rstrip(os.sep) + os.sep):
            return f"it is a link that leads out of {self._root}, to {real}"
        if real in folder.above | {folder.real}:
            return f"it is a link that leads back to a folder above it, {real}"
        return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(images.HEAD)


def _scan_split(file: Path) -> Scan[Path]:
    found: Scan[Path] = Scan()
    for path in sorted(set(_listed(file))):
        # The parent of a photo in the folder `.` has no name until it is absolute.
        sku = "".join(name_parts(os.path.abspath(path.parent))[-1:]).strip()
        found.photos.setdefault(sku, []).append(path)
    return found


def _listed(file: Path) -> Iterator[Path]:
    finder = FileFinder(file.parent)
    for name in _names(read_lines(file.read_bytes())):
        paths = [path for path in finder.find(name) if path.is_file()]
        if not paths:
            raise FileNotFoundError(f"{file} names {file.parent / name}, which is not there")
        if len(paths) > 1:
            raise DataError(f"{file} names {name}, and several files are called so: {', '.join(map(str, paths))}.")
        yield paths[0]


def _names(lines: Iterable[str]) -> Iterator[str]:
    return filter(None, (line.partition(",")[0].strip() for line in lines))

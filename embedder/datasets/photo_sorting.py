"""The one rule by which files become photos of SKUs, for folders and zips: nothing is left out without a word."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from embedder import images
from embedder.datasets.file_names import is_told

#: Suffixes that mark a photo. A file of another name is one if its bytes say so.
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".png", ".webp", ".avif"),
        *(".gif", ".bmp", ".dib", ".tif", ".tiff"),
    }
)
#: Suffixes of pictures that are not decoded. Most raw formats of cameras begin like a TIFF.
OTHER_PICTURES = frozenset(
    {
        *(".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k", ".psd", ".svg"),
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
    }
)
#: How links begin that a disk, zip or repository without links holds as files: Windows, macOS, Samba, Cygwin.
_LINK_STARTS = (b"L\0\0\0\x01\x14\x02\0", b"book\0\0\0\0mark", b"XSym\n", b"!<symlink>")
#: A link that was copied as a text: a path and nothing else.
_LINK_TEXT = re.compile(rb"\.{0,2}/[^\0-\x1f]{1,400}\s*")
FileT = TypeVar("FileT")


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that gives no photo, and why."""

    place: str
    why: str

    def __str__(self) -> str:
        return f"{self.place}: {self.why}"


@dataclass
class Scan(Generic[FileT]):
    """Photos by SKU, and all else that a source holds.

    `left_out`: what should have given photos: pictures and folders that can't be read, folders without a photo, links
    that are not followed. `no_photos`: other files. `joined`: a sentence for each SKU that comes from several folders.
    `system`: what is hidden or made by a system, with its place.
    """

    photos: dict[str, list[FileT]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    no_photos: list[LeftOut] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)


class Sorter(Generic[FileT]):
    """Collects the files of a source named `root`; photos that lie in no folder are of the SKU `sku`.

    Places are parts of a path below the root, see file_names.name_parts.
    """

    def __init__(self, root: str, sku: str) -> None:
        self._root, self._sku = root, sku
        self._scan: Scan[FileT] = Scan()
        self._system: dict[str, None] = {}
        self._folders: set[tuple[str, ...]] = set()
        self._told: set[tuple[str, ...]] = set()  # folders that hold a photo, or something that is told
        self._places: dict[str, dict[tuple[str, ...], None]] = {}
        self._files: set[tuple[str, Hashable]] = set()
        self._nameless: dict[tuple[str, ...], int] = {}

    def add_folder(self, parts: tuple[str, ...]) -> None:
        """A folder."""
        if parts not in self._folders:
            self._folders.update(parts[:depth] for depth in range(1, len(parts) + 1))

    def pass_over(self, parts: tuple[str, ...]) -> None:
        """A file or folder that is hidden or made by a system; the same one may be named again."""
        self._system[self.place(parts)] = None

    def leave_out(self, parts: tuple[str, ...], why: str) -> None:
        """A file or folder that should give photos, and can't."""
        self._scan.left_out.append(LeftOut(self.place(parts), why))
        self.note(parts)

    def add_file(
        self, parts: tuple[str, ...], file: FileT, head: Callable[[], bytes], identity: Hashable = None
    ) -> None:
        """A file. `head` reads its first bytes and may raise OSError; a photo of one identity counts once a SKU."""
        self.add_folder(parts[:-1])
        suffix = os.path.splitext(parts[-1])[1].lower()
        if suffix not in SUFFIXES and not self._is_picture(parts, suffix, head):
            return
        self.note(parts)
        sku = (parts[-2] if len(parts) > 1 else self._sku).strip()
        if not is_told(sku):
            self._nameless[parts[:-1]] = self._nameless.get(parts[:-1], 0) + 1
            return
        if identity is not None:
            if (sku, identity) in self._files:
                return
            self._files.add((sku, identity))
        self._places.setdefault(sku, {})[parts[:-1]] = None
        self._scan.photos.setdefault(sku, []).append(file)

    def result(self) -> Scan[FileT]:
        """What was found, when all was added; SKUs sorted."""
        for parts, count in self._nameless.items():
            why = f"the folder's name is not in UTF-8, so the SKU of its {count} photos can't be told"
            self._scan.left_out.append(LeftOut(self.place(parts), why))
        for parts in sorted(self._folders - self._told):
            if len(parts) == 1 or parts[:-1] in self._told:  # the folders below it go without saying
                self._scan.left_out.append(LeftOut(self.place(parts), "there is no photo in this folder"))
        for sku, places in sorted(self._places.items()):
            if len(places) > 1:
                folders = ", ".join(self.place(parts) for parts in places)
                self._scan.joined.append(f"the SKU {sku!r} comes from {len(places)} folders, as one product: {folders}")
        self._scan.system = sorted(self._system)
        self._scan.photos = dict(sorted(self._scan.photos.items()))
        return self._scan

    def place(self, parts: tuple[str, ...]) -> str:
        """For messages."""
        return "/".join((self._root.rstrip("/"), *parts))

    def _is_picture(self, parts: tuple[str, ...], suffix: str, head: Callable[[], bytes]) -> bool:
        """Whether a file without a photo's suffix is one by its bytes; if not, it is noted why."""
        try:
            start = head()
        except OSError as error:
            self.leave_out(parts, error.strerror or str(error))
            return False
        if suffix in OTHER_PICTURES and images.decoded_format(start) in (None, "TIFF"):
            self.leave_out(parts, f"{images.other_format(start) or suffix} is a format of pictures that can't be read")
        elif images.decoded_format(start):
            return True
        elif other := images.other_format(start):
            self.leave_out(parts, f"{other} is a format of pictures that can't be read")
        elif start.startswith(_LINK_STARTS) or _LINK_TEXT.fullmatch(start):
            self.leave_out(parts, "it is a link of another system, which can't be followed")
        else:
            self._scan.no_photos.append(LeftOut(self.place(parts), "it is no photo"))
        return False

    def note(self, parts: tuple[str, ...]) -> None:
        """A folder or file of which nothing more is to be said."""
        # From below: what is above a folder that was noted before was noted with it.
        for depth in range(len(parts), 0, -1):
            if parts[:depth] in self._told:
                break
            self._told.add(parts[:depth])

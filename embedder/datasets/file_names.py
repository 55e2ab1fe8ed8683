"""Names of files as other systems write them: system folders, code pages, capitals, and lists of names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Files and folders that operating systems, NAS devices and file managers make, in lower case; those that begin with a
#: dot are hidden anyway.
SYSTEM_NAMES = frozenset(
    {
        # Synology, QNAP: thumbnails, rubbish bins, snapshots
        *("@eadir", "#recycle", "#snapshot", "@tmp", "@sharesnap", "@sharebin", "@database", "@download", "@appstore"),
        *("@recycle", "@recently-snapshot", "@transcode", "~snapshot"),
        # Windows
        *("$recycle.bin", "recycler", "recycled", "system volume information", "thumbs.db", "ehthumbs.db"),
        *("ehthumbs_vista.db", "desktop.ini", "zbthumbnail.info"),
        # macOS
        *("__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder", "icon\r"),
        *("desktop db", "desktop df"),
        # Linux
        "lost+found",
    }
)
#: Likewise, by how they begin: names made by chkdsk, Samba and Synology, and locks of office programs.
_SYSTEM_STARTS = re.compile(r"found\.\d{3}$|@gmt-\d|synophoto_|synofile_|\$windows\.~|~\$", re.IGNORECASE)
#: Code pages in which zips and disks of other systems have names.
CODE_PAGES = ("cp437", "cp850", "cp1252", "latin-1", "cp852", "cp1250", "cp866", "cp1251", "mac-roman", "cp932", "gbk")


def is_system_name(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or made by a system and not by people."""
    name = unicodedata.normalize("NFC", name)
    return name.startswith(".") or name.lower() in SYSTEM_NAMES or _SYSTEM_STARTS.match(name) is not None


def plain_path(name: str) -> str:
    """A path in NFC and with slashes: Windows separates folders by backslashes, macOS decomposes letters."""
    # In a name of an unknown encoding that has slashes, a backslash is half a letter: Shift-JIS has such.
    name = name.replace("\\", "/") if is_told(name) or "/" not in name else name
    return unicodedata.normalize("NFC", name)


def name_parts(name: str) -> tuple[str, ...]:
    """`A\\B/1.jpg` -> (A, B, 1.jpg), see `plain_path`."""
    return tuple(filter(None, plain_path(name).split("/"))) or (name,)


def is_told(name: str) -> bool:
    """Whether a name is text: bytes that are no UTF-8 stand as lone surrogates in it."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def in_code_pages(name: str) -> Iterator[bytes]:
    """The bytes that a name has in other systems' encodings."""
    for page in CODE_PAGES:
        try:
            yield name.encode(page)
        except UnicodeEncodeError:
            continue


def similar_names(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that mean `name`: composed otherwise; or else in a code page; or else in other capitals."""
    names = list(names)
    composed = unicodedata.normalize("NFC", name)
    if same := [other for other in names if unicodedata.normalize("NFC", other) == composed]:
        return same
    raw = {other: other.encode("utf-8", "surrogateescape") for other in names if not is_told(other)}
    pages = set(in_code_pages(composed)) if raw else set()
    if coded := [other for other in raw if raw[other] in pages]:
        return coded
    return [other for other in names if unicodedata.normalize("NFC", other).casefold() == composed.casefold()]


class FileFinder:
    """Finds files below a folder by names that a list from another system has. Remembers the folders that it read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, list[str]] = {}

    def find(self, name: str) -> list[Path]:
        """The file of this name; else those of a similar one, so more than one is none that can be told."""
        if os.path.exists(exact := self._root / name):
            return [exact]
        if os.path.exists(other := self._root / name.replace("\\", "/")):
            return [other]
        found = [self._root]
        for part in other.relative_to(self._root).parts if other.is_relative_to(self._root) else ():
            found = [folder / same for folder in found for same in self._similar(folder, part)]
        return [path for path in found if path != self._root]

    def _similar(self, folder: Path, part: str) -> list[str]:
        if os.path.exists(folder / part):
            return [part]
        if folder not in self._names:
            try:
                self._names[folder] = sorted(os.listdir(folder))
            except OSError:
                self._names[folder] = []
        return similar_names(part, self._names[folder])


def read_lines(raw: bytes) -> list[str]:
    """Lines of a text file from any editor: UTF-8 or, with a byte-order mark, UTF-16; any line ends.

    Bytes that are no UTF-8 become lone surrogates, so that a path among the lines still names its file.
    """
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = raw.decode("utf-16", "replace") if utf16 else raw.decode("utf-8-sig", "surrogateescape")
    # Not splitlines(), which ends a line at characters that a file's name may hold.
    return re.split("\r\n|\n|\r", text)

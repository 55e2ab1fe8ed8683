"""The data folder and who may read it: its owner alone, and nobody writes there in another's place."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from catalog.config import Settings
from catalog.errors import ConfigError

#: Of a folder, and of a file: for the owner.
FOLDER, FILE = 0o700, 0o600


def prepare(settings: Settings) -> None:
    """Make the data folder, and let whatever this process writes from now on be readable by its user alone.

    Photos, passwords' hashes, the key of sessions and the gallery are of one secrecy, and the gallery's engine and
    SQLite make files of their own: so it is the process's umask. A folder of an older version is closed once.
    Raises ConfigError when the folder can't be made, or root would write into the folder of another user, who could
    not read it then.
    """
    data = settings.data
    try:
        for folder in (data, *_other_folders(settings)):
            _refuse_in_place_of(folder)
        os.umask(0o777 & ~FOLDER)
        data.mkdir(parents=True, exist_ok=True)
        if data.stat().st_uid == os.geteuid() and data.stat().st_mode & 0o777 != FOLDER:
            _close(data)
    except OSError as error:
        raise ConfigError(f"CATALOG_DATA={data} can't be made: {error.strerror}.") from error


def _other_folders(settings: Settings) -> list[Path]:
    """Local folders of parts that are elsewhere."""
    kinds = (("edge:", settings.gallery), ("file:", settings.photos))
    return [Path(url.removeprefix(kind)) for kind, url in kinds if url.startswith(kind)]


def _refuse_in_place_of(folder: Path) -> None:
    try:
        owner = folder.stat().st_uid
    except FileNotFoundError:
        return
    if os.geteuid() == 0 and owner != 0:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"'#{owner}'"  # quoted for a shell, as sudo takes a number
        raise ConfigError(
            f"{folder} belongs to the user {name}, and could no longer be used by that user if root wrote there: "
            f"run this as that user (sudo -u {name} ...)."
        )


def _close(data: Path) -> None:
    """Take the rights of all others from what is there; the folder itself comes last, and so marks that it is done."""
    for folder, _, files in os.walk(data):  # which follows no link
        for path in (os.path.join(folder, name) for name in files):
            if not os.path.islink(path):
                os.chmod(path, FILE)
        if Path(folder) != data:
            os.chmod(folder, FOLDER)
    os.chmod(data, FOLDER)

"""An export as a file to download: made below the data folder, and gone when it was sent."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import IO

from sqlalchemy import func, select

from catalog.catalog import Catalog
from catalog.errors import ConflictError, StorageError
from catalog.products import Filter
from catalog.storage.tables import Photo, Product
from catalog.transfer.exporting import export
from catalog.transfer.uploads import KEPT_FREE

#: In the zip: photos that could not be read, a line each.
LEFT_OUT = "left-out.txt"
#: Seconds after which a file that a killed process left is removed.
LEFT = 24 * 3600.0
#: One export at a time: each takes a disk's whole speed.
_EXPORTING = threading.Lock()


def export_zip(catalog: Catalog, only: Filter | None = None) -> IO[bytes]:
    """A zip of an export with photos. Its file has no name any more: it is gone once it is closed.

    Raises ConflictError while another one is made, StorageError when the disk has no room for it.
    """
    if not _EXPORTING.acquire(blocking=False):
        raise ConflictError("Another export is being made: try again in a few minutes.")
    try:
        return _exported(catalog, only)
    except OSError as error:
        raise StorageError(f"The export can't be written: {error.strerror}.") from error
    finally:
        _EXPORTING.release()


def _exported(catalog: Catalog, only: Filter | None) -> IO[bytes]:
    folder = catalog.settings.data / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left(folder)
    if _bytes(catalog, only) > shutil.disk_usage(folder).free - KEPT_FREE:
        raise StorageError("The disk has no room for the export: use `catalog export` to write it elsewhere.")
    target = folder / f"{secrets.token_hex(8)}.zip"
    try:
        done = export(catalog, target, only=only)
        if done.errors:
            with zipfile.ZipFile(target, "a") as archive:
                archive.writestr(LEFT_OUT, "\n".join(done.errors))
        return target.open("rb")
    finally:
        target.unlink(missing_ok=True)


def _bytes(catalog: Catalog, only: Filter | None) -> int:
    with catalog.database.read() as session:
        query = select(func.sum(Photo.bytes))
        if only is not None:
            query = query.join(Product, Product.id == Photo.product_id).where(only.condition(session))
        return int(session.scalar(query) or 0)


def _remove_left(folder: Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_mtime < time.time() - LEFT:
            path.unlink(missing_ok=True)

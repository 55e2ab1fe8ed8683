"""Model bundles: a copy in the data folder of each host, and one in the photo store, where all hosts find it.

Both are named bundles/<id>/<file>. In the store bundle.json is written last: without it, a bundle is not there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.durable_files import sync_folder, write_file
from catalog.errors import ConfigError
from catalog.storage.photo_store import PhotoStore
from embedder.bundle import META_FILE, Bundle, load_bundle
from embedder.errors import BundleError

#: Folder of the store; no photo's name begins with it (see photo_store.photo_key).
FOLDER = "bundles"
# Names of files are read before their bundle is verified: none may lead out of its folder.
_PLAIN = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


def keep(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle to `folder`/<id> atomically; its source is no longer needed then.

    Raises ConfigError when it can't be written.
    """
    if (folder / bundle.id).is_dir():
        return
    with _made(folder, bundle.id) as copy:
        # The content alone: the rights are those of the data folder, not of where the bundle was.
        shutil.copytree(bundle.path, copy, copy_function=shutil.copyfile)
        copy.chmod(0o700)


def drop_damaged(bundle: Bundle, folder: Path) -> None:
    """Remove the copy in `folder`/<id> if it is not whole, so that it can be made again. Raises ConfigError."""
    kept = folder / bundle.id
    if not kept.is_dir() or kept.samefile(bundle.path):
        return
    try:
        load_bundle(kept)
    except BundleError as damage:
        try:
            shutil.rmtree(kept)
        except OSError as error:
            raise ConfigError(f"{damage} It can't be removed: {error.strerror or error}.") from error


def is_shared(store: PhotoStore, bundle_id: str) -> bool:
    """Whether the store has the bundle. Raises StorageError."""
    return store.get_file(_place(bundle_id, META_FILE)) is not None


def share(store: PhotoStore, bundle: Bundle) -> None:
    """Put a bundle into the store, unless it is there. Killed half-way, it is not there. Raises StorageError."""
    if is_shared(store, bundle.id):
        return
    meta = (bundle.path / META_FILE).read_bytes()
    for name in _files(meta):
        store.put_file(_place(bundle.id, name), (bundle.path / name).read_bytes())
    store.put_file(_place(bundle.id, META_FILE), meta)


def fetch(store: PhotoStore, bundle_id: str, folder: Path) -> Bundle | None:
    """Copy a bundle from the store to `folder`/<id> atomically, verified by its hash; None when the store lacks it.

    Raises BundleError for one that is damaged, StorageError, or ConfigError when it can't be written.
    """
    meta = store.get_file(_place(bundle_id, META_FILE))
    if meta is None:
        return None
    try:
        files = {META_FILE: meta} | {name: store.get_file(_place(bundle_id, name)) for name in _files(meta)}
        with _made(folder, bundle_id) as copy:
            for name, data in files.items():
                if data is None:
                    raise BundleError(f"{name} is missing.")
                write_file(copy / name, data, sync=True)
            sync_folder(copy)
            found = load_bundle(copy).id
            if found != bundle_id:
                raise BundleError(f"it is another one, {found}.")
    except BundleError as error:
        raise BundleError(
            f"The model bundle {bundle_id} is damaged in the photo store: {error} Remove {FOLDER}/{bundle_id} there, "
            "and start a host that has the bundle: it puts it there again."
        ) from error
    return load_bundle(folder / bundle_id)


def _place(bundle_id: str, name: str) -> str:
    return f"{FOLDER}/{bundle_id}/{name}"


def _files(meta: bytes) -> list[str]:
    """The files of a bundle beside its bundle.json, which is `meta`. Raises BundleError."""
    try:
        names = list(json.loads(meta)["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{META_FILE} can't be read ({error!r}).") from error
    for name in names:
        if not isinstance(name, str) or not _PLAIN.fullmatch(name) or name == META_FILE:
            raise BundleError(f"{META_FILE} names a file {name!r}.")
    return names


@contextmanager
def _made(folder: Path, bundle_id: str) -> Iterator[Path]:
    """A place beside `folder`/<id>, which what is made there is renamed to at the end. Raises ConfigError."""
    target = folder / bundle_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as fresh:
            copy = Path(fresh) / bundle_id
            yield copy
            try:
                os.rename(copy, target)
            except OSError:
                if not target.is_dir():  # else another process was faster: the content is the same
                    raise
    except OSError as error:
        raise ConfigError(f"The model can't be kept in {folder}: {error.strerror or error}.") from error

"""The photo store of a till."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from catalog.errors import NotFoundError, StorageError
from catalog.storage import PhotoStore, StoredFile, feature_store


class TillPhotos:
    """What was derived of reference photos; in place of a photo itself its small picture, if it was sent.

    A PhotoStore. It takes no photos.
    """

    def __init__(self, derived: PhotoStore) -> None:
        self._derived = derived

    def get(self, sha256: str) -> bytes:
        """The small picture. Raises NotFoundError where this till was given none."""
        found = self._derived.get_derived(sha256, feature_store.PICTURE)
        if found is None:
            raise NotFoundError(f"This till has no picture of the photo {sha256[:12]}.")
        return found

    def prepare(self) -> None:
        """Nothing: the till's folder is made with its first archive."""

    def put(self, data: bytes) -> str:
        """Raises StorageError."""
        raise StorageError("A till that works offline takes no photos of products.")

    def put_derived(self, sha256: str, kind: str, data: bytes) -> None:
        """See PhotoStore."""
        self._derived.put_derived(sha256, kind, data)

    def get_derived(self, sha256: str, kind: str) -> bytes | None:
        """See PhotoStore."""
        return self._derived.get_derived(sha256, kind)

    def put_file(self, name: str, data: bytes) -> None:
        """Raises StorageError."""
        raise StorageError("A till that works offline has its models in a folder of its own.")

    def get_file(self, name: str) -> bytes | None:
        """There is none."""
        return None

    def files(self) -> Iterator[StoredFile]:
        """See PhotoStore."""
        return self._derived.files()

    def remove(self, file: StoredFile, unused: Callable[[datetime], bool]) -> bool:
        """See PhotoStore."""
        return self._derived.remove(file, unused)

"""Which model is live: its row in SQL, its collection in the gallery, its embedder."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, exists, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.config import Settings
from catalog.errors import ConfigError, ConflictError, GalleryError, GalleryRefillingError
from catalog.gallery import Gallery, collection_name
from catalog.storage import Database
from catalog.storage.tables import LOST, Enrollment, Generation
from embedder.bundle import Bundle, load_bundle
from embedder.errors import BundleError
from embedder.inference import Embedder, check_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveModel:
    """A loaded model: its row in SQL, its collection in the gallery, its embedder."""

    generation_id: int
    collection: str
    embedder: Embedder


# Built once: that takes as long as to run them, and every answer needs both.
_LIVE = select(Generation).where(Generation.live)
# Worded as the partial index of what is pending (see catalog/enrollment/outbox.py).
_LOST = select(
    exists().where(
        Enrollment.generation_id == bindparam("generation"), text("NOT enrollment.done"), Enrollment.attempts == LOST
    )
)


class Generations:
    """The models of one catalog, each loaded once. Thread-safe.

    `open_embedder` loads a bundle's folder (raises BundleError); programs that open several catalogs can share one.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gallery: Gallery,
        open_embedder: Callable[[Path], Embedder] = Embedder.open,
    ) -> None:
        self._settings, self._database, self._gallery = settings, database, gallery
        self._open_bundle = open_embedder
        self._embedders: dict[str, Embedder] = {}
        self._ready: set[str] = set()  # collections found or created since this process started
        self._lock = threading.RLock()

    def live(self) -> LiveModel:
        """The live model, read from SQL each time: another process may have switched it a moment ago.

        The gallery is not called, so photos can be accepted while it is unavailable. A catalog that never had a model
        starts with the bundle of CATALOG_MODEL. Raises ConfigError for a bundle that is damaged or missing.
        """
        with self._database.read() as session:
            row = live_generation(session)
        return self.load(row or self._first_generation())

    def ready(self) -> LiveModel:
        """The live model, its collection created if missing. Raises like `live`, and GalleryError."""
        live = self.live()
        self.ensure_collection(live)
        return live

    def load(self, generation: Generation) -> LiveModel:
        """A generation and its embedder, which is loaded once. Raises ConfigError."""
        embedder = self._embedders.get(generation.bundle_id)
        if embedder is None:
            with self._lock:
                embedder = self._embedders.get(generation.bundle_id) or self._open_embedder(generation)
                self._embedders[generation.bundle_id] = embedder
        return LiveModel(generation.id, generation.collection, embedder)

    def ensure_collection(self, live: LiveModel) -> None:
        """Create a generation's collection if it is missing. Raises GalleryError.

        A lost collection is rebuilt: every photo in it becomes pending, since SQL is the source of truth.
        """
        # Without a lock: a server that does not answer would be waited for by one thread after the other.
        if live.collection in self._ready:
            return
        missing = live.collection not in self._gallery.generations()
        if missing and live.collection not in self._ready:  # else another thread has just made it
            with self._database.write() as session:
                mine = Enrollment.generation_id == live.generation_id
                session.execute(update(Enrollment).where(mine, Enrollment.done).values(done=False, attempts=LOST))
        self._gallery.create(live.collection, live.embedder.bundle.dim)
        self._ready.add(live.collection)

    def is_refilling(self, live: LiveModel) -> bool:
        """Whether photos that a lost gallery held are not in it again.

        To be asked after a search: photos are marked as lost before there is an empty collection to be searched.
        """
        with self._database.read() as session:
            return bool(session.scalar(_LOST, {"generation": live.generation_id}))

    def check_filled(self, live: LiveModel) -> None:
        """Raises GalleryRefillingError while `is_refilling`: what is not in the gallery yet would be unknown."""
        if self.is_refilling(live):
            raise GalleryRefillingError(
                "The gallery was lost, and is being filled again: until all photos are in it, no answer is certain."
            )

    def add(self, bundle: Bundle) -> Generation:
        """Store a copy of the bundle and a row for its generation. Idempotent: returns the row if it exists.

        Raises ConfigError for a bundle that can't be loaded, or whose vectors are not finite.
        """

        def mine(session: Session) -> Generation | None:
            return session.scalar(select(Generation).where(Generation.bundle_id == bundle.id))

        return self._found_or_added(mine, bundle, live=False)

    def _first_generation(self) -> Generation:
        with self._lock:
            return self._found_or_added(live_generation, self._configured_bundle(), live=True)

    def _found_or_added(
        self, find: Callable[[Session], Generation | None], bundle: Bundle, *, live: bool
    ) -> Generation:
        try:
            check_model(bundle)  # before there is a row for it: a catalog could not go on without its first model
        except BundleError as error:
            raise ConfigError(f"This model can't be used: {error}") from error
        keep_bundle(bundle, self._settings.bundles)
        with (
            suppress(IntegrityError),
            self._database.write() as session,
        ):  # another process was faster: its row is found below
            if find(session) is None:
                session.add(
                    Generation(
                        bundle_id=bundle.id,
                        bundle_name=f"{bundle.name} {bundle.version}"[:100],
                        collection=collection_name(bundle.id),
                        dim=bundle.dim,
                        live=live,
                    )
                )
        with self._database.read() as session:
            found = find(session)
        if found is None:
            raise ConflictError(
                f"Two models were made the first one of this catalog at once, {bundle.id} is one of them."
            )
        return found

    def _configured_bundle(self) -> Bundle:
        try:
            return load_bundle(self._settings.model)
        except BundleError as error:
            raise ConfigError(f"CATALOG_MODEL: {error}") from error

    def check_bundle(self, generation: Generation) -> None:
        """Raises ConfigError unless a generation could be loaded: its bundle is here, and whole. Nothing is loaded."""
        try:
            load_bundle(self._bundle_folder(generation))
        except BundleError as error:
            raise ConfigError(f"The model {generation.bundle_name} can't be loaded: {error}") from error

    def _open_embedder(self, generation: Generation) -> Embedder:
        try:
            return self._open_bundle(self._bundle_folder(generation))
        except BundleError as error:
            raise ConfigError(f"The model in use can't be loaded: {error}") from error

    def _bundle_folder(self, generation: Generation) -> Path:
        folder = self._settings.bundles / generation.bundle_id
        if not folder.is_dir():  # another host made this generation, or the folder was lost
            bundle = self._configured_bundle()
            if bundle.id != generation.bundle_id:
                raise ConfigError(
                    f"The model in use, {generation.bundle_name} ({generation.bundle_id}), is not in "
                    f"{self._settings.bundles}, and CATALOG_MODEL is another one ({bundle.id}): let it name that model."
                )
            keep_bundle(bundle, self._settings.bundles)
        return folder

    def release_old(self) -> None:
        """Release every generation that is not live, so that another process may build or drop it."""
        with self._database.read() as session:
            row = live_generation(session)
        # All models that were ever loaded, not only `_ready`: a request that began before the switch may have reopened
        # its collection after the release.
        for bundle_id in list(self._embedders):
            if row is None or bundle_id != row.bundle_id:
                self.release(collection_name(bundle_id))

    def release(self, collection: str) -> None:
        """Release one generation; its next use reopens it, or rebuilds it if it was lost."""
        # Not under the lock: a switch calls this inside its transaction, and whoever holds the lock may wait for that.
        self._ready.discard(collection)
        try:
            self._gallery.release(collection)
        except GalleryError as error:  # closed nonetheless; what it could not flush is in SQL
            log.warning("%s was not closed cleanly: %s", collection, error)

    def close(self) -> None:
        """Stop the embedders' threads."""
        for embedder in self._embedders.values():
            embedder.close()


def live_generation(session: Session, *, hold: str | None = None) -> Generation | None:
    """The live generation's row, or None before the first.

    `hold` locks the row until the transaction ends: "share" (FOR SHARE) keeps it live, "change" (FOR UPDATE) is for
    the switch.
    """
    if hold is None:
        return session.scalar(_LIVE)
    query = _LIVE.with_for_update(read=hold == "share")
    found = session.scalar(query)
    # PostgreSQL: a statement that waited for a switch finds that its row is no longer live, and does not search for
    # the row that became live. The next statement does.
    return found or session.scalar(query)


def keep_bundle(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle to `folder`/<id> atomically; its source is no longer needed then.

    Raises ConfigError when it can't be written.
    """
    target = folder / bundle.id
    if target.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder, ignore_cleanup_errors=True) as fresh:
            # The content alone: the rights are those of the data folder, not of where the bundle was.
            copy = shutil.copytree(bundle.path, Path(fresh) / bundle.id, copy_function=shutil.copyfile)
            copy.chmod(0o700)
            try:
                os.rename(copy, target)
            except OSError:
                if not target.is_dir():  # else another process was faster: the content is the same
                    raise
    except OSError as error:
        raise ConfigError(f"The model can't be kept in {folder}: {error.strerror or error}.") from error

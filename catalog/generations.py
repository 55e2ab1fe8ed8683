"""Which model is live: its row in SQL, its collection in the gallery, its embedder."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import bindparam, exists, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.config import Settings
from catalog.errors import (
    ConfigError,
    ConflictError,
    DatabaseUnavailableError,
    GalleryError,
    GalleryRefillingError,
    StorageError,
)
from catalog.gallery import Gallery, collection_name
from catalog.storage import Database, PhotoStore, audit_log, bundle_store
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


#: Seconds that a model stays loaded which is not live any more: the last answers by it have long been given then.
KEPT_LOADED = 60.0
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

    Each host has the bundles that it uses in its data folder; the photo store has them for all hosts.
    `open_embedder` loads a bundle's folder (raises BundleError); programs that open several catalogs can share one.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gallery: Gallery,
        photos: PhotoStore,
        open_embedder: Callable[[Path], Embedder] = Embedder.open,
    ) -> None:
        self._settings, self._database, self._gallery, self._photos = settings, database, gallery, photos
        self._open_bundle = open_embedder
        self._embedders: dict[str, Embedder] = {}
        self._left: dict[str, float] = {}  # since when a loaded model was seen not to be live
        self._ready: set[str] = set()  # collections found or created since this process started
        self._lock = threading.RLock()

    def live(self) -> LiveModel:
        """The live model, read from SQL each time: another process may have switched it a moment ago.

        The gallery is not called, so photos can be accepted while it is unavailable. A catalog that never had a model
        starts with the bundle of CATALOG_MODEL. Raises ConfigError for a bundle that is damaged or missing, and
        StorageError when only the photo store may have it, and does not answer.
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
        """A generation and its embedder, which is loaded once. Raises like `live`."""
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

    def add(self, bundle: Bundle, *, actor: str = "") -> Generation:
        """Store copies of the bundle and a row for its generation. Idempotent: returns the row if it exists.

        A copy that is damaged is replaced. `actor`: whose change it is in the audit log; "" where it is only a part of
        one. Raises StorageError, and ConfigError for a bundle whose model can't be used (see check_model).
        """

        def mine(session: Session) -> Generation | None:
            return session.scalar(select(Generation).where(Generation.bundle_id == bundle.id))

        return self._found_or_added(mine, bundle, live=False, actor=actor)

    def _first_generation(self) -> Generation:
        with self._lock:
            return self._found_or_added(live_generation, self._configured_bundle(), live=True)

    def _found_or_added(
        self, find: Callable[[Session], Generation | None], bundle: Bundle, *, live: bool, actor: str = ""
    ) -> Generation:
        try:
            check_model(bundle)  # before there is a row for it: a catalog could not go on without its first model
        except BundleError as error:
            raise ConfigError(f"This model can't be used: {error}") from error
        bundle_store.drop_damaged(bundle, self._settings.bundles)
        bundle_store.keep(bundle, self._settings.bundles)
        try:
            self._share(bundle)
        except StorageError as error:
            if not live:  # other hosts could not follow a switch to it
                raise
            log.warning("%s The model stays on this host alone until the next start.", error)
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
                if actor:
                    audit_log.record(session, actor, "model.add", bundle.id)
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

    def bundle(self, generation: Generation) -> Bundle:
        """A generation's bundle, here and whole. It is not loaded. Raises like `live`."""
        try:
            return load_bundle(self._bundle_folder(generation))
        except BundleError as error:
            raise ConfigError(f"The model {generation.bundle_name} can't be loaded: {error}") from error

    def share(self, generation: Generation) -> None:
        """Put a generation's bundle into the photo store, unless it is there. Raises like `live`."""
        if not bundle_store.is_shared(self._photos, generation.bundle_id):
            self._share(self.bundle(generation))

    def _share(self, bundle: Bundle) -> None:
        try:
            bundle_store.share(self._photos, bundle)
        except BundleError as error:
            raise ConfigError(f"This model can't be used: {error}") from error

    def share_all(self) -> None:
        """Put the bundles that only this host has into the photo store: those of a catalog of an older version, or of
        a time when the store did not answer. What can't be done now is left to the next start; the log says so.
        """
        try:
            with self._database.read() as session:
                rows = session.scalars(select(Generation).order_by(Generation.id.desc())).all()
            for row in rows:
                if (self._settings.bundles / row.bundle_id).is_dir():
                    self._share_whole(row)
        except (DatabaseUnavailableError, StorageError) as error:
            log.warning("%s Models that other hosts may need stay on this one until the next start.", error)

    def _share_whole(self, generation: Generation) -> None:
        try:
            self.share(generation)
        except ConfigError as error:  # a damaged one is in nobody's way
            log.warning("%s", error)

    def _open_embedder(self, generation: Generation) -> Embedder:
        try:
            return self._open_bundle(self._bundle_folder(generation))
        except BundleError as error:
            raise ConfigError(f"The model in use can't be loaded: {error}") from error

    def _bundle_folder(self, generation: Generation) -> Path:
        """Where a generation's bundle is on this host; it is brought here first if it is not."""
        folder = self._settings.bundles / generation.bundle_id
        if folder.is_dir():
            return folder
        # Another host made this generation, or the folder was lost.
        if self._configured_is(generation.bundle_id):
            bundle_store.keep(self._configured_bundle(), self._settings.bundles)
        elif self._fetch(generation.bundle_id) is None:
            raise ConfigError(
                f"The model in use, {generation.bundle_name} ({generation.bundle_id}), is neither in "
                f"{self._settings.bundles} nor in the photo store, and CATALOG_MODEL={self._settings.model} is another "
                "one: start a host that has it, which puts it into the store, or let CATALOG_MODEL name it."
            )
        return folder

    def _fetch(self, bundle_id: str) -> Bundle | None:
        """A bundle of the photo store, copied to this host; None if it is not there. Raises like `live`."""
        try:
            return bundle_store.fetch(self._photos, bundle_id, self._settings.bundles)
        except BundleError as error:
            raise ConfigError(str(error)) from error

    def _configured_is(self, bundle_id: str) -> bool:
        with suppress(ConfigError):
            return self._configured_bundle().id == bundle_id
        return False

    def release_old(self) -> None:
        """Release every generation that is not live, so that another process may build or drop it, and after a while
        forget its model: one takes some 100 MB, and there may be a new one every night.
        """
        with self._database.read() as session:
            row = live_generation(session)
        # All models that were ever loaded, not only `_ready`: a request that began before the switch may have reopened
        # its collection after the release.
        at = time.monotonic()
        for bundle_id in list(self._embedders):
            if row is not None and bundle_id == row.bundle_id:
                self._left.pop(bundle_id, None)
                continue
            self.release(collection_name(bundle_id))
            if at > self._left.setdefault(bundle_id, at) + KEPT_LOADED:
                del self._embedders[bundle_id], self._left[bundle_id]

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

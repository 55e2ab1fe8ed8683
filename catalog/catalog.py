"""The open catalog: its parts, and the model that is live right now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.config import Settings
from catalog.errors import ConfigError, ConflictError, DatabaseUnavailableError, GalleryError
from catalog.gallery import Gallery, collection_name, open_gallery
from catalog.generations import Live, keep_bundle, live_generation
from catalog.storage import AnswerLog, Database, PhotoStore, open_store
from catalog.storage.tables import Enrollment, Generation
from embedder.bundle import Bundle, load_bundle
from embedder.errors import BundleError
from embedder.inference import Embedder

log = logging.getLogger(__name__)


class Catalog:
    """SQL, photos and gallery of one catalog, opened. Safe to use from many threads."""

    def __init__(self, settings: Settings, db: Database, photos: PhotoStore, gallery: Gallery) -> None:
        self.settings, self.db, self.photos, self.gallery = settings, db, photos, gallery
        self.answers = AnswerLog(db, settings.log_days)
        self._embedders: dict[str, Embedder] = {}
        self._ready: set[str] = set()  # collections that were found or made since this process started
        self._lock = threading.RLock()

    @classmethod
    def open(cls, settings: Settings) -> Catalog:
        """Open all parts and bring the schema up to date; nothing is loaded yet that a request does not need.

        Raises ConfigError, DatabaseUnavailableError or a GalleryError.
        """
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"CATALOG_DATA={settings.data} can't be made: {error.strerror}.") from error
        db = Database(settings.database)
        try:
            db.migrate()
            gallery = open_gallery(settings.gallery, api_key=settings.gallery_api_key, options=settings.gallery_options)
            return cls(settings, db, open_store(settings.photos), gallery)
        except BaseException:
            db.close()
            raise

    def model(self) -> Live:
        """The live model, asked of SQL each time: another process may have switched it a moment ago.

        The gallery is not asked, so photos can be accepted while it is away. A catalog that never had a model starts
        with the bundle of CATALOG_MODEL. Raises ConfigError for a bundle that is broken or missing.
        """
        with self.db.read() as session:
            row = live_generation(session)
        return self.load(row or self._first_generation())

    def live(self) -> Live:
        """The live model, and its collection is there. Raises like `model`, and GalleryError."""
        live = self.model()
        self.make_ready(live)
        return live

    def load(self, generation: Generation) -> Live:
        """A generation and its embedder, which is loaded once. Raises ConfigError."""
        embedder = self._embedders.get(generation.bundle_id)
        if embedder is None:
            with self._lock:
                embedder = self._embedders.get(generation.bundle_id) or self._open_embedder(generation)
                self._embedders[generation.bundle_id] = embedder
        return Live(generation.id, generation.collection, embedder)

    def make_ready(self, live: Live) -> None:
        """Make sure that a generation's collection is there. Raises GalleryError.

        One that was lost is made anew, and every photo in it becomes pending: SQL is the truth.
        """
        if live.collection in self._ready:
            return
        with self._lock:
            if live.collection not in self.gallery.generations():
                with self.db.write() as session:
                    mine = Enrollment.generation_id == live.generation_id
                    session.execute(update(Enrollment).where(mine, Enrollment.done).values(done=False))
            self.gallery.create(live.collection, live.embedder.bundle.dim)
            self._ready.add(live.collection)

    def add_generation(self, bundle: Bundle) -> Generation:
        """Keep a copy of the bundle and a row for its generation; the row that is there already, if it is."""

        def mine(session: Session) -> Generation | None:
            return session.scalar(select(Generation).where(Generation.bundle_id == bundle.id))

        return self._found_or_added(mine, bundle, live=False)

    def _first_generation(self) -> Generation:
        with self._lock:
            return self._found_or_added(live_generation, self._configured_bundle(), live=True)

    def _found_or_added(
        self, find: Callable[[Session], Generation | None], bundle: Bundle, *, live: bool
    ) -> Generation:
        keep_bundle(bundle, self.settings.bundles)
        with suppress(IntegrityError), self.db.write() as session:  # another process was faster: its row is found below
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
        with self.db.read() as session:
            found = find(session)
        if found is None:
            raise ConflictError(
                f"Two models were made the first one of this catalog at once, {bundle.id} is one of them."
            )
        return found

    def _configured_bundle(self) -> Bundle:
        try:
            return load_bundle(self.settings.model)
        except BundleError as error:
            raise ConfigError(f"CATALOG_MODEL: {error}") from error

    def _open_embedder(self, generation: Generation) -> Embedder:
        folder = self.settings.bundles / generation.bundle_id
        if not folder.is_dir():  # another host made this generation, or the folder was lost
            bundle = self._configured_bundle()
            if bundle.id != generation.bundle_id:
                raise ConfigError(
                    f"The model in use, {generation.bundle_name} ({generation.bundle_id}), is not in "
                    f"{self.settings.bundles}, and CATALOG_MODEL is another one ({bundle.id}): let it name that model."
                )
            keep_bundle(bundle, self.settings.bundles)
        try:
            return Embedder.open(folder)
        except BundleError as error:
            raise ConfigError(f"The model in use can't be loaded: {error}") from error

    def release_old(self) -> None:
        """Let go of every generation that is not live, so that another process may build or drop it."""
        with self.db.read() as session:
            row = live_generation(session)
        # Asked of the models that were ever loaded, not of `_ready`: a request that began before the switch may have
        # opened its collection again since it was let go.
        for bundle_id in list(self._embedders):
            if row is None or bundle_id != row.bundle_id:
                self.release(collection_name(bundle_id))

    def release(self, collection: str) -> None:
        """Let go of one generation; at its next use it is opened, and when it was lost made, anew."""
        # Without the lock: a switch calls this inside its transaction, and whoever holds the lock may wait for that.
        self._ready.discard(collection)
        try:
            self.gallery.release(collection)
        except GalleryError as error:  # closed all the same; what it could not flush is in SQL
            log.warning("%s was not closed cleanly: %s", collection, error)

    def close(self) -> None:
        """Close all parts."""
        with suppress(DatabaseUnavailableError):
            self.answers.flush()
        self.gallery.close()
        for embedder in self._embedders.values():
            embedder.close()
        self.db.close()

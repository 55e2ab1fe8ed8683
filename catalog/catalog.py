"""The open catalog: settings, database, photo store, gallery, answer log, unanswered photos, generations, last uses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from catalog import data_folder
from catalog.config import Settings
from catalog.errors import DatabaseUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.generations import Generations
from catalog.storage import AnswerLog, Database, LastUses, PhotoStore, UnansweredPhotos, open_store
from embedder.inference import Embedder


@dataclass(frozen=True)
class Catalog:
    """The open parts of one catalog. Thread-safe.

    A function that needs one part takes that part; only a function that uses several stores takes the Catalog.
    """

    settings: Settings
    database: Database
    photos: PhotoStore
    gallery: Gallery
    answers: AnswerLog
    unanswered: UnansweredPhotos
    generations: Generations
    uses: LastUses

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        gallery: Gallery | None = None,
        open_embedder: Callable[[Path], Embedder] = Embedder.open,
    ) -> Catalog:
        """Open all parts and migrate the schema; models and collections are loaded when a request needs them.

        What this process writes from now on is its user's alone (data_folder.py).

        `gallery` replaces the one that the settings name; `open_embedder`: see Generations. Raises ConfigError,
        DatabaseUnavailableError or a GalleryError.
        """
        data_folder.prepare(settings)
        database = Database(settings.database)
        try:
            database.migrate()
            gallery = gallery or open_gallery(
                settings.gallery, api_key=settings.gallery_api_key, options=settings.gallery_options
            )
            photos = open_store(settings.photos)
            return cls(
                settings,
                database,
                photos,
                gallery,
                AnswerLog(database, settings.log_days),
                UnansweredPhotos(database, settings.inbox_days, settings.inbox_mb),
                Generations(settings, database, gallery, photos, open_embedder),
                LastUses(database),
            )
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close all parts."""
        with suppress(DatabaseUnavailableError):
            self.answers.flush()
            self.unanswered.flush()
            self.uses.flush()
        self.gallery.close()
        self.generations.close()
        self.database.close()

"""The open catalog: its parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from catalog.config import Settings
from catalog.errors import ConfigError, DatabaseUnavailableError
from catalog.gallery import Gallery, open_gallery
from catalog.generations import Generations
from catalog.storage import AnswerLog, Database, PhotoStore, open_store
from embedder.inference import Embedder


@dataclass(frozen=True)
class Catalog:
    """SQL, photos and gallery of one catalog, opened. Safe to use from many threads.

    What needs one part takes that part; only what crosses stores takes the catalog.
    """

    settings: Settings
    database: Database
    photos: PhotoStore
    gallery: Gallery
    answers: AnswerLog
    generations: Generations

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        gallery: Gallery | None = None,
        open_embedder: Callable[[Path], Embedder] = Embedder.open,
    ) -> Catalog:
        """Open all parts and bring the schema up to date; nothing is loaded yet that a request does not need.

        `gallery`: in place of the one that the settings name. Raises ConfigError, DatabaseUnavailableError or a
        GalleryError.
        """
        try:
            settings.data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"CATALOG_DATA={settings.data} can't be made: {error.strerror}.") from error
        database = Database(settings.database)
        try:
            database.migrate()
            gallery = gallery or open_gallery(
                settings.gallery, api_key=settings.gallery_api_key, options=settings.gallery_options
            )
            return cls(
                settings,
                database,
                open_store(settings.photos),
                gallery,
                AnswerLog(database, settings.log_days),
                Generations(settings, database, gallery, open_embedder),
            )
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close all parts."""
        with suppress(DatabaseUnavailableError):
            self.answers.flush()
        self.gallery.close()
        self.generations.close()
        self.database.close()

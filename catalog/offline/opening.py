"""A till: the open catalog of its version in use, which is read only, and the switch to another while it serves."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from catalog.accounts import admit_key
from catalog.catalog import Catalog
from catalog.config import LOG_DAYS, Settings
from catalog.data_folder import prepare
from catalog.errors import CatalogError, DatabaseUnavailableError, GalleryMismatchError
from catalog.gallery import Gallery, open_gallery
from catalog.generations import Generations
from catalog.offline import archive, installing
from catalog.offline.archive import Facts
from catalog.offline.errors import BundleRefusedError
from catalog.offline.till_answers import TillAnswers, attach, make_file
from catalog.offline.till_folder import TillFolder
from catalog.offline.till_photos import TillPhotos
from catalog.storage import Database, LastUses, UnansweredPhotos, open_store
from catalog.storage.database import revision_of
from catalog.storage.revision import HEAD
from embedder.inference import Embedder

log = logging.getLogger(__name__)

#: What the till's own key may do here.
TILL_SCOPES = ("recognize", "feedback")
#: Seconds after a switch until what was in use before is closed, and its files removed: answers that were begun on it
#: are given by then.
GRACE = 30.0


@dataclass(frozen=True)
class TillOptions:
    """How a till serves: `key`, that programs on this machine send; `second_look_ms`: in place of the server's, None:
    as the server has it.
    """

    key: str
    second_look_ms: int | None = None


class Till:
    """The till on a folder, which is its own until `close`. Thread-safe.

    Raises ConfigError when another till runs there, BundleRefusedError when no version is installed or it is damaged.
    """

    def __init__(self, folder: TillFolder, options: TillOptions) -> None:
        self.folder, self._options = folder, options
        self._embedders: dict[str, Embedder] = {}
        self._old: list[_Left] = []
        self._lock, self._leaving = threading.Lock(), threading.Lock()
        make_file(folder.database)
        self._answers: TillAnswers | None = None
        self.catalog, self.facts, self.answers = self._opened()

    def install(self, path: Path, trusted: Sequence[str]) -> bool:
        """Install an archive while the till serves, and switch to it; returns whether that changed anything.

        Raises what `installing.install` raises; the till goes on as it was.
        """
        with self._lock:
            facts, changed = installing.install(self.folder, path, trusted, self.catalog.gallery)
            if changed:
                self._switch()
                log.info("now on version %s: %d products", facts.version, facts.products)
            return changed

    def _switch(self) -> None:
        old = _Left(self.facts.version, self.catalog)
        self._answers = self.answers
        self.catalog, self.facts, _ = self._opened()
        old.timer = threading.Timer(GRACE, self._leave, [old])
        old.timer.daemon = True
        with self._leaving:
            self._old.append(old)
        old.timer.start()

    def _leave(self, old: _Left) -> None:
        """Close a version, and remove its files: a till that is never started again must not fill its disk."""
        with self._lock, self._leaving:  # no switch back to that version comes in between
            if old not in self._old:  # the till is closed
                return
            self._old.remove(old)
            _close(old.catalog)
            kept = {self.facts.version, *(other.version for other in self._old)}
            if old.version in kept:
                return
            try:
                used = set().union(*map(self.folder.photos_used, kept))
                if self.folder.photos_used(old.version) - used:
                    self.folder.keep_photos(used)
            except CatalogError as error:
                log.warning("photos of deleted products are not removed: %s", error)
            shutil.rmtree(self.folder.version_folder(old.version), ignore_errors=True)

    def _opened(self) -> tuple[Catalog, Facts, TillAnswers]:
        folder = self.folder
        version = folder.current()
        if not version:
            raise BundleRefusedError(
                f"No archive is installed in {folder.root}: give --bundle FILE or --update-from URL."
            )
        facts = folder.facts(version)
        place = folder.version_folder(version)
        settings = Settings(
            data=folder.root,
            database=f"sqlite:///{_quoted(place / 'catalog.db')}",
            gallery=f"edge:{place / 'gallery'}",
            photos=f"file:{folder.photos}",
            model=folder.bundles / facts.bundle,
            second_look=facts.second_look,
            second_look_ms=self._options.second_look_ms or facts.second_look_ms,
            log_days=LOG_DAYS,
            inbox_days=0,
            nightly=None,
        )
        database, gallery = Database(settings.database), open_gallery(settings.gallery)
        try:
            attach(database, folder.database)
            _make_anew_if_older(folder, database, facts)
            admit_key(database, "till", self._options.key, TILL_SCOPES)
            _check_gallery(gallery, folder, facts)
            answers = self._answers or TillAnswers(database, settings.log_days)
            photos = TillPhotos(open_store(settings.photos))
            catalog = Catalog(
                settings,
                database,
                photos,
                gallery,
                answers,
                UnansweredPhotos(database, settings.inbox_days, settings.inbox_mb),
                Generations(settings, database, gallery, photos, self._embedder),
                LastUses(database),
            )
            catalog.generations.ready()
            answers.move_to(database)
        except BaseException:
            gallery.close()
            database.close()
            raise
        return catalog, facts, answers

    def _embedder(self, bundle: Path) -> Embedder:
        """One for all versions of a model: it takes a second to load, and most of the memory."""
        if bundle.name not in self._embedders:
            self._embedders[bundle.name] = Embedder.open(bundle)
        return self._embedders[bundle.name]

    def close(self) -> None:
        """Close all parts. What was answered and judged is on the disk."""
        with suppress(DatabaseUnavailableError):
            self.answers.flush()
        with self._leaving:
            left, self._old = self._old, []
        for old in left:
            old.timer.cancel()
            _close(old.catalog)
        _close(self.catalog)
        for embedder in self._embedders.values():
            embedder.close()


class _Left:
    """A version that was in use before a switch, until its `timer` closes it."""

    def __init__(self, version: str, catalog: Catalog) -> None:
        self.version, self.catalog = version, catalog
        self.timer: threading.Timer


def _check_gallery(gallery: Gallery, folder: TillFolder, facts: Facts) -> None:
    """Raises BundleRefusedError for a gallery that is not what was installed: photos would be answered as unknown."""
    try:
        found = gallery.count(facts.collection)
    except GalleryMismatchError:
        found = 0
    if found != facts.points:
        raise folder.damaged(f"The gallery of the version {facts.version} has {found} of {facts.points} points.")


def _make_anew_if_older(folder: TillFolder, database: Database, facts: Facts) -> None:
    """Tables of another version of this program are written anew from the products, which the version has as text."""
    with database.read() as session:
        if revision_of(session.connection()) == HEAD:
            return
    database.close()
    place = folder.version_folder(facts.version)
    try:
        lines = (place / archive.PRODUCTS).read_bytes().splitlines()
        installing.make_database(place / "catalog.db", lines, facts)
    except OSError as error:
        raise folder.damaged(f"The products in {place} can't be written anew: {error}.") from error


def _close(catalog: Catalog) -> None:
    try:
        catalog.gallery.close()
        catalog.database.close()
    except CatalogError as error:
        log.warning("a version was not closed cleanly: %s", error)


def _quoted(path: Path) -> str:
    return quote(str(path), safe=" +/")


def prepare_folder(folder: TillFolder) -> None:
    """Make the folder, its owner's alone. Raises ConfigError."""
    prepare(Settings.from_env({"CATALOG_DATA": str(folder.root)}))

"""From a verified archive to a version that a till can use, and the switch to it in one step.

A process that is killed at any moment leaves the version in use as it was: what is new is complete under another name
before `current` names it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, event, insert, text
from sqlalchemy.exc import SQLAlchemyError

from catalog.durable_files import write_file
from catalog.errors import GalleryError
from catalog.gallery import Gallery, GalleryPoint, open_gallery
from catalog.offline import archive, point_files, product_lines
from catalog.offline.archive import AGAIN, Archive, Facts
from catalog.offline.errors import BundleRefusedError
from catalog.offline.till_answers import NAMES
from catalog.offline.till_folder import FRESH, TillFolder, writable
from catalog.right_of_way import piece
from catalog.storage import open_store
from catalog.storage.revision import HEAD
from catalog.storage.tables import Base, Generation
from embedder.bundle import load_bundle
from embedder.errors import BundleError

#: The id of the one generation in a till's database.
GENERATION = 1
#: Points written in one piece: about 20 ms.
_PIECE = 256


def install(
    folder: TillFolder, path: Path, trusted: Collection[str], gallery: Gallery | None = None
) -> tuple[Facts, bool]:
    """Install the archive in the file `path`, and switch to it -> its facts, and whether that changed anything.

    `gallery`: of the version in use, if this process has it open. Raises BundleRefusedError, before anything of the
    archive is used, or StorageError; the version in use is then as it was.
    """
    with archive.reading(path, trusted) as opened:
        facts = opened.facts
        current = folder.current()
        if facts.version == current:
            return facts, False
        if facts.kind == "delta" and facts.since != current:
            raise BundleRefusedError(
                f"The archive leads from the version {facts.since} to {facts.version}, and this till has "
                f"{current or 'none'}: fetch the whole archive (without since=)."
            )
        with writable(folder.root):
            opened.check_all()
            _install(folder, opened, folder.facts(current) if current else None, gallery)
    return facts, True


def _install(folder: TillFolder, opened: Archive, before: Facts | None, gallery: Gallery | None) -> None:
    facts = opened.facts
    final = folder.version_folder(facts.version)
    fresh = final.with_name(f"{FRESH}{facts.version}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)  # of a run that was killed before it switched
    fresh.mkdir(parents=True)
    try:
        _unpack_model(folder, opened)
        photos = open_store(f"file:{folder.photos}")
        for name in opened.names("looks"):
            sha256, _, kind = name.removeprefix("looks/").partition(".")
            photos.put_derived(sha256, kind, opened.read(name))
        products = _merged_products(folder, opened, before)
        write_file(fresh / archive.PRODUCTS, b"".join(line + b"\n" for line in products), sync=False)
        make_database(fresh / "catalog.db", products, facts)
        if facts.kind == "whole":
            for name in opened.names("gallery"):
                opened.copy(name, fresh / "gallery" / facts.collection / name.removeprefix("gallery/"))
        elif before is not None:
            _merge_points(folder, opened, before, fresh / "gallery", gallery)
        _check_points(fresh / "gallery", facts)
        folder.keep_facts(fresh, facts)
        fresh.rename(final)
        folder.switch(facts.version)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _unpack_model(folder: TillFolder, opened: Archive) -> None:
    """The model, if it is not there; it is checked by its own hash. Raises BundleRefusedError."""
    target = folder.bundles / opened.facts.bundle
    if opened.facts.kind == "whole" and not target.is_dir():
        fresh = folder.bundles / f"{FRESH}{opened.facts.bundle}"
        shutil.rmtree(fresh, ignore_errors=True)
        for name in opened.names("model"):
            opened.copy(name, fresh / name.removeprefix("model/"))
        fresh.rename(target)
    try:
        bundle = load_bundle(target)
    except BundleError as error:
        raise BundleRefusedError(f"The archive's model can't be used: {error} Update the till's program.") from error
    if bundle.id != opened.facts.bundle:
        raise BundleRefusedError(f"The archive's model is {bundle.id}, not {opened.facts.bundle}. {AGAIN}")


def _merged_products(folder: TillFolder, opened: Archive, before: Facts | None) -> list[bytes]:
    """All product lines of the new version, sorted by id."""
    try:
        changed = opened.read(archive.PRODUCTS).splitlines()
        if opened.facts.kind == "whole":
            return changed
        gone = set(json.loads(opened.read(archive.REMOVED))["products"])
        old = (folder.version_folder(before.version) / archive.PRODUCTS).read_bytes().splitlines() if before else []
        lines = {product_lines.id_of(line): line for line in old}
        lines |= {product_lines.id_of(line): line for line in changed}
        return [lines[identity] for identity in sorted(lines.keys() - gone)]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleRefusedError(f"The products in the archive are not understood ({error!r}). {AGAIN}") from error


def make_database(path: Path, products: Sequence[bytes], facts: Facts) -> None:
    """Write a SQLite database of these products and the one generation, replacing an older file.

    Raises BundleRefusedError for products that this version of the program can't store.
    """
    for old in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        old.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    try:
        with engine.begin() as connection:
            Base.metadata.create_all(connection, [t for t in Base.metadata.sorted_tables if t.name not in NAMES])
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
            row = {
                "id": GENERATION,
                "bundle_id": facts.bundle,
                "bundle_name": facts.bundle_name,
                "collection": facts.collection,
                "dim": facts.dim,
                "live": True,
            }
            connection.execute(insert(Base.metadata.tables[Generation.__tablename__]), row)
            count = product_lines.insert_all(connection, products, GENERATION)
        if count != facts.products:
            raise BundleRefusedError(f"The archive has {count} of {facts.products} products. {AGAIN}")
    except (SQLAlchemyError, ValueError, KeyError, TypeError) as error:
        if "disk" in str(error) or "full" in str(error):
            raise OSError(28, "no space is left", str(path)) from error
        raise BundleRefusedError(
            f"The archive was made by another version of the program, and this one can't store its products "
            f"({type(error).__name__}): update the till's program."
        ) from error
    finally:
        engine.dispose()


def _merge_points(folder: TillFolder, opened: Archive, before: Facts, root: Path, gallery: Gallery | None) -> None:
    """Build the gallery of the new version: the points of the old one but those that are gone, and the changed."""
    facts = opened.facts
    try:
        gone = set(json.loads(opened.read(archive.REMOVED))["points"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleRefusedError(f"The archive's {archive.REMOVED} is not understood ({error!r}). {AGAIN}") from error
    changed = {point.id: point for name in opened.names("points") for point in point_files.unpacked(opened.read(name))}
    fresh = open_gallery(f"edge:{root}")
    own = None
    try:
        if gallery is None:
            gallery = own = open_gallery(f"edge:{folder.version_folder(before.version) / 'gallery'}")
        fresh.create(facts.collection, facts.dim)
        for points in _kept(gallery, before.collection, gone | changed.keys()):
            with piece():
                fresh.upsert(facts.collection, points)
        new = list(changed.values())
        for start in range(0, len(new), _PIECE):
            with piece():
                fresh.upsert(facts.collection, new[start : start + _PIECE])
    except GalleryError as error:
        raise BundleRefusedError(f"The change can't be applied: {error} Fetch the whole archive.") from error
    finally:
        fresh.close()
        if own:
            own.close()


def _kept(gallery: Gallery, collection: str, but: Collection[str]) -> Iterator[list[GalleryPoint]]:
    ids = sorted(gallery.ids(collection) - set(but))
    for start in range(0, len(ids), _PIECE):
        with piece():
            points = gallery.points(collection, ids[start : start + _PIECE])
        yield points


def _check_points(root: Path, facts: Facts) -> None:
    """Raises BundleRefusedError unless the gallery can be opened, and holds what it should."""
    try:
        with closing(open_gallery(f"edge:{root}")) as gallery:
            count = gallery.count(facts.collection)
    except GalleryError as error:
        raise BundleRefusedError(
            f"The archive's gallery can't be opened: {error} Update the till's program."
        ) from error
    if count != facts.points:
        raise BundleRefusedError(f"The gallery has {count} of {facts.points} points. Fetch the whole archive.")

"""Building an archive, in a process of its own: of a low priority, so that tills which ask do not wait for it.

The points of the gallery are read before by the serving process, which alone has an embedded gallery open
(building.py); all else is done here: rows, local features, the shard, the zip.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.config import Settings
from catalog.errors import StorageError
from catalog.gallery import open_gallery
from catalog.offline import archive, looks, point_files, product_lines, signing
from catalog.offline.archive import Facts, Writer
from catalog.offline.shelf import THUMBNAILS, Index, Shelf, told
from catalog.storage import Database, open_store
from catalog.storage.feature_store import KIND, PICTURE
from catalog.storage.revision import HEAD
from catalog.storage.tables import now
from embedder.bundle import load_bundle
from embedder.inference import SERVING_FILES


@dataclass(frozen=True)
class Order:
    """What is to be built.

    `bundle`: the folder of the live model, whose generation is `generation_id`. `points`: folder of the gallery's
    points if the catalog has changed (`stamp`) since the newest version; else None, and that is what it is built of.
    `since`: a delta from that version, if it can be; None: a whole one.
    """

    settings: Settings
    root: Path
    bundle: Path
    generation_id: int
    collection: str
    stamp: str
    points: Path | None
    since: str | None
    thumbnails: bool


def pack(order: Order) -> tuple[str, str | None]:
    """Build what is missing -> (version, since) of the archive that is there then: `since` is None for a whole one.

    Raises StorageError, ConfigError or DatabaseUnavailableError.
    """
    shelf = Shelf(order.root)
    if order.points is not None:
        _take_stock(order, order.points, shelf)
    _, plain = shelf.current()
    version = plain + THUMBNAILS * order.thumbnails
    index = _index(order, shelf, plain)
    since = order.since if order.since and _is_delta(shelf, order.since, index, order.thumbnails) else None
    target = shelf.archive(version, since)
    if not target.exists():
        with told(shelf.root), archive.writing(target) as out:
            if since:
                _add_changes(order, shelf, plain, out, index, _known(shelf, since))
            else:
                _add_all(order, shelf, plain, out, index)
            out.finish(_facts(order, index, version, since), signing.signing_key(order.settings))
    return version, since


def _take_stock(order: Order, points: Path, shelf: Shelf) -> None:
    """Find what the catalog consists of now, and keep it as the newest version."""
    before = shelf.index(shelf.current()[1])
    content = shelf.root / "content"
    photos = open_store(order.settings.photos)
    database = Database(order.settings.database)
    products: dict[str, str] = {}
    seen: dict[str, str] = {}
    with told(shelf.root):
        content.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new", dir=content))
        try:
            with database.snapshot() as connection, (fresh / archive.PRODUCTS).open("wb") as file:
                for identity, line, hashes in product_lines.read(connection, order.generation_id):
                    file.write(line + b"\n")
                    products[identity] = hashlib.sha256(line).hexdigest()[:32]
                    seen |= dict.fromkeys(hashes, "")
            for sha256 in seen:
                # What was derived from a photo never changes: no file need be read again.
                known = before.looks.get(sha256) if before and before.settings == _settings(order) else None
                seen[sha256] = known or looks.digest(looks.read(photos, sha256, thumbnails=False))
            shutil.copytree(points, fresh / "points")
            digests = {
                point.id: point_files.digest(point) for some in point_files.read_folder(points) for point in some
            }
            bundle = load_bundle(order.bundle)
            index = Index(bundle.id, _settings(order), products, digests, {k: v for k, v in seen.items() if v})
            version = _version(index)
            shelf.keep_index(version, index)
            if not shelf.content(version).is_dir():
                fresh.chmod(0o700)
                fresh.rename(shelf.content(version))
            (shelf.root / "archives").mkdir(exist_ok=True)
            shelf.set_current(order.stamp, version)
        finally:
            database.close()
            shutil.rmtree(fresh, ignore_errors=True)


def _settings(order: Order) -> str:
    settings = order.settings
    return json.dumps([archive.FORMAT, HEAD, KIND, PICTURE, settings.second_look, settings.second_look_ms])


def _version(index: Index) -> str:
    return hashlib.sha256(json.dumps(vars(index), sort_keys=True).encode()).hexdigest()[:16]


def _index(order: Order, shelf: Shelf, plain: str) -> Index:
    """The newest version's index; with thumbnails, of more looks, it is made when it is first asked for."""
    index = _known(shelf, plain)
    if not order.thumbnails:
        return index
    known = shelf.index(plain + THUMBNAILS)
    if known is None:
        photos = open_store(order.settings.photos)
        full = {sha256: looks.digest(looks.read(photos, sha256, thumbnails=True)) for sha256 in index.looks}
        known = replace(index, looks=full)
        shelf.keep_index(plain + THUMBNAILS, known)
    return known


def _known(shelf: Shelf, version: str) -> Index:
    index = shelf.index(version)
    if index is None:
        raise StorageError(
            f"The index of the version {version} in {shelf.root} is lost: ask again, and it is made anew."
        )
    return index


def _is_delta(shelf: Shelf, since: str, index: Index, thumbnails: bool) -> bool:
    """Whether that version is known, and of the same model and kind."""
    before = shelf.index(since)
    same_kind = since.endswith(THUMBNAILS) == thumbnails
    return before is not None and same_kind and (before.bundle, before.settings) == (index.bundle, index.settings)


def _facts(order: Order, index: Index, version: str, since: str | None) -> Facts:
    bundle = load_bundle(order.bundle)
    return Facts(
        version=version,
        schema=HEAD,
        bundle=bundle.id,
        bundle_name=f"{bundle.name} {bundle.version}"[:100],
        dim=bundle.dim,
        collection=order.collection,
        second_look=order.settings.second_look,
        second_look_ms=order.settings.second_look_ms,
        products=len(index.products),
        photos=len(index.looks),
        points=len(index.points),
        thumbnails=order.thumbnails,
        made_at=now().isoformat(timespec="seconds"),
        kind="delta" if since else "whole",
        since=since,
    )


def _add_all(order: Order, shelf: Shelf, plain: str, out: Writer, index: Index) -> None:
    content = shelf.content(plain)
    bundle = load_bundle(order.bundle)
    for name in SERVING_FILES:
        if (bundle.path / name).is_file():
            out.add_file(f"model/{name}", bundle.path / name)
    out.add_file(archive.PRODUCTS, content / archive.PRODUCTS)
    with tempfile.TemporaryDirectory(prefix=".shard", dir=shelf.root) as folder:
        shard = build_shard(Path(folder), order.collection, bundle.dim, content / "points")
        for path in sorted(path for path in shard.rglob("*") if path.is_file()):
            out.add_file(f"gallery/{path.relative_to(shard).as_posix()}", path)
    _add_looks(order, out, index, set(index.looks))


def build_shard(root: Path, collection: str, dim: int, points: Path) -> Path:
    """A Qdrant Edge shard of the points in a folder's files; its folder, flushed and closed.

    Not optimized: at a shop's size it answers as quickly without, and its files are smaller. Raises a GalleryError.
    """
    gallery = open_gallery(f"edge:{root}")
    gallery.create(collection, dim)
    for some in point_files.read_folder(points):
        gallery.upsert(collection, some)
    gallery.close()
    return root / collection


def _add_changes(order: Order, shelf: Shelf, plain: str, out: Writer, index: Index, before: Index) -> None:
    content = shelf.content(plain)
    with (content / archive.PRODUCTS).open("rb") as file:
        changed = b"".join(
            line
            for line in file
            if before.products.get(identity := product_lines.id_of(line)) != index.products[identity]
        )
    out.add(archive.PRODUCTS, changed)
    gone = {
        "products": sorted(before.products.keys() - index.products),
        "points": sorted(before.points.keys() - index.points),
    }
    out.add(archive.REMOVED, json.dumps(gone).encode())
    for number, some in enumerate(point_files.read_folder(content / "points")):
        if new := [point for point in some if before.points.get(point.id) != index.points[point.id]]:
            out.add(f"points/{number:06}.npz", point_files.packed(new))
    _add_looks(order, out, index, {one for one, digest in index.looks.items() if before.looks.get(one) != digest})


def _add_looks(order: Order, out: Writer, index: Index, hashes: set[str]) -> None:
    photos = open_store(order.settings.photos)
    for sha256 in sorted(hashes):
        files = looks.read(photos, sha256, thumbnails=order.thumbnails)
        if looks.digest(files) != index.looks[sha256]:
            raise StorageError(
                f"The photo {sha256[:12]} was changed or removed while the archive was built: ask again."
            )
        for kind, data in sorted(files.items()):
            out.add(f"looks/{sha256}.{kind}", data, packed=False)

"""Is all there that a catalog needs to answer? What is missing beside the photos is found, and made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select

from catalog import details
from catalog.errors import CatalogError, NotFoundError
from catalog.models import Photo, Product
from catalog.service import Catalog
from embedder.errors import ImageError

#: Photos that are asked of SQL at a time.
PAGE = 500

Kind = Literal["photo_missing", "photo_damaged", "details_missing"]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be with a stored photo (SHA-256), and a product that has it.

    `mended`: it is as it should be now.
    """

    kind: Kind
    sha256: str
    sku: str
    message: str
    mended: bool = False


def examine(catalog: Catalog, *, repair: bool = False, progress: Progress = lambda photos: None) -> Iterator[Finding]:
    """Look at every photo of every product, and at its details where the live model looks twice.

    With `repair` details that are missing or damaged are made again. A photo that is gone can't be: its product needs a
    new one. Raises DatabaseUnavailableError or StorageError when the parts themselves do not answer.
    """
    looks_twice = catalog.model().embedder.bundle.has_words
    after = ""
    while True:
        with catalog.db.read() as session:
            query = select(Photo.sha256, func.min(Product.sku)).join(Product).where(Photo.sha256 > after)
            rows = session.execute(query.group_by(Photo.sha256).order_by(Photo.sha256).limit(PAGE)).all()
        if not rows:
            return
        for sha256, sku in rows:
            found = _examine_photo(catalog, sha256, sku, looks_twice=looks_twice, repair=repair)
            if found is not None:
                yield found
            progress(1)
        after = rows[-1][0]


def _examine_photo(catalog: Catalog, sha256: str, sku: str, *, looks_twice: bool, repair: bool) -> Finding | None:
    try:
        catalog.photos.get(sha256)
    except NotFoundError as error:
        return Finding("photo_missing", sha256, sku, str(error))
    except CatalogError as error:
        return Finding("photo_damaged", sha256, sku, str(error))
    if not looks_twice or details.kept(catalog.photos, sha256) is not None:
        return None
    message = f"The details of photo {sha256[:12]} are missing or damaged."
    if not repair:
        return Finding("details_missing", sha256, sku, message)
    try:
        details.of_photo(catalog.photos, sha256)
    except ImageError as error:
        return Finding("photo_damaged", sha256, sku, str(error))
    mended = details.kept(catalog.photos, sha256) is not None
    return Finding("details_missing", sha256, sku, message, mended=mended)

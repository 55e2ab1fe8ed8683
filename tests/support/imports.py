"""Imports in tests."""

from __future__ import annotations

import io
import uuid
from collections.abc import Mapping, Sequence

from catalog.catalog import Catalog
from catalog.storage import Database
from catalog.storage.tables import ImportJob
from catalog.transfer import ImportWorker, Item, import_jobs, preview
from catalog.transfer.import_jobs import Piece
from tests.support.pictures import jpeg

LIST = b"Artikel;photos;Titel;Farbe\nA;1.jpg;Tea;green\nB;2.jpg;Milk;\nC;absent.jpg;;\n"
MAPPING = {"sku": "Artikel", "photos": "photos", "name": "Titel", "brand": "", "attribute:Farbe": "Farbe"}


def pieces(files: Mapping[str, bytes]) -> list[Piece]:
    return [Piece(path, 0, io.BytesIO(data)) for path, data in files.items()]


def uploaded(catalog: Catalog, files: Mapping[str, bytes]) -> uuid.UUID:
    job = import_jobs.start(catalog, "upload", actor="anna")
    import_jobs.add_files(catalog, job, pieces(files))
    import_jobs.complete(catalog, job)
    return job


def listed(catalog: Catalog) -> uuid.UUID:
    job = uploaded(catalog, {"shop/list.csv": LIST, "shop/1.jpg": jpeg(1), "shop/2.jpg": jpeg(2)})
    import_jobs.choose_columns(catalog, job, MAPPING)
    return job


def state(catalog: Catalog, job: uuid.UUID) -> str:
    return import_jobs.get(catalog.database, job).state


def run(catalog: Catalog, job: uuid.UUID, *, update_facts: bool = False) -> ImportJob:
    import_jobs.run(catalog.database, job, update_facts=update_facts, actor="anna")
    assert ImportWorker(catalog).step()
    return import_jobs.get(catalog.database, job)


def many(catalog: Catalog, count: int) -> uuid.UUID:
    job = uploaded(catalog, {f"in/S{seed}/1.jpg": jpeg(seed) for seed in range(count)})
    ImportWorker(catalog).step()
    return job


def errors_of(database: Database, items: Sequence[Item]) -> list[str]:
    """All errors of a source, by line."""
    return [f"{line.source}: {error}" for line in preview(database, items) for error in line.errors]

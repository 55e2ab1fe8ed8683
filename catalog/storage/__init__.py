"""Storage: the SQL database and the photo store."""

from __future__ import annotations

from pathlib import Path

from catalog.storage import (
    answer_counts,
    audit_log,
    bin_rows,
    bundle_store,
    change_events,
    change_feed,
    change_rows,
    database,
    feature_store,
    named_requests,
    product_rows,
    revision,
    row_codec,
    tables,
)
from catalog.storage.answer_log import AnswerEntry, AnswerLog, made_at, new_answer_id
from catalog.storage.database import Database
from catalog.storage.last_uses import LastUses
from catalog.storage.photo_store import PhotoStore, StoredFile, content_hash
from catalog.storage.unanswered_photos import AskedPhoto, UnansweredPhotos

__all__ = [
    "AnswerEntry",
    "AnswerLog",
    "AskedPhoto",
    "Database",
    "LastUses",
    "PhotoStore",
    "StoredFile",
    "UnansweredPhotos",
    "answer_counts",
    "audit_log",
    "bin_rows",
    "bundle_store",
    "change_events",
    "change_feed",
    "change_rows",
    "content_hash",
    "database",
    "feature_store",
    "made_at",
    "named_requests",
    "new_answer_id",
    "open_store",
    "product_rows",
    "revision",
    "row_codec",
    "tables",
]


def open_store(url: str) -> PhotoStore:
    """The photo store at `file:PATH` or `s3://BUCKET/PREFIX`. Raises ConfigError."""
    # Imported only when used: a catalog on a folder never loads the library for buckets.
    if url.startswith("s3://"):
        from catalog.storage.photo_bucket import S3Store

        return S3Store(url)
    from catalog.storage.photo_folder import FolderStore

    return FolderStore(Path(url.removeprefix("file:")))

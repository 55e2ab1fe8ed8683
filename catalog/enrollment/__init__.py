"""Enrollment, the write side: photo -> features -> gallery, with proof that each photo finds itself."""

from __future__ import annotations

from catalog.enrollment import backlog, early_uploads, outbox, photo_rows
from catalog.enrollment.enrolling import catch_up, enroll, finds_itself
from catalog.enrollment.outbox import note_failures, run_pending
from catalog.enrollment.stored_photos import extract_stored
from catalog.enrollment.uploads import NewPhoto, ReadPhoto, Upload, read_photo, read_photos
from catalog.enrollment.worker import Worker

__all__ = [
    "NewPhoto",
    "ReadPhoto",
    "Upload",
    "Worker",
    "backlog",
    "catch_up",
    "early_uploads",
    "enroll",
    "extract_stored",
    "finds_itself",
    "note_failures",
    "outbox",
    "photo_rows",
    "read_photo",
    "read_photos",
    "run_pending",
]

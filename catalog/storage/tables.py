"""Tables (SQLAlchemy models). No behaviour, no side effects: the use cases are in the other packages.

This is their face; each domain has a module of its own.
"""

from __future__ import annotations

from catalog.storage.account_tables import ApiKey, AuditEntry, Invitation, SentForm, SignIn, User
from catalog.storage.answer_tables import Feedback, InboxPhoto, RecognitionEntry
from catalog.storage.change_tables import Change, ChangeFeed
from catalog.storage.early_tables import EarlyUpload
from catalog.storage.gallery_tables import (
    LOST,
    ComparedPhoto,
    Enrollment,
    Generation,
    LeftOutAnswer,
    LookAlikePair,
    MarginDue,
    ProductMargin,
    Removal,
)
from catalog.storage.import_tables import ImportJob, ImportLine
from catalog.storage.judgement_tables import GoldenPhoto, JudgedQuery, Judgement
from catalog.storage.map_tables import GalleryMap, MapPair, MapPoint
from catalog.storage.product_tables import (
    Barcode,
    BinEntry,
    BinPhoto,
    DifferentProducts,
    Label,
    Photo,
    PhotoColumns,
    Product,
)
from catalog.storage.request_tables import NamedRequest
from catalog.storage.run_tables import CoverageDay, ProductCoverage, Run
from catalog.storage.table_base import Base, UtcDateTime, now
from catalog.storage.webhook_tables import Webhook, WebhookDelivery

__all__ = [
    "LOST",
    "ApiKey",
    "AuditEntry",
    "Barcode",
    "Base",
    "BinEntry",
    "BinPhoto",
    "Change",
    "ChangeFeed",
    "ComparedPhoto",
    "CoverageDay",
    "DifferentProducts",
    "EarlyUpload",
    "Enrollment",
    "Feedback",
    "GalleryMap",
    "Generation",
    "GoldenPhoto",
    "ImportJob",
    "ImportLine",
    "InboxPhoto",
    "Invitation",
    "JudgedQuery",
    "Judgement",
    "Label",
    "LeftOutAnswer",
    "LookAlikePair",
    "MapPair",
    "MapPoint",
    "MarginDue",
    "NamedRequest",
    "Photo",
    "PhotoColumns",
    "Product",
    "ProductCoverage",
    "ProductMargin",
    "RecognitionEntry",
    "Removal",
    "Run",
    "SentForm",
    "SignIn",
    "User",
    "UtcDateTime",
    "Webhook",
    "WebhookDelivery",
    "now",
]

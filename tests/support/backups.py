"""A catalog with something in every table, and all its rows."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from catalog import accounts, webhooks
from catalog.catalog import Catalog
from catalog.storage.tables import (
    Barcode,
    Base,
    BinEntry,
    BinPhoto,
    CoverageDay,
    DifferentProducts,
    Feedback,
    Generation,
    GoldenPhoto,
    Label,
    LeftOutAnswer,
    NamedRequest,
    Product,
    ProductCoverage,
    ProductMargin,
    RecognitionEntry,
    Removal,
)
from tests.support.steps import create, create_each


def fill(catalog: Catalog) -> None:
    """Something in every table."""
    create_each(catalog, 1, 2)
    create(catalog, "Ä-tea", 3, 4, name="Grüner Tee", brand="Müller", category="Tea")
    accounts.add_user(catalog.database, "anna", "correct horse", actor="test")
    key = accounts.add_key(catalog.database, "till 0", actor="test")
    webhooks.add_webhook(catalog.database, "ERP", "https://erp.example/", ["products", "inbox"], actor="test")
    with catalog.database.write() as session:
        tea = session.scalars(select(Product).where(Product.sku == "Ä-tea")).one()
        tea.attributes = {"size": [330, "ml"], "note": "ä\u2028\n"}
        session.add(Barcode(gtin="04006381333931", product=tea))
        session.add(Label(name="store 12", product=tea))
        tea.photos[0].original, tea.photos[0].crop = "f" * 64, [0.1, 0.2, 0.9, 1.0]
        asked = uuid.uuid4()
        facts = {"decision": "match", "decided_by": "embedding", "bundle_id": "0" * 12, "milliseconds": 1 / 3}
        session.add(RecognitionEntry(id=asked, product_id=tea.id, sku="Ä-tea", score=0.1 + 0.2, **facts))
        session.flush()
        session.add(Feedback(recognition_id=asked, actor="till", correct=False, sku="S1", note="no"))
        live = session.scalars(select(Generation).where(Generation.live)).one()
        session.add(Removal(generation_id=live.id, point_id=uuid.uuid4()))
        other = session.scalars(select(Product).where(Product.sku == "S1")).one()
        for photo in tea.photos:
            answered = {"product_id": tea.id, "first_id": other.id, "second_id": tea.id, "margin": 0.1 + 0.2}
            session.add(LeftOutAnswer(generation_id=live.id, photo_id=photo.id, **answered))
        needed = {"product_id": other.id, "margin": 1 / 3, "rival_id": tea.id, "matches": 2, "wrong": 2}
        session.add(ProductMargin(generation_id=live.id, **needed))
        photo_facts = {"filename": "1.jpg", "bytes": 9, "width": 3, "height": 2, "crop": [0.1, 0.2, 0.9, 1.0]}
        gone = BinPhoto(photo_id=uuid.uuid4(), sha256=other.photos[0].sha256, **photo_facts)
        owner = {"product_id": other.id, "sku": "S1", "name": "S1", "product": {"sku": "S1"}}
        session.add(BinEntry(actor="anna", photos=[gone], **owner))
        session.add(CoverageDay(day="2026-01-02", products=3, asked=2, found=1, needy=2))
        told = {"photos": 2, "asked": 2, "found": 1, "rival_times": 1, "advice": [["not_found", "ä"]]}
        session.add(
            ProductCoverage(product_id=tea.id, run_id=uuid.uuid4(), generation_id=live.id, rival_id=other.id, **told)
        )
        session.add(GoldenPhoto(sha256=tea.photos[0].sha256, product_id=tea.id, sku="Ä-tea", actor="anna"))
        answered = {"told": {"sku": "S1"}, "status": 201, "headers": {"ETag": '"a"'}, "body": '{"sku": "ä"}'}
        session.add(NamedRequest(key_id=key.id, name="once", fingerprint="0" * 64, attempt=uuid.uuid4(), **answered))
        session.add(DifferentProducts(one_id=min(tea.id, other.id), other_id=max(tea.id, other.id), actor="anna"))


def content(catalog: Catalog) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, but for what a restore is to change."""
    result: dict[str, list[dict[str, Any]]] = {}
    with catalog.database.read() as session:
        for table in Base.metadata.sorted_tables:
            found = session.execute(select(table).order_by(*table.primary_key)).mappings()
            result[table.name] = [dict(row) for row in found]
    for name in ("change", "change_feed"):  # each database has a feed of its own
        del result[name]
    for row in result["webhook"]:
        for name in ("cursor", "paused"):
            del row[name]
    for row in result["enrollment"]:
        for name in ("done", "attempts", "error", "updated_at"):
            del row[name]
    result["audit"] = [row for row in result["audit"] if row["action"] not in ("catalog.restore", "gallery.rebuild")]
    return result

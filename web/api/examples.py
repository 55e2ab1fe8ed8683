"""Examples of what is taken and answered, by the name of its model; a test holds them against the models."""

from __future__ import annotations

from typing import Any

from web import problems

_PHOTO = "8d0c3e6f2b7a4c1d9e5f8a6b3c2d1e0f7a9b8c6d5e4f3a2b1c0d9e8f7a6b5c4d"

_TEA = "/api/v1/products/TEA-1"
_ID = "5e0c3f0a-52c4-5a0e-8f5b-6d3f5f1f7f10"
_STORED: dict[str, Any] = {
    "id": _ID,
    "sha256": _PHOTO,
    "filename": "front.jpg",
    "width": 1200,
    "height": 1600,
    "bytes": 284113,
    "source": "api",
    "cover": True,
    "warnings": [],
    "state": "searchable",
    "reason": "",
    "created_at": "2026-03-02T08:15:00Z",
    "url": f"{_TEA}/photos/{_ID}",
    "file_url": f"{_TEA}/photos/{_ID}/file",
}
_FACTS: dict[str, Any] = {
    "name": "Green tea",
    "brand": "Teeladen",
    "category": "Tea",
    "variant_group": "green tea",
    "labels": ["store 12"],
    "attributes": {"size": "20 bags"},
    "barcodes": ["04006381333931"],
    "active": True,
}
_PRODUCT: dict[str, Any] = {
    "sku": "TEA-1",
    **_FACTS,
    "searchable": True,
    "photos": [_STORED],
    "created_at": "2026-03-02T08:15:00Z",
    "updated_at": "2026-03-02T08:15:00Z",
    "etag": '"bdcf1738953a760b"',
    "url": _TEA,
}
_SENT = {
    "filename": "front.png",
    "data": "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAALklEQVR4nGPUiLJhIAUwkaSaLhpYkDkLorArSlhGgQ2jGogB"
    "KPGAHN5Us4H2GgCd/QPoTGcjTQAAAABJRU5ErkJggg==",
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "Recognition": {
        "decision": "match",
        "matches": [
            {
                "sku": "KIBO-ORANGE-330",
                "name": "KIBO Fizz Soda Orange, 330 ml",
                "score": 0.7312,
                "evidence": {
                    "photo": _PHOTO,
                    "points": 84,
                    "outline": [[0.31, 0.12], [0.68, 0.15], [0.66, 0.91], [0.28, 0.88]],
                },
                "photo": {
                    "id": "5b2e6c8e-6f0a-5c56-9d7e-2f0c8c1d3b4a",
                    "sha256": _PHOTO,
                    "thumbnail": f"/api/v1/photos/{_PHOTO}/thumbnail",
                },
                "brand": "KIBO",
                "category": "Drinks",
                "variant_group": "KIBO-330",
                "barcodes": ["04006381333931"],
                "differs": None,
            }
        ],
        "decided_by": "details",
        "confidence": 0.9971,
        "barcodes": [],
        "mirrored": False,
        "complete": True,
        "looked_at": {"photos": 5, "of": 60},
        "bundle": "3f2a9c0d1e4b",
        "milliseconds": 49.8,
        "timings": {"decode": 1.4, "embed": 10.1, "search": 1.9, "barcodes": 0.0, "second_look": 35.6, "facts": 0.4},
        "id": "0f4b2c1e-6a0d-4d43-9a5e-0f3f6f3b6a55",
    },
    "Added": {
        "sku": "TEA-1",
        "name": "Green tea",
        "searchable": True,
        "milliseconds": 61.4,
        "photos": [
            {
                "id": "5e0c3f0a-52c4-5a0e-8f5b-6d3f5f1f7f10",
                "filename": "front.jpg",
                "sha256": _PHOTO,
                "state": "searchable",
                "details": 312,
                "duplicate": False,
                "reason": "",
                "like": None,
                "warnings": [],
            }
        ],
        "barcodes": ["04006381333931"],
        "barcodes_found": [{"gtin": "05449000000996", "sku": None}],
    },
    "Product": _PRODUCT,
    "ProductList": {"products": [_PRODUCT], "next": "WyI5YzFmMDAxYSIsIlRFQS0xIl0", "total": 1204},
    "StoredPhoto": _STORED,
    "PhotoList": {"photos": [_STORED]},
    "Deleted": {
        "sku": "TEA-1",
        "entry": "79d9d482-a9f2-461b-a116-631acbc6ea21",
        "restore_url": "/api/v1/bin/79d9d482-a9f2-461b-a116-631acbc6ea21/restore",
    },
    "CreateBody": {"sku": "TEA-1", **_FACTS, "photos": [_SENT]},
    "PutBody": {**_FACTS, "photos": [_SENT]},
    "PatchBody": {"category": "Tea", "attributes": {"size": "25 bags", "color": None}},
    "RenameBody": {"sku": "TEA-2"},
    "AddPhotosBody": {"photos": [_SENT]},
    "FeedbackForm": {"correct": False, "sku": "TEA-2", "note": "another flavor"},
}


def problem(code: str) -> dict[str, Any]:
    """An example of a problem of this code."""
    kind = problems.KINDS[code]
    said = {"type": problems.path_of(code), "title": kind.title, "status": kind.status, "code": code}
    found = {**said, "detail": kind.means, "request_id": "5f0c1f0e7f4d4d0c8f3a6f1f0a8f7d11"}
    if code == "invalid_input":
        detail = "The SKU is missing."
        return {**found, "detail": detail, "field": "sku", "errors": [{"field": "sku", "detail": detail}]}
    return found

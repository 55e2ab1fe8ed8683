from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from catalog import products
from catalog.catalog import Catalog
from catalog.storage import answer_counts
from catalog.storage.tables import RecognitionEntry, now
from tests.support.steps import create


def test_matches_are_counted_by_day(catalog: Catalog) -> None:
    create(catalog, "A", 1)
    product = products.get(catalog.database, "A").id
    assert answer_counts.recognized(catalog.database, product).last is None
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)

    def match(at: datetime, decision: str = "match") -> RecognitionEntry:
        facts = {"decided_by": "embedding", "bundle_id": "x", "milliseconds": 1.0, "decision": decision}
        return RecognitionEntry(id=uuid.uuid4(), at=at, product_id=product if decision == "match" else None, **facts)

    moment = timedelta(microseconds=1)
    with catalog.database.write() as session:
        session.add_all(
            [match(midnight), match(midnight, "unknown"), match(midnight - moment), match(midnight - timedelta(days=1))]
        )
        session.add_all([match(midnight - timedelta(days=2)), match(midnight - timedelta(days=2) - moment)])
    counted = answer_counts.recognized(catalog.database, product, days=3)
    assert [count for _, count in counted.days] == [1, 2, 1]
    assert [day for day, _ in counted.days][-1] == midnight.date()
    assert (counted.total, counted.most, counted.last) == (4, 2, midnight)

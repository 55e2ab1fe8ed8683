"""Lines of a list that contradict each other, or the catalog."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.errors import SkuAlikeError
from catalog.normalization import sku_key
from catalog.products import check_facts
from catalog.transfer.existing import Existing
from catalog.transfer.sources import AGREED, Item
from embedder.barcodes import gtin


class Across:
    """Remembers the facts of valid lines, to find contradictions between lines."""

    def __init__(self) -> None:
        self._barcodes: dict[str, tuple[str, str]] = {}  # 14 digits -> SKU, line
        self._facts: dict[tuple[str, str], tuple[str, str]] = {}  # SKU, fact -> value, line
        self._skus: dict[str, tuple[str, str]] = {}  # key -> SKU, line
        self._active: dict[str, tuple[bool, str]] = {}

    def contradictions(self, item: Item, there: Existing) -> Iterator[str]:
        """How this line contradicts an earlier one, or the catalog."""
        facts = check_facts(item.facts)
        if facts.sku not in there.photos:  # an older catalog may have two such SKUs
            sku, line = self._skus.setdefault(sku_key(facts.sku), (facts.sku, item.source))
            if facts.sku in there.alike:
                yield str(SkuAlikeError(facts.sku, there.alike[facts.sku]))
            elif sku != facts.sku:
                yield f"The SKU {facts.sku!r} differs from {sku!r} only in capitals, width or blanks: {line}."
        for number in facts.barcodes:
            owner = there.owners.get(number, facts.sku)
            sku, line = self._barcodes.setdefault(number, (facts.sku, item.source))
            if owner != facts.sku:
                yield f"The barcode {gtin.printed_gtin(number)} belongs to the product {owner!r}."
            elif sku != facts.sku:
                yield f"The barcode {gtin.printed_gtin(number)} is that of {sku!r}, too: {line}."
        for name in AGREED:
            if not (getattr(item.facts, name) or "").strip():
                continue
            value = getattr(facts, name)
            said, line = self._facts.setdefault((facts.sku, name), (value, item.source))
            if said != value:
                yield f"The {name.replace('_', ' ')} of {facts.sku!r} is {value!r} here and {said!r} before: {line}."
        now_active = item.active is not False
        active, line = self._active.setdefault(facts.sku, (now_active, item.source))
        if active != now_active:
            yield f"{facts.sku!r} is active in one line and retired in another: {line}."

"""Which products look like a photo, for a person who searches the catalog by it: no till's answer, logged nowhere."""

from __future__ import annotations

from catalog.catalog import Catalog
from catalog.recognition.candidates import Match, nearest_products
from catalog.recognition.recognizing import recognize_by
from catalog.recognition.reranking import Budget

#: Products that are shown.
ALIKE = 24


def find_alike(catalog: Catalog, data: bytes, *, filename: str = "", limit: int = ALIKE) -> list[Match]:
    """Bytes of an image file -> at most `limit` products, those that recognition finds first, then the nearest.

    Raises what `recognize` does.
    """
    budget = Budget(catalog.settings.second_look_ms / 1000)
    live = catalog.generations.ready()  # once: after a switch the vector would be of another model than the gallery
    answer = recognize_by(catalog, live, data, budget, filename=filename)
    near = nearest_products(catalog, live, answer.vector, limit)
    found: dict[str, Match] = {}
    for match in [*answer.matches, *near]:
        found.setdefault(match.sku, match)
    return list(found.values())[:limit]

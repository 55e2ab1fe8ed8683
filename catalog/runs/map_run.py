"""The gallery map as a run."""

from __future__ import annotations

from catalog.catalog import Catalog
from catalog.gallery_map import map_gallery
from catalog.runs.tasks import Outcome, Task


def work(catalog: Catalog, task: Task) -> Outcome:
    """Make the map; the option `anew` lays out all photos again. Raises what `map_gallery` does."""
    mapped = map_gallery(catalog, task.progress, anew=bool(task.options.get("anew")))
    if not mapped.made:
        return Outcome("No photo came or went since the last map.", {"photos": mapped.photos})
    photos = _several(mapped.photos, "photo is", "photos are")
    pairs = _several(mapped.pairs, "pair of products looks", "pairs of products look")
    said = f"{photos} on the map, {mapped.apart} of them apart; {pairs} alike."
    return Outcome(said, {"photos": mapped.photos, "apart": mapped.apart, "pairs": mapped.pairs})


def _several(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"

"""The doctor: find what is missing or damaged in a catalog, and rebuild it where possible."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.catalog import Catalog
from catalog.errors import StorageError
from catalog.maintenance import gallery_checks
from catalog.maintenance.findings import Finding
from catalog.maintenance.margin_checks import check_margins
from catalog.maintenance.photo_checks import check_files, check_photos
from catalog.progress import Progress, no_progress


def examine(
    catalog: Catalog,
    *,
    repair: bool = False,
    remove_orphans: bool = False,
    remake: bool = False,
    ask_gallery: bool = True,
    serving: bool = False,
    progress: Progress = no_progress,
) -> Iterator[Finding]:
    """Check every photo of every product (and its local features if the live model re-ranks), the files of the photo
    store, the gallery, and the products' margins.

    `repair` rebuilds all that can be rebuilt. A lost photo can't be: its product needs a new one. `remove_orphans`
    removes files that no row has referred to for ORPHAN_AGE, and collections without a generation.
    `remake` drops a collection of the gallery that can't be read, and makes it anew: until the live one is filled,
    tills are not answered by it. `ask_gallery=False` skips the gallery. `serving`: this process answers tills, so the
    live collection stays open, and nothing is done on the embedder's threads. `progress` counts photos; it is called in
    the other parts, too, every few seconds, and may end the check by raising. Raises DatabaseUnavailableError, or
    ConfigError for a damaged live bundle; another part that does not answer is a finding.
    """
    last = (0, 0)

    def reach(done: int, total: int) -> None:
        nonlocal last
        last = done, total
        progress(done, total)

    def step() -> None:
        progress(*last)

    try:
        yield from check_photos(catalog, repair=repair, progress=reach)
        yield from check_files(catalog, remove=remove_orphans, step=step)
    except StorageError as error:
        yield Finding("photos_not_asked", f"{error} The photos were not looked at (further).")
    step()
    yield from gallery_checks.examine(
        catalog,
        repair=repair,
        remove_orphans=remove_orphans,
        ask_gallery=ask_gallery,
        remake=remake,
        serving=serving,
        step=step,
    )
    step()
    yield from check_margins(catalog, repair=repair)

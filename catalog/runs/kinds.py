"""The kinds of runs. One more is one more entry of KINDS here, and of PAGES in web/admin/jobs.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from catalog.catalog import Catalog
from catalog.errors import ConfigError, GalleryRefillingError
from catalog.gallery_map import is_installed
from catalog.runs import coverage_run, doctor_run, map_run, reembedding_run
from catalog.runs.tasks import Outcome, Task

#: A run that is a command's alone, of catalog/nightly, and asks for others.
NIGHT = "nightly"


@dataclass(frozen=True)
class Kind:
    """A kind of run: `name` as it is stored (at most 20 characters), `title` for people, `work` does it.

    `work` does what takes processor time within `right_of_way.piece()`, calls `task.progress` every few seconds, lets
    what that raises pass, and can be begun again after it was killed at any moment. It raises a CatalogError, an
    EmbedderError or an OSError when it can't go on.

    `apart`: it is done by a process of its own, as work that takes many cores, builds another model's gallery, or holds
    Python's lock for long; else by a thread of the process that has the gallery open. `nightly`: every
    night, at CATALOG_NIGHTLY. `obstacle`: why this process can't begin it now, "" if it can; it waits, also for another
    process. Raises DatabaseUnavailableError.
    """

    name: str
    title: str
    work: Callable[[Catalog, Task], Outcome]
    apart: bool = False
    nightly: bool = False
    obstacle: Callable[[Catalog], str] = lambda catalog: ""


def _refilling(catalog: Catalog) -> str:
    try:
        catalog.generations.check_filled(catalog.generations.live())
    except GalleryRefillingError as error:
        return str(error)
    except ConfigError:  # no model can be loaded: the work says so
        pass
    return ""


def _no_map(catalog: Catalog) -> str:
    return _refilling(catalog) if is_installed() else "It waits for a process that has the extra `map` installed."


KINDS = {
    kind.name: kind
    for kind in (
        Kind("coverage", "Examine all photos", coverage_run.work, nightly=True, obstacle=_refilling),
        # Where no process has the extra, none would ever be made.
        Kind("map", "Map the gallery", map_run.work, nightly=is_installed(), obstacle=_no_map),
        Kind("doctor", "Check the catalog", doctor_run.work, nightly=True),
        Kind("reembed", "Embed all photos again", reembedding_run.work, apart=True),
    )
}

"""Coverage as a run."""

from __future__ import annotations

from catalog.catalog import Catalog
from catalog.maintenance.coverage import examine_coverage
from catalog.runs.tasks import Outcome, Task


def work(catalog: Catalog, task: Task) -> Outcome:
    """Examine every active product. Raises a GalleryError."""
    products = asked = found = needy = 0
    for product in examine_coverage(catalog, progress=task.progress, polite=True):
        products += 1
        asked += product.asked
        found += product.found
        needy += bool(product.advice)
    said = f"{found} of {asked} photos find their product by its other photos." if asked else "No photo could be asked."
    return Outcome(said, {"products": products, "asked": asked, "found": found, "needy": needy})

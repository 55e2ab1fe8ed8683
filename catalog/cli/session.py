"""What all commands of `catalog` share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.config import Settings

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from catalog.progress import Progress

#: The actor in the audit log.
ACTOR = "cli"
#: The id of a model, as embedder/bundle.py makes it.
MODEL_ID = re.compile("[0-9a-f]{12}")


@contextmanager
def opened() -> Iterator[Catalog]:
    """The catalog of the environment's settings, closed at the end. Raises what Catalog.open does."""
    from catalog.catalog import Catalog

    catalog = Catalog.open(Settings.from_env())
    try:
        yield catalog
    finally:
        catalog.close()


@contextmanager
def progress_bar(unit: str, quiet: bool, doing: str | None = None) -> Iterator[Progress]:
    """A progress bar on the terminal, as a Progress; the unit "B" is bytes."""
    from tqdm import tqdm

    with tqdm(unit=unit, unit_scale=unit == "B", desc=doing, disable=quiet) as bar:

        def reach(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield reach

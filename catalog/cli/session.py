"""What the commands of `catalog` share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from catalog.config import Settings

if TYPE_CHECKING:
    from catalog.catalog import Catalog

#: Who did it, in the audit log.
ACTOR = "cli"


@contextmanager
def opened() -> Iterator[Catalog]:
    """The catalog of the environment's settings, closed at the end. Raises what Catalog.open does."""
    from catalog.catalog import Catalog

    catalog = Catalog.open(Settings.from_env())
    try:
        yield catalog
    finally:
        catalog.close()

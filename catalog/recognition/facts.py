"""What a person is told about a match: facts of the product, and what tells it from another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class KnownProduct:
    """Facts of a product. `barcodes`: 14 digits each."""

    brand: str = ""
    category: str = ""
    variant_group: str = ""
    barcodes: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


#: Of a product of which nothing was looked up.
NO_FACTS = KnownProduct()


@dataclass(frozen=True)
class Difference:
    """A fact in which two products differ, and the value of each, "" where it has none; of names, the words."""

    fact: str
    value: str
    other: str


@dataclass(frozen=True)
class Differs:
    """What tells a product from that of the SKU `other`. `places`: x and y, in fractions of the photo's width and
    height, of details that agree with the product and not with the other one.
    """

    other: str
    facts: tuple[Difference, ...]
    places: tuple[tuple[float, float], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        places = [list(place) for place in self.places]
        return {"other": self.other, "facts": [asdict(fact) for fact in self.facts], "places": places}

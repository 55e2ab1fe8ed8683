"""What both generations answered, in figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from catalog.storage.tables import JudgedQuery

#: Products that a report lists, at most: those that changed most. All are counted.
LISTED = 500


@dataclass(frozen=True)
class Figures:
    """The answers of one generation. Of `known` queries, whose product is in the catalog: `first`, the right product is
    the first match; `matched`, the decision is a match; `wrong`, it is a match with another product. Of `unknown` ones,
    whose product is not: `accepted`, it is a match nonetheless.
    """

    known: int = 0
    first: int = 0
    matched: int = 0
    wrong: int = 0
    unknown: int = 0
    accepted: int = 0

    @property
    def first_share(self) -> float:
        """Of the known queries; 1 without any."""
        return self.first / self.known if self.known else 1.0

    @property
    def matched_share(self) -> float:
        """Of the known queries; 1 without any."""
        return self.matched / self.known if self.known else 1.0

    @property
    def wrong_share(self) -> float:
        """Of the matches; 0 without any."""
        return self.wrong / self.matched if self.matched else 0.0

    @property
    def accepted_share(self) -> float:
        """Of the unknown queries; 0 without any."""
        return self.accepted / self.unknown if self.unknown else 0.0


@dataclass(frozen=True)
class ByProduct:
    """Of `asked` known queries of a product, how many had it first by the `live` generation and by the `new` one."""

    sku: str
    asked: int
    live: int
    new: int


@dataclass(frozen=True)
class Report:
    """Both generations side by side. `asked`: queries by kind; `seed`: that they were drawn by.

    `worse` and `better`: queries that the new one answers worse or better. `products`: those that differ, the one that
    lost most first, LISTED at most.
    """

    seed: int
    asked: dict[str, int]
    live: Figures
    new: Figures
    worse: int
    better: int
    products: list[ByProduct] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Report:
        """The report that `as_dict` made JSON of."""
        products = [ByProduct(**product) for product in told["products"]]
        sides = {side: Figures(**told[side]) for side in ("live", "new")}
        return cls(**{**told, **sides, "products": products})


#: What the kinds of queries are called, for several.
KINDS = {"till": "photos of tills", "golden": "golden photos", "catalog": "photos of the catalog"}


def side_by_side(report: Report) -> list[tuple[str, str, str]]:
    """The figures for a person: what is counted, by the live generation, by the new one."""
    live, new = report.live, report.new
    rows = []
    if live.known:
        rows += [
            ("the right product is first", _of(live.first, live.known), _of(new.first, new.known)),
            ("matched", _of(live.matched, live.known), _of(new.matched, new.known)),
            ("wrong, of the matches", _of(live.wrong, live.matched), _of(new.wrong, new.matched)),
        ]
    if live.unknown:
        rows.append(
            ("not in the catalog, yet matched", _of(live.accepted, live.unknown), _of(new.accepted, new.unknown))
        )
    return rows


def _of(count: int, total: int) -> str:
    return f"{count} of {total}" + (f" ({count / total:.1%})" if total else "")


def grade(known: bool, answer: Mapping[str, Any]) -> int:
    """How good an answer is: a right match, the right product first but no match, no match and another product first,
    a wrong match (0). Without a product in the catalog: no match, or a match (0).
    """
    is_match = answer["decision"] == "match"
    if not known:
        return 0 if is_match else 1
    if answer["right"]:
        return 3 if is_match else 2
    return 0 if is_match else 1


def make_report(seed: int, rows: Iterable[JudgedQuery]) -> Report:
    """Queries that both generations have answered -> the figures of both."""
    asked: Counter[str] = Counter()
    sides: dict[str, Counter[str]] = {"live": Counter(), "new": Counter()}
    products: dict[str, Counter[str]] = defaultdict(Counter)
    worse = better = 0
    for row in rows:
        if row.live is None or row.new is None:
            continue
        asked[row.kind] += 1
        for side, answer in (("live", row.live), ("new", row.new)):
            _count(sides[side], row.known, answer)
            if row.known:
                products[row.sku][side] += answer["right"]
        if row.known:
            products[row.sku]["asked"] += 1
        before, after = grade(row.known, row.live), grade(row.known, row.new)
        worse, better = worse + (after < before), better + (after > before)
    changed = [
        ByProduct(sku, counts["asked"], counts["live"], counts["new"])
        for sku, counts in products.items()
        if counts["live"] != counts["new"]
    ]
    changed.sort(key=lambda product: ((product.new - product.live) / product.asked, -product.asked, product.sku))
    if len(changed) > LISTED:  # both ends: what lost most, and what won most
        changed = [*changed[: LISTED // 2], *changed[-(LISTED // 2) :]]
    live, new = (Figures(**{name: counts[name] for name in Figures.__annotations__}) for counts in sides.values())
    return Report(seed, dict(asked), live, new, worse, better, changed)


def _count(counts: Counter[str], known: bool, answer: Mapping[str, Any]) -> None:
    is_match = answer["decision"] == "match"
    if not known:
        counts["unknown"] += 1
        counts["accepted"] += is_match
        return
    counts["known"] += 1
    counts["first"] += answer["right"]
    counts["matched"] += is_match
    counts["wrong"] += is_match and not answer["right"]

"""The rules that a new generation must keep to be switched to without a person."""

from __future__ import annotations

from collections.abc import Iterator

from catalog.config import Settings
from catalog.judging.figures import Report

#: Photos from which on a product's own fall counts, and that of photos of no product: with fewer, one alone would be
#: half of them.
ENOUGH = 4
#: Products that a sentence names, at most.
NAMED = 5
#: Shares are fractions of counts: a fall by exactly what is allowed is allowed.
ROUNDING = 1e-9


def broken_rules(report: Report, settings: Settings) -> list[str]:
    """The rules that a report breaks, a sentence each, for a person."""
    return [
        *_fell(report, settings.switch_worse),
        *_products_fell(report, settings.switch_product),
        *_wrong(report, settings.switch_wrong),
    ]


def _fell(report: Report, most: float) -> Iterator[str]:
    live, new = report.live, report.new
    if live.first_share - new.first_share > most + ROUNDING:
        yield (
            f"The right product is first for {new.first} of {new.known} photos ({_percent(new.first_share)}), by the "
            f"live model for {live.first} ({_percent(live.first_share)}): it may fall by {_percent(most)} at most "
            "(CATALOG_SWITCH_WORSE)."
        )


def _products_fell(report: Report, most: float) -> Iterator[str]:
    fallen = [
        product
        for product in report.products
        if product.asked >= ENOUGH and (product.live - product.new) / product.asked > most + ROUNDING
    ]
    if fallen:
        named = ", ".join(
            f"{product.sku} (first for {product.new} of {product.asked} photos, before for {product.live})"
            for product in fallen[:NAMED]
        )
        more = f" and {len(fallen) - NAMED} more" if len(fallen) > NAMED else ""
        who = "A product is" if len(fallen) == 1 else f"{len(fallen)} products are"
        yield (
            f"{who} first for fewer of at least {ENOUGH} photos, by more than {_percent(most)} of them "
            f"(CATALOG_SWITCH_PRODUCT): {named}{more}."
        )


def _wrong(report: Report, most: float) -> Iterator[str]:
    live, new = report.live, report.new
    allowed = f"{_percent(most)} may be, or as many as by the live model (CATALOG_SWITCH_WRONG)."
    if new.wrong_share > max(most, live.wrong_share) + ROUNDING:
        yield (
            f"{new.wrong} of {new.matched} matches ({_percent(new.wrong_share)}) are wrong, by the live model "
            f"{live.wrong} of {live.matched} ({_percent(live.wrong_share)}): {allowed}"
        )
    if new.unknown >= ENOUGH and new.accepted_share > max(most, live.accepted_share) + ROUNDING:
        yield (
            f"{new.accepted} of {new.unknown} photos of no product of the catalog ({_percent(new.accepted_share)}) are "
            f"matched all the same, by the live model {live.accepted} ({_percent(live.accepted_share)}): {allowed}"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"

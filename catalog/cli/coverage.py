"""`catalog coverage` and `catalog margins`: which products need another photo, or a greater margin."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from catalog.cli.session import ACTOR, opened, progress_bar

if TYPE_CHECKING:
    from catalog.maintenance import Coverage

#: Pairs of products mistaken for each other that are shown, at most.
PAIRS = 10


@click.command()
@click.option("--sku", default="", help="This product only.")
@click.option("--sample", type=click.IntRange(min=1), help="So many products only, drawn evenly.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a product, a line each.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def coverage(sku: str, sample: int | None, as_json: bool, quiet: bool) -> None:
    """Ask each photo for the others of its product: which products are found, which need another photo, and of what."""
    from catalog import runs
    from catalog.maintenance.coverage import confused, examine_coverage

    found: list[Coverage] = []

    def tell(examined: Iterable[Coverage]) -> Iterator[Coverage]:
        for product in examined:
            found.append(product)
            if as_json:
                click.echo(json.dumps(product.as_dict()))
            yield product

    with opened() as catalog, progress_bar("product", quiet) as progress:
        if sku or sample is not None:  # a part says nothing about the whole
            deque(tell(examine_coverage(catalog, sku=sku, sample=sample, progress=progress)), maxlen=0)
        else:
            with runs.recorded(catalog.database, "coverage", actor=ACTOR) as record:
                record.keep_coverage(tell(examine_coverage(catalog, progress=record.beside(progress))))
    if not as_json:
        _table(found, confused(found))


def _table(found: Sequence[Coverage], pairs: Sequence[tuple[str, str, int]]) -> None:
    width = max([len(product.sku) for product in found] + [len("SKU")])
    click.echo(f"{'SKU':{width}}  photos  found  advice")
    for product in sorted(found, key=lambda product: (1.0 if product.recall is None else product.recall, product.sku)):
        share = "-" if product.recall is None else f"{product.recall:.0%}"
        first, *more = [advice.message for advice in product.advice] or [""]
        click.echo(f"{product.sku:{width}}  {product.photos:6}  {share:>5}  {first}".rstrip())
        for message in more:
            click.echo(f"{'':{width}}                 {message}")
    for sku, other, times in pairs[:PAIRS]:
        click.echo(f"{sku} is mistaken for {other}: {times} times")
    asked, right = sum(product.asked for product in found), sum(product.found for product in found)
    needy = sum(bool(product.advice) for product in found)
    share = f"{right / asked:.1%}" if asked else "none"
    click.echo(f"{len(found)} products, {asked} photos asked, {share} found their product; {needy} need another photo")


@click.command("margins")
@click.option("--anew", is_flag=True, help="Ask every photo again, not only those that changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a product, a line each.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def margins_(anew: bool, as_json: bool, quiet: bool) -> None:
    """Fit each product's margin from the catalog's own photos; list those that need more than the model's.

    A serving process does this by itself after each change.
    """
    from catalog import margins

    with opened() as catalog:
        with progress_bar("product", quiet) as progress:
            asked = margins.refresh(catalog, catalog.generations.ready(), progress, anew=anew)
        found = list(margins.needed_margins(catalog.database))
        usual = catalog.generations.live().embedder.bundle.thresholds.margin
    for product in found:
        if as_json:
            click.echo(json.dumps(product.as_dict()))
        else:
            rival = product.rival or "a product that was deleted"
            because = f"{product.wrong} of {product.matches} photos that would match it show others, such as {rival}"
            click.echo(f"{product.sku}: {product.margin:.3f}: {because}")
    if not as_json:
        click.echo(f"{asked} photos asked; {len(found)} products need a margin above {usual:g}")

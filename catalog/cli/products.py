"""`catalog add|list|label|retire|unretire|rename|merge|purge`: products one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from catalog.cli.session import ACTOR, opened
from catalog.errors import PhotoQuestionableError

#: The orders of catalog.products, which this module loads in a command only.
SORTS = ("sku", "name", "newest", "recent", "most")


@click.command()
@click.argument("sku")
@click.argument("photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="Name of the product; the SKU when not given.")
@click.option("--brand", default="")
@click.option("--category", default="")
@click.option("--barcode", "barcodes", multiple=True, help="EAN or UPC; may be given several times.")
@click.option("--strict", is_flag=True, help="Refuse photos with warnings (blurred, there already).")
def add(
    sku: str, photos: tuple[Path, ...], name: str, brand: str, category: str, barcodes: tuple[str, ...], strict: bool
) -> None:
    """Add a product with its photos; searchable when the command ends."""
    from catalog import products
    from catalog.enrollment import NewPhoto
    from catalog.products import Facts, Intake

    with opened() as catalog:
        # Fails at once when another process holds the gallery: then use that server's pages.
        catalog.generations.ready()
        uploads = [NewPhoto(path.name, path.read_bytes()) for path in photos]
        facts = Facts(sku, name, brand, category, barcodes)
        try:
            added = products.create(
                catalog, facts, uploads, Intake(ACTOR, "cli", check="refuse" if strict else "report")
            )
        except PhotoQuestionableError as error:
            for other in error.rejected[1:]:  # the first is the error itself
                click.echo(f"catalog: {other}", err=True)
            raise
        for photo in added.photos:
            seen = "" if photo.details is None else f", details: {photo.details}"
            click.echo(f"{photo.filename}: {photo.state}{seen}{' - ' + photo.reason if photo.reason else ''}")
            for warning in photo.warnings:
                click.echo(f"{photo.filename}: {warning.message}", err=True)
        for barcode in added.barcodes_found:
            if barcode.sku != added.sku:
                said = f"belongs to {barcode.sku}" if barcode.sku else "is not kept: add it on the product's page"
                click.echo(f"the barcode {barcode.printed} was read from a photo, and {said}")
        click.echo(f"{added.sku}: {len(added.photos)} photos in {added.milliseconds:.0f} ms")


@click.command("list")
@click.argument("search", default="")
@click.option("--category", default="", help="Of this category.")
@click.option("--brand", default="", help="Of this brand.")
@click.option("--label", "in_set", default="", help="Of this set.")
@click.option("--group", default="", help="Of this variant group.")
@click.option("--few-photos", type=click.IntRange(1), metavar="N", help="With fewer than N photos.")
@click.option("--never-recognized", is_flag=True, help="That no answer in the log was sure of.")
@click.option("--with-warnings", is_flag=True, help="With a photo that was added in spite of a warning.")
@click.option("--pending", is_flag=True, help="With a photo that is not searchable yet.")
@click.option("--retired", is_flag=True, help="The retired ones.")
@click.option("--sort", type=click.Choice(SORTS), default="sku", help="recent, most: by answers to tills.")
def list_(search: str, in_set: str, group: str, sort: Any, **only: Any) -> None:
    """List products, or those whose SKU, name, brand and category contain the words of SEARCH, or whose barcode it is.

    Accents and capitals make no difference, and if little is found, typing errors do not, either.
    """
    from catalog import products

    chosen = products.Filter(search, label=in_set, variant_group=group, **only)
    with opened() as catalog:
        after = ""
        while True:
            page = products.list_page(catalog.database, chosen, order=sort, after=after, limit=500)
            for product in page.products:
                click.echo(f"{product.sku}\t{product.name}\t{len(product.photos)} photos")
            if page.next_key is None:
                break
            after = page.next_key


@click.command()
@click.argument("sku")
def retire(sku: str) -> None:
    """Retire a product: it is gone from the next answer; `catalog unretire` brings it back."""
    from catalog import products

    with opened() as catalog:
        products.set_active(catalog, sku, False, actor=ACTOR)


@click.command()
@click.argument("sku")
def unretire(sku: str) -> None:
    """Bring a retired product back."""
    from catalog import products

    with opened() as catalog:
        products.set_active(catalog, sku, True, actor=ACTOR)


@click.command()
@click.argument("sku")
@click.argument("new")
def rename(sku: str, new: str) -> None:
    """Give the product SKU the SKU NEW, with all that it has; the next answer says so."""
    from catalog import products

    with opened() as catalog:
        products.rename(catalog, sku, new, actor=ACTOR)


@click.command()
@click.argument("sku")
@click.argument("into")
def merge(sku: str, into: str) -> None:
    """Two SKUs are one product: INTO gets the photos, barcodes, labels and past answers of SKU, which is gone."""
    from catalog import products

    with opened() as catalog:
        products.merge(catalog, sku, into, actor=ACTOR)


@click.command()
@click.argument("sku")
@click.confirmation_option(prompt="It can't be brought back, unlike one that is retired. Go on?")
def purge(sku: str) -> None:
    """Remove a product and all that it has, for good; the audit log keeps what it was."""
    from catalog import products

    with opened() as catalog:
        products.purge(catalog, sku, actor=ACTOR)


@click.command()
@click.argument("sku")
@click.argument("names", nargs=-1)
def label(sku: str, names: tuple[str, ...]) -> None:
    """Put the product SKU into the sets NAMES, and into no other; `catalog recognize --label` asks such a set."""
    from catalog import products

    with opened() as catalog:
        products.set_labels(catalog.database, sku, names, actor=ACTOR)

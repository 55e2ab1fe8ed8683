"""`catalog model`: the models that photos can be embedded by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from catalog.cli.session import ACTOR, opened
from embedder import openblas

if TYPE_CHECKING:
    from catalog.maintenance import Added, GenerationCounts, Model
    from embedder.bundle import Bundle

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group()
def model() -> None:
    """Models: added, listed, removed. `catalog reembed` embeds all photos by one and switches to it."""


@model.command("add")
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
def model_add(bundle: Path) -> None:
    """Check a bundle and keep a copy. Nothing is embedded by it yet; the live model stays."""
    openblas.restart_with_environment()
    from catalog import maintenance

    with opened() as catalog:
        added = maintenance.add_model(catalog, bundle, actor=ACTOR)
    for line in _said_of(added):
        click.echo(line)


def _said_of(added: Added) -> Iterator[str]:
    found = added.bundle
    what = "added" if added.new else "is live already" if added.live else "was added before"
    yield f"{found.id}: {found.name} {found.version}, vectors of {found.dim}: {what}"
    if added.self_test is None or found.self_test is None:
        yield "It carries no self-test: whether it computes here as where it was made is not known."
    else:
        yield f"Its self-test: a cosine of {added.self_test:.5f}, at least {found.self_test.cosine:g} is asked for."
    if not added.live:
        yield f"`catalog reembed --bundle {found.id}` embeds all photos by it, and switches to it."


@model.command("list")
@json_option
def model_list(as_json: bool) -> None:
    """All models that the catalog has, the newest first."""
    from catalog import maintenance

    with opened() as catalog:
        found = maintenance.list_models(catalog)
    for one in found.models:
        if as_json:
            click.echo(json.dumps({**one.as_dict(), "photos": found.photos}))
        else:
            columns = (one.bundle_id, _state(one), f"{one.created_at:%Y-%m-%d %H:%M}", f"{one.dim} numbers")
            photos = f"{one.embedded} of {found.photos} photos"
            click.echo("\t".join((*columns, photos, _megabytes(one.bundle_bytes + (one.gallery_bytes or 0)), one.name)))


def _state(one: Model) -> str:
    return f"{one.state}, the one before" if one.previous and one.state == "kept" else one.state


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


@model.command("show")
@click.argument("model_id", metavar="ID")
@json_option
def model_show(model_id: str, as_json: bool) -> None:
    """A model: what its bundle says of itself, and what its generation has."""
    from catalog import maintenance

    with opened() as catalog:
        found, counts = maintenance.get_model(catalog, model_id)
    if as_json:
        bundle = _bundle_facts(found.bundle) if found.bundle else None
        click.echo(json.dumps({**found.as_dict(), **asdict(counts), "bundle": bundle}))
        return
    for line in (*_generation_lines(found, counts), *_bundle_lines(found)):
        click.echo(line)


def _bundle_facts(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.sha256,
        "size": bundle.size,
        "views": bundle.views,
        "thresholds": asdict(bundle.thresholds),
        "second_look": asdict(bundle.second_look) if bundle.second_look else None,
        "self_test": {"cosine": bundle.self_test.cosine} if bundle.self_test else None,
        "training": bundle.training,
    }


def _generation_lines(found: Model, counts: GenerationCounts) -> Iterator[str]:
    switched = f", last switched to {found.switched_at:%Y-%m-%d %H:%M}" if found.switched_at else ""
    yield f"{found.bundle_id} {found.name}: {_state(found)}, here since {found.created_at:%Y-%m-%d %H:%M}{switched}"
    yield (
        f"photos: {counts.embedded} embedded, {counts.pending} pending ({counts.failed} failed), "
        f"{counts.removals} to be taken out; {counts.margins} products have a margin of their own"
    )
    gallery = "on a server" if found.gallery_bytes is None else _megabytes(found.gallery_bytes)
    yield f"disk: bundle {_megabytes(found.bundle_bytes)}, gallery {gallery}"


def _bundle_lines(found: Model) -> Iterator[str]:
    if (bundle := found.bundle) is None:
        yield "Its files are missing or damaged on this host."
        return
    yield f"photos of {bundle.size} px ({' and '.join(bundle.views)}) -> vectors of {bundle.dim}"
    limits = bundle.thresholds
    yield f"a match needs score {limits.score:.3f} and margin {limits.margin:.3f}; looks {_looks(bundle)}"
    test = bundle.self_test
    yield f"self-test: {f'a cosine of at least {test.cosine:g}' if test else 'none'}"
    training = bundle.training
    if "photos" in training:
        of = f"{training['photos']:,} photos of {training.get('skus', 0):,} products"
        yield f"trained on {of}, {training.get('date', 'date unknown')}: {training.get('backbone', bundle.name)}"
    for name, value in sorted(training.get("figures", {}).items()):
        yield f"{name}: {value}"
    if rates := found.rates:
        yield (
            f"of photos that nothing was fitted on: {rates.right:.1%} matched and right, {rates.wrong:.1%} matched and "
            f"wrong, {rates.unsure:.1%} not sure or unknown; {rates.accepted:.1%} of unknown products taken for ours"
        )


def _looks(bundle: Bundle) -> str:
    return "twice where one look is not sure" if bundle.second_look else "once"


@model.command("remove")
@click.argument("model_id", metavar="ID")
def model_remove(model_id: str) -> None:
    """Remove a model for good: its gallery, its files here, its rows. Neither the live one nor one at work."""
    from catalog import maintenance

    with opened() as catalog:
        removed = maintenance.remove_model(catalog, model_id, actor=ACTOR)
    click.echo(f"{model_id} {'removed' if removed else 'was removed before'}")

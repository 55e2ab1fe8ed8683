"""`embedder evaluate|calibrate|words`: the commands that evaluate and calibrate a bundle."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click

from embedder import bundle as bundles
from embedder import calibration, matching, model_card
from embedder.calibration import calibrate_reranker
from embedder.cli.training import Folder, Photos
from embedder.datasets import find_photos, set_name, write_till_views
from embedder.evaluation import Embedded, embed_folder, evaluate_protocol, protocols
from embedder.evaluation.page import lines, prepare, write
from embedder.inference import Embedder


@click.command()
@click.argument("bundle", type=Folder)
@click.option("--gallery", type=Photos, help="Reference photos, a folder a SKU or a split file.")
@click.option("--queries", type=Photos, help="Photos to recognize, the same.")
@click.option("--photos", type=Photos, help="Instead: one set, of which a share is kept aside to ask by (--split).")
@click.option(
    "--split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of each SKU's --photos that ask.  [default: 0.2]",
)
@click.option("--alone", type=Photos, help="Instead: one set, of which few photos are enrolled (--references).")
@click.option("--references", type=click.IntRange(1), help="Photos of each SKU enrolled with --alone.  [default: 3]")
@click.option(
    "--skus",
    type=click.Path(exists=True, path_type=Path),
    help="Only these: a file of SKUs, one a line, or a bundle: the SKUs that its training left out.",
)
@click.option("--seed", default=1, show_default=True, help="Draws the --split, and the noise of low quality.")
@click.option("--degraded", is_flag=True, help="Ask again with every query photo in low quality, too.")
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a page with plots and pictures there (with --degraded).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def evaluate(
    bundle: Path,
    gallery: Path | None,
    queries: Path | None,
    photos: Path | None,
    split: float | None,
    alone: Path | None,
    references: int | None,
    skus: Path | None,
    seed: int,
    degraded: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Measure how well a bundle recognizes, and how well it tells unknown products apart.

    Example: embedder evaluate my-bundle --gallery photos/ --queries other-photos/ --report results
    """
    if (split is not None and photos is None) or (references is not None and alone is None):
        raise click.UsageError("--split goes with --photos, --references with --alone")
    if gallery and queries and not (photos or alone):
        protocol = protocols.two_sets(gallery, queries, skus)
    elif photos and not (gallery or queries or alone):
        protocol = protocols.share_aside(photos, split or 0.2, seed, skus)
    elif alone and not (gallery or queries or photos):
        protocol = protocols.few_references(alone, references or 3, skus)
    else:
        raise click.UsageError("give --gallery and --queries, or --photos, or --alone")
    if folder:
        prepare(folder)
    evaluation = evaluate_protocol(Embedder.open(bundle), protocol, degraded=degraded or folder is not None, seed=seed)
    page = write(folder, evaluation) if folder else None
    if as_json:
        click.echo(json.dumps(evaluation.figures.as_dict()))
        return
    click.echo("\n".join(lines(evaluation.figures)))
    if page:
        click.echo(f"\nreport: {page}")
    for line in evaluation.figures.broken:
        click.echo(f"skipped  {line}", err=True)


@click.command()
@click.argument("bundle", type=Folder)
@click.option("--gallery", type=Photos, multiple=True, help="Reference photos, a folder a SKU.")
@click.option("--queries", type=Photos, multiple=True, help="Photos to recognize, for the --gallery at the same place.")
@click.option(
    "--alone", type=Photos, multiple=True, help="A set of its own: some photos of each SKU enrolled, the rest ask."
)
@click.option(
    "--references",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Photos of each SKU that are enrolled with --alone.",
)
@click.option(
    "--unknown",
    type=Photos,
    multiple=True,
    help="Photos of products that no gallery holds: measured, never fitted on.",
)
@click.option(
    "--false-accept",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of unknown products that may pass.",
)
@click.option(
    "--wrong",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of matches that may name a wrong SKU.",
)
@click.option(
    "--details",
    is_flag=True,
    help="Fit the second look instead: how printed details and the score weigh together. The thresholds stay.",
)
@click.option(
    "--same-visit",
    type=click.Choice(["left-out", "kept"]),
    default="left-out",
    show_default=True,
    help="References that were photographed in the same place moments before the query: whether they may answer it.",
)
@click.option(
    "--degraded",
    is_flag=True,
    help="Ask again with every query photo in low quality: one more set for each, fitted on, too.",
)
@click.option("--folds", default=5, show_default=True, type=click.IntRange(2), help="Parts that the SKUs are split in.")
@click.option("--seed", default=1, show_default=True, help="Draws the folds, and the noise of low quality.")
@click.option("--out", type=click.Path(path_type=Path), help="Write there instead of changing BUNDLE.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def calibrate(
    bundle: Path,
    gallery: tuple[Path, ...],
    queries: tuple[Path, ...],
    alone: tuple[Path, ...],
    references: int,
    unknown: tuple[Path, ...],
    false_accept: float,
    wrong: float,
    details: bool,
    same_visit: str,
    degraded: bool,
    folds: int,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Set a bundle's thresholds: what score and what margin make a match.

    Photos lie in folders named by their SKU, or a split file (.txt) lists them. Each asks with its SKU in the gallery,
    and with it held out, as an unknown product. Every set weighs the same, however many photos it has; one of products
    that the model never saw (--alone) keeps the thresholds honest.

    A query is not answered by references of its own visit: photos that show the same place as it does. At a till there
    are none, so they would flatter the rates. A query that no other reference could answer is not asked, and counted.

    The thresholds are fitted on all SKUs. The rates that are printed, and are on the card, are cross-validated: each
    SKU is answered by thresholds fitted on the SKUs of the other folds, and in a second table each set by those fitted
    on the other sets. Thresholds are part of what a bundle is: it gets a new id. With --details the same is done for
    the weights of the second look, by the thresholds of the first that the bundle has.
    """
    if len(gallery) != len(queries) or not gallery + alone:
        raise click.UsageError("give --gallery and --queries in pairs, or --alone")
    if {path.resolve() for path in unknown} & {path.resolve() for path in gallery + alone}:
        raise click.UsageError("--unknown is of products that no gallery holds, not of one that is a gallery")
    if details and unknown:
        raise click.UsageError("--unknown goes without --details")
    bundles.check_place(out or bundle)
    embedder = Embedder.open(bundle)
    if details and not embedder.bundle.has_words:
        raise click.UsageError(f"--details needs visual words: embedder words DATA --out {bundle}")
    pairs = [calibration.read_pair(embedder, *both) for both in zip(gallery, queries, strict=True)]
    pairs += [calibration.read_alone(embedder, path, references) for path in alone]
    if same_visit == "left-out":
        pairs = [calibration.leave_out_same_visit(pair) for pair in pairs]
    strangers = [(set_name(path), embed_folder(embedder, path)) for path in unknown]
    old = embedder.bundle
    rates = {"false_accept": false_accept, "wrong": wrong, "folds": folds, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        if degraded:
            pairs += [
                calibration.in_low_quality(embedder, pair, Path(folder) / f"{number}", seed)
                for number, pair in enumerate(pairs)
            ]
        facts, fitted = _fit(embedder, pairs, strangers, details, rates)
    lines = model_card.second_look_lines(facts) if details else model_card.calibration_lines(facts)
    made = bundles.rewrite_bundle(old, out or bundle, **fitted)
    curves = made.path / model_card.CURVES_FILE
    if not curves.exists() and (old.path / curves.name).is_file():
        shutil.copy(old.path / curves.name, curves)
    model_card.write_card(made)
    photo_sets = [side for pair in pairs for side in (pair.gallery, pair.queries)] + [photos for _, photos in strangers]
    for line in (line for photos in photo_sets for line in photos.broken):
        click.echo(f"skipped  {line}", err=True)
    if as_json:
        click.echo(json.dumps({"bundle": made.id, **facts}))
        return
    click.echo(f"score {made.thresholds.score:.3f}, margin {made.thresholds.margin:.3f}: bundle {made.id}")
    for line in lines:
        click.echo(line)


def _fit(
    embedder: Embedder,
    pairs: list[calibration.Pair],
    strangers: list[tuple[str, Embedded]],
    details: bool,
    rates: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was found, for JSON and the card, and what of the bundle is to be changed."""
    training = embedder.bundle.training
    if details:
        second = calibrate_reranker(embedder, pairs, **rates)
        facts = second.as_dict()
        return facts, {"second_look": second.look, "training": {**training, "second_look": facts}}
    found = calibration.calibrate_thresholds(pairs, strangers=strangers, **rates)
    facts = found.as_dict()
    return facts, {"thresholds": found.thresholds, "training": {**training, "calibration": facts}}


@click.command()
@click.argument("data", nargs=-1, required=True, type=Photos)
@click.option("--out", required=True, type=Folder, help="The bundle that gets them.")
@click.option("--count", default=16384, show_default=True, type=click.IntRange(16), help="Words.")
@click.option(
    "--photos", default=4000, show_default=True, type=click.IntRange(1), help="Learn from at most so many, by the seed."
)
@click.option("--seed", default=1, show_default=True)
def words(data: tuple[Path, ...], out: Path, count: int, photos: int, seed: int) -> None:
    """Learn the visual words that a bundle's second look finds printed packs by.

    From ordinary photos, in any folders; not from the photos that the result is measured on. The words are part of
    what a bundle is: it gets a new id.
    """
    old = bundles.load_bundle(out)
    paths = [path for paths in find_photos(*data).values() for path in paths]
    vocabulary, read, broken = matching.train_from_photos(paths, count, photos=photos, seed=seed)
    facts = {"words": count, "photos": read, "data": [set_name(path) for path in data], "seed": seed}
    training = {key: value for key, value in old.training.items() if key != "second_look"}  # fitted for other words
    made = bundles.rewrite_bundle(old, out, training={**training, "words": facts}, words=vocabulary.to_bytes())
    for line in broken:
        click.echo(f"skipped  {line}", err=True)
    click.echo(f"{count:,} words of {read:,} photos: bundle {made.id}")


@click.command("till-views")
@click.argument("data", nargs=-1, required=True, type=Photos)
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder for them.")
@click.option("--grounds", required=True, type=Photos, help="Photos that the products are laid on.")
@click.option("--products", default=250, show_default=True, type=click.IntRange(3), help="Of the gallery, at most.")
@click.option("--queries", default=80, show_default=True, type=click.IntRange(1), help="Views, one a product, at most.")
@click.option(
    "--copies",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Views more, of strangers with a product's art.",
)
@click.option("--seed", default=1, show_default=True, help="Draws products, grounds and what happens to each view.")
def till_views(
    data: tuple[Path, ...], out: Path, grounds: Path, products: int, queries: int, copies: int, seed: int
) -> None:
    """Make query photos of products of which there is one picture: as a till's camera may see them.

    For `embedder calibrate --details --gallery OUT/gallery.txt --queries OUT`, with products that the model never saw.
    There the copies (a band of the print replaced, the hue turned) are strangers that must not be matched.
    """
    views, broken = write_till_views(
        find_photos(*data), find_photos(grounds), out, products=products, queries=queries, copies=copies, seed=seed
    )
    for line in broken:
        click.echo(f"skipped  {line}", err=True)
    click.echo(f"{views:,} till views in {out}, their references in {out / 'gallery.txt'}")

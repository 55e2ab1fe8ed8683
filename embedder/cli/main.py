"""`embedder`: train, evaluate, calibrate and export model bundles.

TensorFlow is imported only by the commands that train; the others run on the base install.
"""

from __future__ import annotations

import errno
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from embedder import bundle as bundles
from embedder import console
from embedder.cli.adaptation import adapt
from embedder.cli.evaluation import calibrate, evaluate, till_views, words
from embedder.cli.training import Folder, compare, export, train
from embedder.errors import EmbedderError


class _Group(click.Group):
    """Reports this package's errors as one line with exit status 1, never a traceback."""

    def main(self, *args: Any, **options: Any) -> Any:
        console.escape_what_can_not_be_shown()  # before the options are read: --help and errors print, too
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (EmbedderError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `| head`: click exits silently
            click.echo(f"embedder: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Photo -> vector: train, judge and release the model that the catalog recognizes products by."""
    # Pillow warns of odd EXIF and sizes in photos that it can read all the same, or that are refused with an error.
    warnings.filterwarnings("ignore", module="PIL")


def _second_look(bundle: bundles.Bundle) -> str:
    if bundle.second_look is not None:
        return f"a match needs a probability of {bundle.second_look.accept:.3f}"
    return "words, but no weights: embedder calibrate --details" if bundle.has_words else "none: embedder words"


@click.command()
@click.argument("bundle", type=Folder, required=False)
def info(bundle: Path | None) -> None:
    """Show and verify a bundle (the released one when none is named)."""
    found = bundles.load_bundle(bundle or bundles.RELEASED)
    click.echo(f"{found.name} {found.version}, bundle {found.id}, {found.model_path.stat().st_size / 1e6:.1f} MB")
    click.echo(f"photos of {found.size} px ({' and '.join(found.views)}) -> vectors of {found.dim}")
    click.echo(f"a match needs score {found.thresholds.score:.3f} and margin {found.thresholds.margin:.3f}")
    click.echo(f"second look: {_second_look(found)}")
    for key, value in sorted(found.training.items()):
        click.echo(f"{key:22} {value}")


for command in (train, adapt, export, compare, evaluate, calibrate, till_views, words, info):
    main.add_command(command)

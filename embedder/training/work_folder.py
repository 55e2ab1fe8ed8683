"""A training's work folder: configuration, photos and checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import tensorflow as tf

from embedder import datasets
from embedder.errors import DataError
from embedder.training import batches
from embedder.training.recipe import CONFIG_FILE, TrainConfig, read_config
from embedder.training.trainer import CHECKPOINTS, Trainer


def prepare(
    config: TrainConfig,
    work: Path,
    *,
    resume: bool,
    say: Callable[[str], None],
    strict: bool = False,
    quiet: bool = True,
) -> Trainer:
    """A trainer in its work folder, at the start or (with `resume`) at its newest checkpoint.

    `say` reports broken photos (with `strict` the first is an error) and how many SKUs have a single photo. On a
    terminal progress bars show the work before the first step, unless `quiet`. Raises DataError when the work folder
    has other settings, a training without `resume`, or none with it.
    """
    if has_training(work):
        if not resume:
            raise DataError(f"{work} holds a training already: go on by --resume, or give another --work.")
        stored, asked = asdict(read_config(work)), asdict(config)
        changed = [key for key in asked if stored[key] != asked[key]]
        if changed:
            raise DataError(f"{work} holds a training with other settings ({', '.join(changed)}).")
    elif resume:
        raise DataError(f"{work} holds no training to go on with.")
    if strict and (
        lines := [str(left) for folder in config.data for left in datasets.scan_photos(Path(folder)).left_out]
    ):
        raise DataError(f"{lines[0]} (--strict: nothing was trained)")
    photos, _, broken = split_photos(config, quiet=quiet)
    for line in broken:
        if strict:
            raise DataError(f"{line} (--strict: nothing was trained)")
        say(f"skipped {line}")
    single = [sku for sku, paths in photos.items() if len(paths) == 1]
    if single:
        # One line however many: a retailer's catalog may have nothing else.
        say(f"{len(single):,} of {len(photos):,} SKUs have one photo: their positives are other views of the same one")
    if resume:
        trainer = resumed(config, work, photos)
        say(f"going on from step {trainer.step}")
        return trainer
    trainer = Trainer(config, work, photos, quiet=quiet)
    work.mkdir(parents=True, exist_ok=True)
    # Atomic: a full disk or a kill must not leave a partial file, which could be neither resumed nor begun anew.
    part = work / f"{CONFIG_FILE}.part"
    part.write_text(json.dumps(asdict(config), indent=2) + "\n")
    os.replace(part, work / CONFIG_FILE)
    return trainer


def split_photos(config: TrainConfig, *, quiet: bool = True) -> tuple[datasets.Photos, datasets.Photos, list[str]]:
    """(training photos, held-out photos for validation, a line for each photo that does not decode)."""
    found = datasets.find_photos(*map(Path, config.data))
    rest = {sku: paths for sku, paths in found.items() if sku not in set(config.left_out)}
    # Split before dropping: a broken photo must not change the side of the others.
    kept: datasets.Photos = {}
    if config.split > 0:
        rest, kept = datasets.split_share(rest, config.split, config.seed)
    (rest, broken), (kept, broken_too) = (batches.drop_broken(part, quiet=quiet or not part) for part in (rest, kept))
    return rest, kept, broken + broken_too


def resumed(config: TrainConfig, work: Path, photos: dict[str, list[Path]]) -> Trainer:
    """A trainer at its newest checkpoint, or at the start when there is none yet. Raises EmbedderError."""
    saved = tf.train.latest_checkpoint(str(work / CHECKPOINTS)) is not None
    trainer = Trainer(config, work, photos, start="none" if saved else None)
    trainer.resume()
    return trainer


def has_training(work: Path) -> bool:
    """Whether this work folder has a training."""
    return (work / CONFIG_FILE).is_file()

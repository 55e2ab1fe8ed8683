"""Network -> float16 LiteRT bundle with its model card. Imports TensorFlow (extra `train`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tensorflow as tf

from embedder import bundle, datasets, model_card
from embedder.datasets import set_name
from embedder.errors import DataError, DivergedError
from embedder.inference import litert, self_test
from embedder.networks import weights
from embedder.training import epoch_log, trainer, work_folder
from embedder.training.recipe import read_config


def to_litert(network: Any, size: int) -> bytes:
    """Keras network (RGB 0..255 -> unit vectors) -> .tflite with float16 weights, uint8 [1, size, size, 3] input.

    Raises DivergedError when it does not give finite vectors.
    """

    @tf.function(input_signature=[tf.TensorSpec((1, size, size, 3), tf.uint8, name="photo")])  # type: ignore[untyped-decorator]
    def embed(photo: Any) -> Any:
        return network(tf.cast(photo, tf.float32), training=False)

    # The variables alone, not the Keras layers: the converter would save them layer by layer, which takes six times as
    # long and gives the same file, byte for byte.
    held = tf.Module()
    held.variables_held = network.variables
    converter = tf.lite.TFLiteConverter.from_concrete_functions([embed.get_concrete_function()], held)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    model: bytes = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    if not litert.is_usable(litert.probe(interpreter)):
        raise DivergedError(
            "The network gives vectors that are not finite (in float16, as it is served), so no bundle is written."
        )
    return model


def export_work(
    work: Path, out: Path, *, name: str | None, version: str, notes: Sequence[str] = (), arrays: Path | None = None
) -> bundle.Bundle:
    """Newest checkpoint of a work folder -> a bundle at `out`, and its weights (for other trainings) at `arrays`.

    Raises DataError when the work folder holds no training or no checkpoint, BundleError when `out` is something else.
    """
    bundle.check_place(out)
    config = read_config(work)
    photos, _, _ = work_folder.split_photos(config)
    trainer = work_folder.resumed(config, work, photos)
    if trainer.step == 0:
        raise DataError(f"{work} holds no checkpoint yet.")
    made = export_trainer(trainer, out, name=name, version=version, notes=notes)
    if arrays:
        weights.save_arrays(trainer.network, arrays)
    return made


def export_trainer(
    trainer: trainer.Trainer, out: Path, *, name: str | None, version: str, notes: Sequence[str] = ()
) -> bundle.Bundle:
    """The averaged network of a training -> a bundle at `out`, with its model card and training curves.

    The bundle records the training's data and settings, and `notes` (lines about the data, say).
    Raises BundleError when `out` holds something that is no bundle.
    """
    trainer.use_average()
    config, log = trainer.config, epoch_log.read_log(trainer.work)
    model = to_litert(trainer.serving_network(), config.size)
    made = bundle.write_bundle(
        out,
        bundle.BundleParts(
            model,
            name=name or config.backbone,
            version=version,
            dim=config.dim,
            size=config.size,
            training={**_facts(trainer, log), "notes": list(notes)},
            self_test=self_test.record(model, config.size),
        ),
    )
    epoch_log.draw_curves(log, out / model_card.CURVES_FILE)
    model_card.write_card(made)
    return made


def _facts(trainer: trainer.Trainer, log: list[dict[str, Any]]) -> dict[str, Any]:
    """The bundle's record of the training. Names, not paths: bundles are passed on, and this is part of the hash."""
    config = trainer.config
    settings = {key: value for key, value in asdict(config).items() if key != "data"}
    settings["weights"] = Path(config.weights).name
    settings["teacher"] = Path(config.teacher).name if config.teacher else None
    judged = [entry for entry in log if entry["figures"]]
    ended = (trainer.work / epoch_log.LOG_FILE).stat().st_mtime if log else 0.0
    return {
        **settings,
        "sets": [_count(Path(folder), trainer.batches.photos) for folder in config.data],
        "photos": sum(map(len, trainer.batches.photos.values())),
        "skus": len(trainer.batches.skus),
        "steps": trainer.step,
        "figures": judged[-1]["figures"] if judged else {},
        "figures_by_epoch": [[entry["epoch"], entry["figures"]] for entry in judged],
        # The log's, not today's: export is idempotent, the same training gives the same bundle.
        "date": datetime.fromtimestamp(ended, UTC).date().isoformat(),
    }


def _count(folder: Path, photos: dict[str, list[Path]]) -> dict[str, Any]:
    """A data folder's name, and its numbers of training photos and SKUs."""
    own = {path for paths in datasets.find_photos(folder).values() for path in paths}
    mine = [len(own.intersection(paths)) for paths in photos.values()]
    return {"name": set_name(folder), "photos": sum(mine), "skus": sum(count > 0 for count in mine)}

"""Comparison of networks under one training budget: accuracy against milliseconds.

All train on the same photos, batches and schedule (or minutes). Results are in OUT/compare.json, each training in its
own folder below OUT, so the call is idempotent and resumes where it was stopped. Imports TensorFlow.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from embedder import datasets
from embedder.bundle import Bundle
from embedder.comparison.table import PLOT_FILE, Entry, draw, table
from embedder.comparison.timing import measure_milliseconds
from embedder.datasets import Photos
from embedder.errors import DataError, WeightsError
from embedder.evaluation import embed_photos
from embedder.evaluation.metrics import sku_scores, top_k_accuracy
from embedder.inference import Embedder
from embedder.networks import backbones
from embedder.networks.weights import arrays_path
from embedder.training import batches, export, trainer, work_folder
from embedder.training.epoch_log import read_log
from embedder.training.recipe import TrainConfig, read_config
from embedder.training.trainer import CHECKPOINTS

JSON_FILE, TABLE_FILE = "compare.json", "compare.md"
#: Fields of TrainConfig that differ between the networks; all others are common.
OWN = ("backbone", "weights", "head", "dim")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Network:
    """A network to compare; `weights` are its initial weights, as for `embedder train --weights`."""

    backbone: str
    head: str
    dim: int
    weights: str

    @property
    def key(self) -> Entry:
        """Its identity in compare.json; initial weights of a file count by the file's name and content."""
        path = arrays_path(self.weights)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else None
        return {
            "network": self.backbone,
            "head": self.head,
            "dim": self.dim,
            "start": Path(self.weights).name,
            "start_sha256": digest,
        }

    @property
    def folder(self) -> str:
        """Name of its folder below OUT, unique for each key."""
        digest = hashlib.sha256(json.dumps(self.key).encode()).hexdigest()
        return f"{self.backbone}-{self.head}-{self.dim}-{digest[:8]}"


def read_starts(words: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
    """Parse ``START`` (of all) and ``NAME=START`` -> initial weights of each backbone, by default ``imagenet``.

    Raises DataError for the name of a network that is not compared.
    """
    starts = dict.fromkeys(backbones, "imagenet")
    own: dict[str, str] = {}
    for word in words:
        name, equals, start = word.partition("=")
        if not equals:
            starts = dict.fromkeys(backbones, word)
        elif name in backbones:
            own[name] = start
        else:
            raise DataError(f"--weights {word}: {name} is not among the networks compared ({', '.join(backbones)}).")
    return {**starts, **own}


def compare(
    base: TrainConfig,
    networks: Sequence[Network],
    out: Path,
    *,
    val: Path | None = None,
    minutes: float | None = None,
    say: Say,
    quiet: bool = False,
) -> list[Entry]:
    """Train and measure the networks missing in `out`; write compare.json, .md and .png; entries by top-1, best first.

    `base` gives all settings but those in OWN. The gallery is the training photos, the queries those below `val`, or
    those that `base.split` holds out. With `minutes`, the schedule gives the sizes and their proportions, and each
    network trains for as many epochs as fit. Raises WeightsError or DataError before the first training when initial
    weights can't be loaded, settings exclude each other, or `out` holds something else.
    """
    photos, held_out, broken = work_folder.split_photos(base)
    queries = datasets.find_photos(val) if val else held_out
    if not queries:
        raise DataError("There is no photo to judge by: keep a share aside by --split, or give --val.")
    for line in broken:
        say(f"skipped {line}")
    budget = _budget(base, photos, queries, minutes)
    done = _read(out, budget)
    measured = [_key_of(entry) for entry in done]
    waiting = [network for network in dict.fromkeys(networks) if network.key not in measured]
    _check(base, waiting, photos, out)
    out.mkdir(parents=True, exist_ok=True)
    _write(out, budget, done)
    for place, network in enumerate(waiting, start=1):
        say(f"{place} of {len(waiting)}: {network.backbone}, {network.head}, {network.dim} wide")
        done.append(_train_and_measure(base, network, photos, queries, out, minutes, say, quiet))
        _write(out, budget, done)
        gc.collect()  # a trainer is in reference cycles that hold hundreds of megabytes
    if any(entry["milliseconds"] is None for entry in done):
        say(f"timing {len(done)} networks")
        # All of them, the earlier ones again: only interleaved timings are comparable.
        for entry, milliseconds in zip(
            done, measure_milliseconds([out / entry["folder"] / "bundle" for entry in done]), strict=True
        ):
            entry["milliseconds"] = milliseconds
        _write(out, budget, done)
    ranked = sorted(done, key=lambda entry: -float(entry["top1"]))
    (out / TABLE_FILE).write_text("\n".join(table(budget, ranked)) + "\n", encoding="utf-8")
    draw(ranked, out / PLOT_FILE)
    return ranked


def _budget(base: TrainConfig, photos: Photos, queries: Photos, minutes: float | None) -> Entry:
    """The settings and data common to the networks. Names and hashes, not paths: results are passed on."""
    common = {key: value for key, value in asdict(base).items() if key not in OWN}
    common["data"] = [Path(folder).resolve().name for folder in base.data]
    lines = [
        f"{what} {sku} {path.name} {path.stat().st_size}"
        for what, some in (("train", photos), ("ask", queries))
        for sku in sorted(some)
        for path in some[sku]
    ]
    common |= {
        "minutes": minutes,
        "skus": len(photos),
        "photos": sum(map(len, photos.values())),
        "queries": sum(map(len, queries.values())),
        "photos_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }
    made: Entry = json.loads(json.dumps(common))  # as read back from the file: lists for tuples
    return made


def _read(out: Path, budget: Entry) -> list[Entry]:
    """Entries of the networks in `out`. Raises DataError for another budget, or when `out` is something else."""
    path = out / JSON_FILE
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out} exists and is no comparison: it is left alone.")
        return []
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(
            key for key in budget.keys() | stored["budget"] if stored["budget"].get(key) != budget.get(key)
        )
        networks: list[Entry] = stored["networks"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no comparison that this version reads ({error!r}).") from error
    if changed:
        raise DataError(f"{out} holds a comparison with other settings ({', '.join(changed)}): give another --out.")
    return networks


def _write(out: Path, budget: Entry, networks: list[Entry]) -> None:
    fresh = out / f".{JSON_FILE}.new"
    fresh.write_text(json.dumps({"budget": budget, "networks": networks}, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, out / JSON_FILE)


def _key_of(entry: Entry) -> Entry:
    return {key: entry[key] for key in ("network", "head", "dim", "start", "start_sha256")}


def _config(base: TrainConfig, network: Network) -> TrainConfig:
    return replace(base, **asdict(network))


def _check(base: TrainConfig, networks: Sequence[Network], photos: Photos, out: Path) -> None:
    """Fail early: raises the errors that would otherwise end the comparison hours later, at that network's turn."""
    for network in networks:
        _config(base, network).check()
    batches.PKBatches(photos, base.p, base.k, base.seed, base.balance)
    # A network with a checkpoint needs no initial weights.
    starting = {
        (network.backbone, network.weights)
        for network in networks
        if not (out / network.folder / "work" / CHECKPOINTS / "checkpoint").is_file()
    }
    missing: dict[str, str] = {}
    for backbone, weights in sorted(starting):
        try:
            backbones.build_backbone(backbone, weights)
        except WeightsError as error:
            missing[backbone] = f"{backbone} can't start: {error}"
    if missing:
        raise WeightsError(
            f"{' '.join(missing.values())} Nothing was trained. Leave out what can't start, give its arrays by "
            f"--weights {next(iter(missing))}=PATH, or begin with nothing by --weights {next(iter(missing))}=none."
        )


def _train_and_measure(
    base: TrainConfig,
    network: Network,
    photos: Photos,
    queries: Photos,
    out: Path,
    minutes: float | None,
    say: Say,
    quiet: bool,
) -> Entry:
    """Train one network to the end, from its checkpoint if any, and measure all figures but the milliseconds."""
    folder = out / network.folder
    work, config = folder / "work", _config(base, network)
    begun = work_folder.has_training(work)
    if begun:
        config = replace(config, schedule=read_config(work).schedule)  # with --minutes: as fitted when it began
    elif minutes:
        config = replace(config, schedule=_fit_schedule(config, photos, folder / "speed", minutes))
    trainer = work_folder.prepare(config, work, resume=begun, say=lambda line: None)  # broken photos: said already
    if trainer.step:
        say(f"going on from step {trainer.step}")
    trainer.run(quiet=quiet)
    made = export.export_trainer(trainer, folder / "bundle", name=None, version="1")
    top1, top5, broken = _accuracy(made, photos, queries)
    for line in broken:
        say(f"skipped {line}")
    log = read_log(work)
    return {
        **network.key,
        "folder": network.folder,
        "schedule": [list(stage) for stage in config.schedule],
        "epochs": sum(epochs for _, epochs in config.schedule),
        "steps": trainer.step,
        "minutes_trained": sum(entry["seconds"] for entry in log) / 60,
        "images_per_second": float(np.median([row["images_per_second"] for row in log if row["size"] == config.size])),
        "top1": top1,
        "top5": top5,
        "milliseconds": None,
        "megabytes": made.model_path.stat().st_size / 1e6,
        "parameters": int(trainer.network.count_params()),
    }


def _fit_schedule(config: TrainConfig, photos: Photos, folder: Path, minutes: float) -> tuple[tuple[int, int], ...]:
    """Scale the schedule's epochs so that training takes `minutes`, at a speed measured on a few steps.

    Fixed beforehand, not stopped by the clock, so that every network completes its learning rate schedule. At least one
    epoch of each stage.
    """
    some: Photos = {}
    for sku, paths in photos.items():
        some[sku] = paths[: 3 * config.k]
        if len(some) >= config.p and sum(map(len, some.values())) >= 3 * config.p * config.k:
            break
    whole = batches.PKBatches(photos, config.p, config.k, config.seed, config.balance).steps_per_epoch
    seconds = 0.0
    for size, epochs in config.schedule:
        shutil.rmtree(folder, ignore_errors=True)
        probe = replace(config, schedule=((size, 3),), serve_size=None, weights="none", split=0.0)
        trainer.Trainer(probe, folder, some).run(quiet=True)
        # The second of three: the first compiles, and the last has no batches to prepare in parallel.
        seconds += epochs * whole * config.p * config.k / float(read_log(folder)[1]["images_per_second"])
    shutil.rmtree(folder)
    return tuple((size, max(1, int(epochs * 60 * minutes / seconds))) for size, epochs in config.schedule)


def _accuracy(made: Bundle, gallery: Photos, queries: Photos) -> tuple[float, float, list[str]]:
    """(top-1, top-5, a line for each unusable photo), by the whole view alone, as the milliseconds are of one view."""
    embedder = Embedder(replace(made, views=("whole",), self_test=None))  # that is of all views
    known, asked = embed_photos(embedder, gallery), embed_photos(embedder, queries)
    embedder.close()
    scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
    return *top_k_accuracy(scores, names, asked.skus), asked.broken

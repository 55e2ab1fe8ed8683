"""Train and measure several networks under one budget: which one is worth its milliseconds?

All see the same photos, batches and schedule (or minutes). What is done is in OUT/compare.json, each training in a
folder of its own below OUT, so the same call goes on wherever it was stopped. Needs TensorFlow, by way of train.py.
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
#: What tells one network of a comparison from another; all else of a TrainConfig they have in common.
OWN = ("backbone", "weights", "head", "dim")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Network:
    """One of the networks compared; `weights` is its start, as `embedder train --weights` takes it."""

    backbone: str
    head: str
    dim: int
    weights: str

    @property
    def key(self) -> Entry:
        """What compare.json knows it by: a start from a file by the file's name and content."""
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
        """Name of its folder below OUT: not the same for any two keys."""
        digest = hashlib.sha256(json.dumps(self.key).encode()).hexdigest()
        return f"{self.backbone}-{self.head}-{self.dim}-{digest[:8]}"


def read_starts(words: Sequence[str], backbones: Sequence[str]) -> dict[str, str]:
    """``START`` (of every network) and ``NAME=START`` -> the start of each backbone; ``imagenet`` where none is given.

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
    """Train and measure what `out` does not hold yet; write compare.json, .md and .png; its networks, best first.

    `base` gives all settings but those in OWN. The gallery are the photos trained on, the queries those below `val`,
    or those that `base.split` keeps aside. With `minutes`, the schedule tells the sizes and their shares, and each
    network gets as many epochs as fit. Raises WeightsError or DataError before the first training when a start can't be
    had, settings exclude each other, or `out` holds something else.
    """
    photos, kept, broken = work_folder.split_photos(base)
    queries = datasets.find_photos(val) if val else kept
    if not queries:
        raise DataError("There is no photo to judge by: keep a share aside by --split, or give --val.")
    for line in broken:
        say(f"skipped {line}")
    budget = _budget(base, photos, queries, minutes)
    done = _read(out, budget)
    held = [_key_of(entry) for entry in done]
    waiting = [network for network in dict.fromkeys(networks) if network.key not in held]
    _check(base, waiting, photos, out)
    out.mkdir(parents=True, exist_ok=True)
    _write(out, budget, done)
    for place, network in enumerate(waiting, start=1):
        say(f"{place} of {len(waiting)}: {network.backbone}, {network.head}, {network.dim} wide")
        done.append(_train_and_measure(base, network, photos, queries, out, minutes, say, quiet))
        _write(out, budget, done)
        gc.collect()  # a trainer holds itself in circles, and hundreds of megabytes with it
    if any(entry["milliseconds"] is None for entry in done):
        say(f"timing {len(done)} networks")
        # All again, the earlier ones, too: only times taken in turn compare.
        for entry, milliseconds in zip(
            done, measure_milliseconds([out / one["folder"] / "bundle" for one in done]), strict=True
        ):
            entry["milliseconds"] = milliseconds
        _write(out, budget, done)
    ranked = sorted(done, key=lambda entry: -float(entry["top1"]))
    (out / TABLE_FILE).write_text("\n".join(table(budget, ranked)) + "\n", encoding="utf-8")
    draw(ranked, out / PLOT_FILE)
    return ranked


def _budget(base: TrainConfig, photos: Photos, queries: Photos, minutes: float | None) -> Entry:
    """What the networks have in common. Names and hashes, not paths: results are passed on."""
    common = {key: value for key, value in asdict(base).items() if key not in OWN}
    common["data"] = [Path(one).resolve().name for one in base.data]
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
    made: Entry = json.loads(json.dumps(common))  # as it will be read again: lists for tuples
    return made


def _read(out: Path, budget: Entry) -> list[Entry]:
    """The networks that `out` holds. Raises DataError when they had another budget, or `out` is something else."""
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
    """Raises what would otherwise end the comparison hours later, when that network's turn comes."""
    for network in networks:
        _config(base, network).check()
    batches.PKBatches(photos, base.p, base.k, base.seed, base.balance)
    # A checkpoint takes the start's place: what has one needs none.
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
    """One network's training, from wherever it stands to its end, and its figures but the milliseconds."""
    folder = out / network.folder
    work, config = folder / "work", _config(base, network)
    begun = work_folder.has_training(work)
    if begun:
        config = replace(config, schedule=read_config(work).schedule)  # with --minutes: as was measured when it began
    elif minutes:
        config = replace(config, schedule=_fit_schedule(config, photos, folder / "speed", minutes))
    trainer = work_folder.prepare(config, work, resume=begun, say=lambda line: None)  # of the photos, all was said
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
        "images_per_second": float(np.median([one["images_per_second"] for one in log if one["size"] == config.size])),
        "top1": top1,
        "top5": top5,
        "milliseconds": None,
        "megabytes": made.model_path.stat().st_size / 1e6,
        "parameters": int(trainer.network.count_params()),
    }


def _fit_schedule(config: TrainConfig, photos: Photos, folder: Path, minutes: float) -> tuple[tuple[int, int], ...]:
    """The schedule, longer or shorter, so that training takes so many minutes at the speed of a few steps of it.

    Chosen beforehand, and not cut off by the clock, so that the learning rate comes to its end for every network. At
    least one epoch of each stage.
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
        # The second of three: the first compiles, and the last has no batches to prepare beside it.
        seconds += epochs * whole * config.p * config.k / float(read_log(folder)[1]["images_per_second"])
    shutil.rmtree(folder)
    return tuple((size, max(1, int(epochs * 60 * minutes / seconds))) for size, epochs in config.schedule)


def _accuracy(made: Bundle, gallery: Photos, queries: Photos) -> tuple[float, float, list[str]]:
    """(top-1, top-5, a line an unusable photo), by the whole view alone: one look, as the milliseconds are of one."""
    embedder = Embedder(replace(made, views=("whole",)))
    known, asked = embed_photos(embedder, gallery), embed_photos(embedder, queries)
    embedder.close()
    scores, names = sku_scores(asked.vectors, known.vectors, known.skus)
    return *top_k_accuracy(scores, names, asked.skus), asked.broken

"""Trainer: triplet loss on P x K batches, with checkpoints, resume, and a log of every epoch.

The exported network has the exponential moving average of the weights (Polyak and Juditsky 1992), on small data several
points better than the last step's. Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from embedder import datasets
from embedder.errors import DivergedError, EmbedderError
from embedder.networks import backbones, embedding_network, weights
from embedder.training import augmentation, batches, mining
from embedder.training.distillation import open_teacher
from embedder.training.epoch_log import EpochLog, EpochSums, tensorboard, write_line
from embedder.training.recipe import TrainConfig
from embedder.training.step import Objective, Step, averages

CHECKPOINTS = "checkpoints"


class Trainer:
    """One training in one work folder; `run` continues from the current step to the end.

    `start` replaces config.weights for a network that `resume` is about to overwrite. A progress bar shows the work
    before the first step unless `quiet`. Raises DataError for settings that exclude each other or too few SKUs,
    WeightsError for initial weights that can't be loaded.
    """

    def __init__(
        self,
        config: TrainConfig,
        work: Path,
        photos: dict[str, list[Path]],
        *,
        start: str | None = None,
        quiet: bool = True,
    ) -> None:
        config.check()
        self.config, self.work = config, work
        self.batches = batches.PKBatches(photos, config.p, config.k, config.seed, config.balance)
        tf.keras.utils.set_random_seed(config.seed)
        gpu = bool(tf.config.list_physical_devices("GPU"))
        self._mixed = config.precision == "mixed" or (config.precision == "auto" and gpu)
        with embedding_network.computing(self._mixed):
            backbone = backbones.build_backbone(config.backbone, start or config.weights)
            self.network = embedding_network.build_embedder(backbone, config.head, config.dim, config.size, config.seed)
        path = weights.arrays_path(start or config.weights)
        trained = path is not None and weights.load_head(self.network, path)
        self._teacher = (
            open_teacher(config.teacher, config.backbone, config.dim, config.seed) if config.teacher else None
        )
        self._objective = Objective(config, self.network, len(self.batches.skus))
        self._look = tf.function(lambda pixels: self.network(pixels, training=False), reduce_retracing=True)
        if trained and config.softmax > 0:
            self._objective.softmax.prototypes.assign(self._class_means(quiet))
        self._plan = self._make_plan()
        self._average = [tf.Variable(w, trainable=False) for w in self.network.weights]
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        steps = partial(Step, self._objective, self._average, self._step, mixed=self._mixed)
        thaw = config.freeze * self.batches.steps_per_epoch
        self._frozen = steps(began=0, frozen=True) if thaw else None
        self._thawed = steps(began=thaw, frozen=False)
        kept: dict[str, Any] = {"network": self.network, "softmax": self._objective.softmax}
        if self._objective.classifier is not None:
            kept["classifier"] = self._objective.classifier
        if self._frozen:
            kept["frozen_optimizer"] = self._frozen.optimizer
        self._miner: mining.OfflineMiner | None = None
        if config.mine_every > 0:
            self._miner = mining.OfflineMiner(self.batches, config.mine_photos, config.distance)
            self._mined = kept["mined"] = tf.Variable(np.zeros((self._miner.count, 3), np.int32), trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            **kept, optimizer=self._thawed.optimizer, average=self._average, step=self._step
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(work / CHECKPOINTS), max_to_keep=2)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._step.numpy())

    def _class_means(self, quiet: bool) -> Any:
        """Mean vector of k photos of each SKU, float32 [skus, dim]: prototypes for a pretrained network, which random
        ones would first disrupt (Qi et al. 2018, imprinted weights).
        """
        known, _ = datasets.split_references(self.batches.photos, self.batches.k)
        labels = [label for label, sku in enumerate(self.batches.skus) for _ in known[sku]]
        paths = [path for sku in self.batches.skus for path in known[sku]]
        with tqdm(total=len(paths), desc="class means", unit="photo", disable=quiet or None, mininterval=1) as bar:
            vectors = self._embed(self.config.schedule[0][0], paths, bar.update)
        sums = np.zeros((len(self.batches.skus), vectors.shape[1]), np.float32)
        np.add.at(sums, labels, vectors)
        return sums / np.bincount(labels)[:, np.newaxis]

    def _make_plan(self) -> list[tuple[int, int]]:
        """(size, epoch) of each step."""
        steps: list[tuple[int, int]] = []
        epoch = 0
        for size, epochs in self.config.schedule:
            for _ in range(epochs):
                steps += [(size, epoch)] * self.batches.steps_per_epoch
                epoch += 1
        return steps

    def _rate(self, step: int) -> float:
        """Learning rate: cosine decay to 1 % of the maximum, after a linear warm-up over 3 % of the steps; another
        warm-up as long when the backbone is unfrozen, since the optimizer is a new one then.
        """
        warm = max(1, len(self._plan) * 3 // 100)
        rising = min(1.0, (step - self._learner(step).began + 1) / warm)
        done = max(0, step - warm) / max(1, len(self._plan) - warm)
        return self.config.lr * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def _learner(self, step: int) -> Step:
        """The optimization of a step: frozen or not."""
        return self._frozen if self._frozen and step < self._thawed.began else self._thawed

    def _feed(self, step: int, batch: batches.Batch) -> tuple[Any, mining.TripletShares | None]:
        """Train on one batch -> the parts of the loss, and the shares of its triplets unless photos were mixed."""
        skus = len(self.batches.skus)
        pixels = batch.pixels.astype(np.float32)
        targets = np.eye(skus, dtype=np.float32)[batch.labels]
        rng = np.random.default_rng([self.config.seed, 4, step])
        mixed = bool(rng.random() < self.config.mix)
        if mixed:
            pixels, targets = augmentation.mix(pixels, targets, rng)
        lesson = self._teacher(pixels) if self._teacher else np.zeros((len(pixels), self.config.dim), np.float32)
        learn = self._learner(step)
        parts, vectors = learn(self._rate(step), pixels, batch.labels, targets, mixed, lesson)
        if mixed:
            return parts, None
        if self._miner:
            return parts, mining.given_shares(vectors, self.config.margin, self.config.distance)
        return parts, mining.batch_shares(batch.labels, vectors, self.config.margin, self.config.distance)

    def _stream(self, start: int) -> Iterator[batches.Batch]:
        """The batches from step `start` on.

        With offline mining, at each multiple of `mine_every` the current network mines, and nothing is prefetched
        beyond the next. The mined triplets are a variable of the checkpoint, saved and restored atomically with the
        weights: a training resumed between two minings continues with its triplets, one resumed at a mining mines
        again with the same weights; no separate file can be out of step.
        """
        sizes = [(step, self._plan[step][0]) for step in range(len(self._plan))]
        if self._miner is None:
            yield from self.batches.stream(sizes[start:])
            return
        every = self.config.mine_every
        while start < len(sizes):
            mined = start - start % every
            if start == mined:
                size = sizes[start][1]
                self._mined.assign(self._miner.mine(partial(self._embed, size), start))
            draw = partial(self._miner.draw, self._mined.numpy(), mined)
            yield from self.batches.stream(sizes[start : mined + every], draw)
            start = mined + every

    def _embed(self, size: int, paths: list[Path], told: Callable[[int], object] = lambda _: None) -> Any:
        """Photo files -> float32 [n, dim] by the current network, preprocessed as for serving.

        The next batch is decoded while the network computes this one, both on all cores; `told` gets each batch's size.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = [paths[start : start + 64] for start in range(0, len(paths), 64)]
            waiting = [[pool.submit(batches.read, path, size) for path in part] for part in parts[:1]]
            vectors = []
            for part, following in zip(parts, [*parts[1:], []], strict=True):
                waiting.append([pool.submit(batches.read, path, size) for path in following])
                photos = np.stack([photo.result() for photo in waiting.pop(0)])
                vectors.append(self._look(tf.constant(photos, tf.float32)).numpy())
                told(len(part))
        return np.concatenate(vectors)

    def resume(self) -> int:
        """Load the newest checkpoint, if any -> the step to continue from. Raises EmbedderError if it does not fit."""
        newest = self._manager.latest_checkpoint
        if newest:
            try:
                status = self._checkpoint.restore(newest).assert_consumed()
                status.expect_partial()  # the manager's own counter is not restored, and not needed
            except (tf.errors.OpError, AssertionError, ValueError) as error:
                raise EmbedderError(f"{newest} does not fit this training: {error}") from error
        return self.step

    def serving_network(self) -> Any:
        """The network to export, in float32: the training network itself unless that computes in float16."""
        if not self._mixed:
            return self.network
        with embedding_network.computing(mixed=False):
            backbone = backbones.build_backbone(self.config.backbone, "none")
            network = embedding_network.build_embedder(backbone, self.config.head, self.config.dim, self.config.size)
        network.set_weights(self.network.get_weights())
        return network

    def use_average(self) -> None:
        """Put the averaged weights into the network, for export or evaluation."""
        for shadow, weight in zip(self._average, self.network.weights, strict=True):
            if averages(weight):
                weight.assign(shadow)

    def run(
        self,
        *,
        validate: Callable[[Any], dict[str, float]] | None = None,
        validate_every: int = 5,
        board: Path | None = None,
        quiet: bool = False,
    ) -> list[EpochLog]:
        """Train from the current step to the end -> log lines of these epochs, each with a checkpoint.

        `validate` evaluates the averaged network every `validate_every` epochs and at the end; its figures are logged.
        The log is also written to the folder `board`, for TensorBoard. Raises EmbedderError when a checkpoint can't be
        written: the previous one is intact, and `resume` continues from there; DivergedError when loss or network are
        not finite: log and checkpoints are those of the epochs before.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        show = tensorboard(board) if board else None
        start, history = self.step, []
        done = EpochSums()
        with tqdm(total=len(self._plan), initial=start, unit="step", disable=quiet, mininterval=1) as bar:
            for step, batch in zip(range(start, len(self._plan)), self._stream(start), strict=True):
                size, epoch = self._plan[step]
                parts, shares = self._feed(step, batch)
                if not np.isfinite(parts).all():
                    raise self._diverged(step, "the loss")
                done.add(parts, shares, len(batch.labels))
                bar.update()
                if step % 10 == 0:
                    loss, speed = self._total(done.parts), done.images_per_second
                    state = f"{size} px, frozen" if self._learner(step).frozen else f"{size} px"
                    bar.set_postfix_str(f"epoch {epoch + 1}, {state}, loss {loss:.3f}, {speed:.0f} images/s")
                last = step + 1 == len(self._plan)
                if last or self._plan[step + 1][1] != epoch:
                    if not self._is_finite(batch.pixels[:2]):  # the loss is of before the step
                        raise self._diverged(step, "the network")
                    line = EpochLog(
                        epoch=epoch + 1,
                        step=step + 1,
                        size=size,
                        loss=self._total(done.parts),
                        **done.named_parts,
                        rate=self._rate(step),
                        images_per_second=done.images_per_second,
                        seconds=done.seconds,
                        shares=done.shares,
                        frozen=self._learner(step).frozen,
                    )
                    # Logged before the checkpoint: a kill in between logs the epoch twice, never not at all.
                    write_line(self.work, line)
                    self._save(step + 1)
                    if validate and (last or (epoch + 1) % validate_every == 0):
                        line.figures = self._validated(validate)
                        bar.write(f"epoch {epoch + 1}: {line.figures}")
                        write_line(self.work, line)
                    if show:
                        show(line)
                    history.append(line)
                    done = EpochSums()
        return history

    def _is_finite(self, pixels: Any) -> bool:
        """Whether all weights are finite, and what the network makes of some photos: weights may be merely huge."""
        held = [*self._objective.everything(), *self.network.weights, *self._average]
        if not all(bool(tf.reduce_all(tf.math.is_finite(weight))) for weight in held if weight.dtype.is_floating):
            return False
        return bool(np.isfinite(self._look(tf.constant(pixels, tf.float32)).numpy()).all())

    def _diverged(self, step: int, what: str) -> DivergedError:
        kept = self._manager.latest_checkpoint
        left = f"The checkpoint {Path(kept).name} is of the last good epoch" if kept else "There is no checkpoint yet"
        return DivergedError(
            f"Step {step + 1}: {what} is not finite, so the training has diverged and ends here. {left}. "
            "A lower --lr, or --precision float32, may help."
        )

    def _total(self, parts: Any) -> float:
        """The parts of the loss [4] -> their weighted sum, the loss."""
        return float(np.dot(parts, (1.0, 1.0, self.config.softmax, self.config.teaching)))

    def _save(self, step: int) -> None:
        try:
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            # The partial file takes needed disk space, and nothing refers to it.
            shutil.rmtree(self.work / CHECKPOINTS / f"ckpt-{step}_temp", ignore_errors=True)
            reason = str(getattr(error, "message", error)).splitlines()[0]
            raise EmbedderError(
                f"The checkpoint of step {step} can't be written ({reason}). "
                "The one before it is whole: make room, then go on by --resume."
            ) from error

    def _validated(self, validate: Callable[[Any], dict[str, float]]) -> dict[str, float]:
        raw = [weight.numpy() for weight in self.network.weights]
        self.use_average()
        figures = validate(self.network)
        for value, weight in zip(raw, self.network.weights, strict=True):
            weight.assign(value)
        return figures

"""One optimization step: the loss, the variables that it updates, and their moving average.

Imports TensorFlow (extra `train`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from embedder.training import losses
from embedder.training.recipe import TrainConfig

Keras = Any  # TensorFlow 2.15 ships no types


class Objective:
    """The loss of a training and its parts, including auxiliary layers that are not exported.

    `softmax` has a prototype for each of the `skus`; `classifier` is None except for cross-entropy.
    """

    def __init__(self, config: TrainConfig, network: Keras, skus: int) -> None:
        self.config, self.network = config, network
        self.softmax = losses.CosineSoftmax(skus, config.dim)
        self.classifier: losses.Classifier | None = None
        self._triplet: Any = None
        if config.loss == "cross-entropy":
            # The features before normalization, see `losses.Classifier`.
            self._features = tf.keras.Model(network.input, network.get_layer("embedding").output)
            self.classifier = losses.Classifier(skus, config.dim)
        elif config.loss == "semi-hard":
            self._triplet = losses.triplet_semi_hard(config.margin, config.distance)
        elif config.mine_every > 0:
            self._triplet = losses.triplet_given(config.margin, config.soft, config.distance)
        else:
            self._triplet = losses.triplet_hard(config.margin, config.soft, config.distance)

    def head(self) -> list[Any]:
        """Trainable variables of the head: the Dense layer's, and those of the auxiliary layers."""
        return [*self.network.get_layer("embedding").trainable_variables, *self._thrown_away()]

    def everything(self) -> list[Any]:
        """All trainable variables."""
        return [*self.network.trainable_variables, *self._thrown_away()]

    def _thrown_away(self) -> list[Any]:
        classifier = [] if self.classifier is None else self.classifier.trainable_variables
        return [*self.softmax.trainable_variables, *classifier]

    def __call__(
        self, pixels: Any, labels: Any, targets: Any, mixed: Any, lesson: Any, *, training: bool
    ) -> tuple[Any, Any, Any]:
        """A batch -> (the loss, a scalar; its parts, float32 [4] as in epoch_log.PARTS; the vectors [n, dim])."""
        zero = tf.constant(0.0)
        if self.classifier is not None:
            features = self._features(pixels, training=training)
            vectors = tf.math.l2_normalize(features, axis=1)
            triplet, cross_entropy = zero, self.classifier(features, targets)
        else:
            vectors = self.network(pixels, training=training)
            triplet = tf.cond(mixed, lambda: zero, lambda: self._triplet(labels, vectors))
            cross_entropy = zero
        softmax = self.softmax(vectors, targets) if self.config.softmax > 0 else zero
        taught = losses.away_from(lesson, vectors) if self.config.teacher else zero
        loss = triplet + cross_entropy + self.config.softmax * softmax + self.config.teaching * taught
        return loss, tf.stack([triplet, cross_entropy, softmax, taught]), vectors


class Step:
    """Optimization from step `began` on: of all variables or, `frozen`, of the head alone.

    Frozen, the backbone runs in inference mode, so that its batch-norm statistics stay fixed too, without gradients.
    `count`, a variable, is the number of steps done; `average` the averaged weights, in the network's order.
    """

    def __init__(
        self, objective: Objective, average: Sequence[Any], count: Any, *, began: int, frozen: bool, mixed: bool
    ) -> None:
        self.began, self.frozen = began, frozen
        self._objective, self._count, self._mixed = objective, count, mixed
        self._variables = objective.head() if frozen else objective.everything()
        learned = {variable.ref() for variable in self._variables}
        self._averaged = [
            (shadow, weight)
            for shadow, weight in zip(average, objective.network.weights, strict=True)
            # Not of frozen weights, whose average would drift by rounding.
            if averages(weight) and (weight.ref() in learned or not frozen)
        ]
        # A separate optimizer: Adam corrects the bias of its moments by the number of steps (Kingma and Ba 2015,
        # algorithm 1). One that counted the frozen steps would take the backbone's moments, still 0 when it is
        # unfrozen, for converged ones, and move it several times as far as the learning rate says.
        self.optimizer = tf.keras.optimizers.Adam(0.0)  # the learning rate is set by each call
        if mixed:
            self.optimizer = tf.keras.mixed_precision.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(self._variables)
        gpu = bool(tf.config.list_physical_devices("GPU"))
        # XLA takes minutes to compile the step for a CPU, where it gains nothing.
        self._run = tf.function(self._learn, reduce_retracing=not gpu, jit_compile=gpu or None)

    def __call__(
        self, rate: float, pixels: Any, labels: Any, targets: Any, mixed: bool, lesson: Any
    ) -> tuple[Any, Any]:
        """Train on a batch at a learning rate: pixels float32 [n, size, size, 3], labels [n], targets [n, skus],
        whether photos were mixed, and the teacher's vectors [n, dim] (ignored without one).

        Returns the parts of the loss, float32 [4] as in epoch_log.PARTS, and the batch's vectors [n, dim].
        """
        self.optimizer.learning_rate.assign(rate)
        parts, vectors = self._run(*map(tf.constant, (pixels, labels, targets, mixed, lesson)))
        return parts.numpy(), vectors.numpy()

    def _learn(self, *batch: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            loss, parts, vectors = self._objective(*batch, training=not self.frozen)
            # Loss scaling, so that small gradients do not underflow in float16 (Micikevicius et al. 2018).
            scaled = self.optimizer.get_scaled_loss(loss) if self._mixed else loss
        gradients = tape.gradient(scaled, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if self._mixed:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        # Early on the average would be mostly the initial weights, so its window grows with the steps; and again when
        # the backbone is unfrozen.
        done = tf.cast(self._count - self.began, tf.float32)
        keep = tf.minimum(self._objective.config.average, (1.0 + done) / (10.0 + done))
        for shadow, weight in self._averaged:
            shadow.assign(keep * shadow + (1.0 - keep) * weight)
        self._count.assign_add(1)
        return parts, vectors


def averages(weight: Any) -> bool:
    """Whether a weight is averaged: counts and float16 constants are not."""
    return bool(weight.dtype == tf.float32)

"""One step of a training on one replica: forward, backward, update.

Written out rather than left to `Model.fit`, because accumulation, averages, a teacher and an end at the first NaN each
change the step itself: in one function they combine, as overrides of `fit` they get into each other's way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

Tensor = Any
"""float32."""

Losses = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Losses (n,) of inputs (n, h, w, c), targets (n, classes) and logits (n, classes)."""


class Totals(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Sums over the images seen since `reset`, over all replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.loss, self.right, self.images = (keras.metrics.Sum(name=name) for name in ("loss", "right", "images"))

    def add(self, losses: Tensor, targets: Tensor, logits: Tensor) -> None:
        """Count a batch: losses (n,), targets and logits (n, classes)."""
        right = tf.argmax(targets, axis=-1) == tf.argmax(logits, axis=-1)
        self.loss.update_state(losses)
        self.right.update_state(tf.cast(right, tf.float32))
        self.images.update_state(tf.ones_like(losses))

    def reset(self) -> None:
        """Begin again."""
        for total in (self.loss, self.right, self.images):
            total.reset_state()

    def mean_loss(self) -> float:
        """Mean loss so far."""
        return float(self.loss.result()) / max(1.0, float(self.images.result()))

    def accuracy(self) -> float:
        """Share of the images whose greatest logit is that of their greatest target."""
        return float(self.right.result()) / max(1.0, float(self.images.result()))

    def counts(self) -> tuple[int, int]:
        """How many images were right, and how many there were."""
        return round(float(self.right.result())), round(float(self.images.result()))


class Step:
    """One step of the optimizer; called on every replica with its part of the batch.

    `parts`: into how many micro-batches, run one after the other, a replica cuts its images; the gradient is that of
    the whole batch, for a network whose layers treat each image alone (batch norms see the micro-batch).
    `compiled`: whether XLA compiles forward and backward.
    """

    def __init__(self, model: Any, optimizer: Any, objective: Losses, *, parts: int = 1, compiled: bool = False):
        self._model, self._optimizer, self._objective, self._parts = model, optimizer, objective, parts
        self._variables = model.trainable_variables
        self._gradients = tf.function(self._backward, jit_compile=True) if compiled else self._backward

    def __call__(self, inputs: Tensor, targets: Tensor, totals: Totals) -> None:
        """Update the model from inputs (n, h, w, c) and targets (n, classes), and count them."""
        own = tf.shape(inputs)[0]
        images = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(own, tf.float32))
        if self._parts == 1:
            gradients, losses, logits = self._gradients(inputs, targets, images)
            totals.add(losses, targets, logits)
        else:
            gradients = self._accumulated(inputs, targets, images, totals)
        if isinstance(self._optimizer, keras.mixed_precision.LossScaleOptimizer):
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))

    def _accumulated(self, inputs: Tensor, targets: Tensor, images: Tensor, totals: Totals) -> Sequence[Tensor]:
        own = tf.shape(inputs)[0]
        size = tf.maximum(1, -(-own // self._parts))

        def add(start: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
            chosen = slice(start, start + size)
            gradients, losses, logits = self._gradients(inputs[chosen], targets[chosen], images)
            totals.add(losses, targets[chosen], logits)
            return start + size, *(a + b for a, b in zip(sums, gradients, strict=True))

        begin = (tf.constant(0), *(tf.zeros(variable.shape) for variable in self._variables))
        # One at a time: parts that ran side by side would need the memory of the whole batch.
        sums: Sequence[Tensor] = tf.while_loop(lambda start, *_: start < own, add, begin, parallel_iterations=1)
        return sums[1:]

    def _backward(self, inputs: Tensor, targets: Tensor, images: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Gradients of this part's share in the mean loss over `images`, and its losses (n,) and logits."""
        with tf.GradientTape() as tape:
            logits = tf.cast(self._model(inputs, training=True), tf.float32)
            losses = self._objective(inputs, targets, logits)
            share = tf.reduce_sum(losses) / images
            if self._model.losses:  # the penalties of a user's own network
                share += tf.add_n(self._model.losses) * (tf.cast(tf.shape(losses)[0], tf.float32) / images)
            if isinstance(self._optimizer, keras.mixed_precision.LossScaleOptimizer):
                share = self._optimizer.get_scaled_loss(share)
        gradients = tape.gradient(share, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return gradients, losses, logits

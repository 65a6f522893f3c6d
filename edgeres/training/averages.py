"""An exponential moving average of a network's weights: what is validated and exported in their place."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgeres.training.precision import in_precision


class Averages(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """A float32 copy of a network that follows it: average += (1 - decay) · (weight - average).

    Batch-norm statistics are averaged as well. The first steps weigh more, decay being at most (1 + t) / (10 + t), so
    that the initial weights are soon forgotten (Polyak & Juditsky, 1992; the ramp is TensorFlow's).
    """

    def __init__(self, model: Any, decay: float) -> None:
        super().__init__()
        self.model = in_precision(model, "float32")
        self.decay = decay
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)

    def follow(self, model: Any) -> None:
        """After a step of `model`; called outside of the replicas."""
        done = tf.cast(self.steps, tf.float32)
        kept = tf.minimum(self.decay, (1 + done) / (10 + done))
        for average, weight in zip(self.model.weights, model.weights, strict=True):
            now = tf.convert_to_tensor(weight)
            before = tf.convert_to_tensor(average)
            average.assign(before + (1 - kept) * (now - before) if now.dtype.is_floating else now)
        self.steps.assign_add(1)

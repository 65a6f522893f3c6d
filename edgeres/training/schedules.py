"""Learning rate over the steps of a training."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable("edgeres")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # tf_keras has no types
    """Linear from 0 to `peak` over `warmup` steps, then half a cosine to 0 at `steps` (Loshchilov & Hutter, 2017)."""

    def __init__(self, peak: float, *, steps: int, warmup: int) -> None:
        self.peak, self.steps, self.warmup = peak, steps, min(warmup, steps - 1)

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at a step, a float32 scalar."""
        done = tf.cast(step, tf.float32)
        rising = (done + 1) / max(1, self.warmup)
        falling = (done - self.warmup) / max(1, self.steps - self.warmup)
        cosine = 0.5 * (1 + tf.cos(3.141592653589793 * tf.clip_by_value(falling, 0.0, 1.0)))
        return self.peak * tf.where(done < self.warmup, rising, cosine)

    def get_config(self) -> dict[str, Any]:
        """The arguments, for Keras."""
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}

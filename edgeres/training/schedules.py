"""Learning rate over the steps of a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from edgeres.training.settings import TrainingSettings


def schedule(settings: TrainingSettings, steps: int) -> Any:
    """The rate of a training of `steps` steps an epoch: with a frozen backbone first, two schedules in a row."""
    frozen = settings.transfer.freeze_epochs
    if not frozen:
        return _one(settings, settings.learning_rate, steps, first=0, last=settings.epochs)
    head = _one(settings, settings.learning_rate, steps, first=0, last=frozen)
    whole = _one(settings, settings.transfer.finetune_rate, steps, first=frozen, last=settings.epochs)
    return Phases(head, whole, boundary=steps * frozen)


def _one(settings: TrainingSettings, peak: float, steps: int, *, first: int, last: int) -> Any:
    """The schedule of the epochs from `first` to `last`."""
    warmup = round(steps * settings.warmup)
    if settings.schedule == "cosine":
        return WarmupCosine(peak, steps=steps * (last - first), warmup=warmup)
    milestones = [steps * (milestone - first) for milestone in settings.milestones if milestone > first]
    return WarmupStep(peak, milestones=milestones, factor=settings.factor, warmup=warmup)


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


@keras.saving.register_keras_serializable("edgeres")
class WarmupStep(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # tf_keras has no types
    """Linear from 0 to `peak` over `warmup` steps, then constant, times `factor` from each milestone (a step) on."""

    def __init__(self, peak: float, *, milestones: Sequence[int], factor: float, warmup: int) -> None:
        self.peak, self.milestones, self.factor, self.warmup = peak, list(milestones), factor, warmup

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at a step, a float32 scalar."""
        done = tf.cast(step, tf.float32)
        passed = sum((tf.cast(done >= milestone, tf.float32) for milestone in self.milestones), tf.constant(0.0))
        rising = tf.minimum(1.0, (done + 1) / max(1, self.warmup))
        return self.peak * rising * self.factor**passed

    def get_config(self) -> dict[str, Any]:
        """The arguments, for Keras."""
        return {"peak": self.peak, "milestones": self.milestones, "factor": self.factor, "warmup": self.warmup}


@keras.saving.register_keras_serializable("edgeres")
class Phases(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # tf_keras has no types
    """One schedule up to a step, another from it on, which begins at its own step 0."""

    def __init__(self, first: Any, second: Any, *, boundary: int) -> None:
        self.first, self.second, self.boundary = first, second, boundary

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at a step, a float32 scalar."""
        done = tf.cast(step, tf.float32)
        return tf.where(done < self.boundary, self.first(done), self.second(tf.maximum(0.0, done - self.boundary)))

    def get_config(self) -> dict[str, Any]:
        """The arguments, for Keras."""
        return {"first": self.first, "second": self.second, "boundary": self.boundary}

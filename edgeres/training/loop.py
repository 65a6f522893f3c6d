"""Steps and measurements over feeds, on whatever devices there are; no file is written here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from edgeres.training.averages import Averages
from edgeres.training.distribution import Group
from edgeres.training.interruption import held_signals
from edgeres.training.step import Losses, Step, Totals

StepsDone = Callable[[int, float], None]
"""Called within an epoch with the steps that are done and the images a second so far."""

_CALL_S, _MOST_STEPS = 0.25, 32
"""Steps run in calls of about this time: each ends with a look at the loss, and lets an interruption through."""

_WORKER_STEPS = 8
"""Steps in a call where several processes train: they look at the loss together, so that no clock can say when."""


class NotFiniteError(Exception):
    """The loss became NaN or infinite."""

    def __init__(self, loss: float) -> None:
        super().__init__(str(loss))
        self.loss = loss


class Loop:
    """Runs steps over feeds of (inputs, targets) on a group of replicas; to be made in the scope of its strategy."""

    def __init__(self, group: Group) -> None:
        self._group, self._strategy = group, group.strategy
        self.totals = Totals()

    def stepping(self, step: Step, model: Any, averages: Averages | None) -> Any:
        """`step` as one graph that takes a number of batches off an iterator."""

        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def run(batches: Any, count: tf.Tensor) -> None:
            for _ in tf.range(count):
                self._strategy.run(step, args=(*next(batches), self.totals))
                if averages is not None:
                    averages.follow(model)

        return run

    def measuring(self, model: Any, objective: Losses) -> Any:
        """Loss and accuracy of a model in inference as one graph that takes a batch."""

        def look(inputs: Any, targets: Any) -> None:
            logits = tf.cast(model(inputs, training=False), tf.float32)
            self.totals.add(objective(inputs, targets, logits), targets, logits)

        @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def run(batch: Any) -> None:
            self._strategy.run(look, args=batch)

        return run

    def train(self, feed: tf.data.Dataset, stepping: Any, *, steps: int, told: StepsDone) -> None:
        """One epoch; `totals` has its loss and accuracy, over the images as augmented.

        Raises:
            NotFiniteError: the loss became NaN or infinite; seen within a few steps.
        """
        self.totals.reset()
        count = _WORKER_STEPS if self._group.workers > 1 else 1
        with held_signals() as let_through:
            batches = iter(self._group.distribute(feed))
            started, done = time.perf_counter(), 0
            while done < steps:
                count = min(count, steps - done)
                before = time.perf_counter()
                stepping(batches, tf.constant(count))
                self._require_finite()
                now = time.perf_counter()
                done += count
                let_through()
                told(done, float(self.totals.images.result()) / (now - started))
                if self._group.workers == 1:
                    count = max(1, min(_MOST_STEPS, 2 * count, int(_CALL_S * count / (now - before))))

    def measure(self, feed: tf.data.Dataset, measuring: Any) -> None:
        """A whole feed; `totals` has loss and accuracy.

        Raises:
            NotFiniteError: the loss is NaN or infinite.
        """
        self.totals.reset()
        with held_signals() as let_through:
            for batch in self._group.distribute(feed):
                measuring(batch)
                let_through()
        self._require_finite()

    def _require_finite(self) -> None:
        loss = self.totals.mean_loss()
        if not math.isfinite(loss):
            raise NotFiniteError(loss)

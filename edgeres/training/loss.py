"""What a training minimizes: cross-entropy of logits with the classes, an image weighing as its class does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgeres.data import Dataset
from edgeres.errors import ConfigError, suggestion
from edgeres.training.settings import TrainingSettings

Tensor = Any
"""float32."""


def cross_entropy(targets: Tensor, logits: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """One loss an image: (n,) from targets (n, classes), which sum to 1, and logits (n, classes).

    Label smoothing: Szegedy et al., 2016, section 7.
    """
    return keras.losses.categorical_crossentropy(targets, logits, from_logits=True, label_smoothing=label_smoothing)


@dataclass(frozen=True)
class Objective:
    """The loss of a training: inputs (n, h, w, c), targets (n, classes), logits (n, classes) to losses (n,).

    `class_weights`: one of each class, or None where all weigh the same.
    """

    label_smoothing: float
    class_weights: tuple[float, ...] | None

    @classmethod
    def of(cls, settings: TrainingSettings, dataset: Dataset) -> Objective:
        """The one that settings ask for.

        Raises:
            ConfigError: a weight for a class that the data do not have.
        """
        return cls(settings.label_smoothing, class_weights(settings, dataset))

    def __call__(self, inputs: Tensor, targets: Tensor, logits: Tensor) -> Tensor:
        """In training: each image weighs as its class, a mixed one as the classes in it."""
        losses = self.measured(inputs, targets, logits)
        if self.class_weights is None:
            return losses
        return losses * tf.linalg.matvec(targets, tf.constant(self.class_weights, tf.float32))

    def measured(self, inputs: Tensor, targets: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG002 - as in training
        """In validation: every image weighs the same."""
        return cross_entropy(targets, logits, label_smoothing=self.label_smoothing)


def class_weights(settings: TrainingSettings, dataset: Dataset) -> tuple[float, ...] | None:
    """The weight of each class, in the order of the labels; None where all weigh the same.

    Raises:
        ConfigError: a weight for a class that the data do not have.
    """
    wanted = settings.class_weights
    if wanted == "none":
        return None
    if wanted == "balanced":
        return balanced(dataset.split("train").classes, len(dataset.labels))
    for label in wanted:
        if label not in dataset.labels:
            problem = f"class_weights: {dataset.source} has no class '{label}'"
            raise ConfigError(problem, fix=suggestion(label, dataset.labels))
    return tuple(wanted.get(label, 1.0) for label in dataset.labels)


def balanced(classes: NDArray[np.int64], count: int) -> tuple[float, ...]:
    """Weights with which every class counts the same: images ÷ (classes · images of the class)."""
    images = np.bincount(classes, minlength=count)
    return tuple(float(weight) for weight in len(classes) / (count * np.maximum(images, 1)))

"""Learning from a teacher: its softened answer beside the label (Hinton, Vinyals & Dean, 2015)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgeres.contracts import contract_for
from edgeres.data import Dataset
from edgeres.errors import ConfigError, DataError, ModelError
from edgeres.keras_file import read_keras_file
from edgeres.keras_io import load
from edgeres.preprocess import Preprocess
from edgeres.training.identity import source_of_file, source_of_model
from edgeres.training.loss import Objective
from edgeres.training.run import model_of
from edgeres.training.settings import DistillSettings

Tensor = Any

_GEOMETRY = ("height", "width", "resize", "crop_fraction", "kernel", "exif")
_LEAST = 1e-7


@dataclass(frozen=True)
class Teacher:
    """A teacher, checked but not built; `contract` is its own, `student` that of the network it teaches.

    `name`: for a person; `source`: which model it is, with its SHA-256; `load` gives the model.
    """

    name: str
    source: str
    load: Callable[[], Any]
    contract: Preprocess
    student: Preprocess

    @classmethod
    def of(cls, model: Any, contract: Preprocess, student: Preprocess | None = None) -> Teacher:
        """A tf_keras model in memory, trained with `contract`; a student without another one is given the same images.

        Raises:
            ConfigError: it takes other images than the student.
        """
        teacher = cls(model.name, source_of_model(model), lambda: model, contract, student or contract)
        _require_one_view(teacher)
        return teacher

    def build(self, classes: int) -> Any:
        """A function from the student's inputs (n, h, w, c) to the teacher's logits (n, classes), float32.

        Raises:
            ModelError: Keras cannot load it, or it has another number of outputs.
        """
        model = self.load()
        shape = (2, *self.contract.shape)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        found = np.asarray(model(self.contract.normalize(pixels), training=False))
        if found.shape[-1] != classes:
            raise ModelError(
                f"the teacher {self.name} has {found.shape[-1]} outputs, the data have {classes} classes",
                fix="give a teacher of the same classes",
            )
        probabilities = bool((found >= 0).all() and np.allclose(found.sum(axis=-1), 1, atol=1e-3))

        def logits(inputs: Tensor) -> Tensor:
            outputs = tf.cast(model(as_seen_by(self.contract, inputs, self.student), training=False), tf.float32)
            return tf.stop_gradient(tf.math.log(tf.maximum(outputs, _LEAST)) if probabilities else outputs)

        return logits


@dataclass(frozen=True)
class Distilled:
    """(1 - alpha) · loss on the labels + alpha · temperature² · divergence from the teacher's answer.

    The square keeps the two parts' gradients in proportion whatever the temperature (section 2 of the paper).
    `teacher`: what `Teacher.build` gives.
    """

    labels: Objective
    teacher: Any
    settings: DistillSettings

    def __call__(self, inputs: Tensor, targets: Tensor, logits: Tensor) -> Tensor:
        """In training; see `Objective`."""
        temperature, alpha = self.settings.temperature, self.settings.alpha
        wanted = tf.nn.log_softmax(self.teacher(inputs) / temperature)
        given = tf.nn.log_softmax(logits / temperature)
        soft = tf.reduce_sum(tf.exp(wanted) * (wanted - given), axis=-1)
        return (1 - alpha) * self.labels(inputs, targets, logits) + alpha * temperature**2 * soft


def open_teacher(
    path: Path, dataset: Dataset, student: Preprocess, option: str | None, *, trust: bool = False
) -> Teacher:
    """Check a teacher's file against the data and the student's preprocessing; nothing is built.

    Args:
        path: a run folder, or a Keras file.
        dataset: what the student learns.
        student: the student's contract.
        option: what `--preprocess` says for a file that does not carry its contract.
        trust: code in the file may run.

    Raises:
        ModelError: no Keras file, or one that would run code, unless `trust`.
        DataError: it was trained on other classes.
        ConfigError: its preprocessing is not known, or takes other images than the student's.
    """
    file = read_keras_file(model_of(path), trust=trust)
    if file.card is not None and file.card.labels != dataset.labels:
        raise DataError(
            f"the teacher {path} was trained on other classes than {dataset.source} has",
            details=(
                f"teacher: {len(file.card.labels)}: {', '.join(file.card.labels[:10])}",
                f"data:    {len(dataset.labels)}: {', '.join(dataset.labels[:10])}",
            ),
            fix="give a teacher of the same classes",
        )
    contract = contract_for(file, option, flag="--set distill.preprocess=")
    teacher = Teacher(str(path), source_of_file(file), lambda: load(file), contract, student)
    _require_one_view(teacher)
    return teacher


def _require_one_view(teacher: Teacher) -> None:
    own, student = teacher.contract, teacher.student
    for name in _GEOMETRY:
        if getattr(own, name) != getattr(student, name):
            raise ConfigError(
                f"the teacher {teacher.name} takes {name} {getattr(own, name)!r}, the student "
                f"{getattr(student, name)!r}",
                details=("both must see the same part of an image at the same size",),
                fix="give both one --input-size and way of resizing",
            )
    if "gray" in (own.channels, student.channels) and own.channels != student.channels:
        raise ConfigError(
            f"the teacher {teacher.name} takes {own.channels}, the student {student.channels}",
            fix="give both the same channels",
        )


def as_seen_by(contract: Preprocess, inputs: Tensor, own: Preprocess) -> Tensor:
    """Inputs (n, h, w, c) made by the contract `own` as `contract` would have made them; of equal geometry."""
    if contract == own:
        return inputs
    pixels = (inputs * np.asarray(own.std, np.float32) + np.asarray(own.mean, np.float32)) / np.float32(own.scale)
    if contract.channels != own.channels:
        pixels = tf.reverse(pixels, [-1])
    scaled = pixels * np.float32(contract.scale) - np.asarray(contract.mean, np.float32)
    return scaled / np.asarray(contract.std, np.float32)

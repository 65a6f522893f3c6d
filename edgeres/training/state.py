"""All that a training changes: the network, its optimizer and averages, and the best weights so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from edgeres.training.averages import Averages
from edgeres.training.drawing import with_generators
from edgeres.training.optimizer import optimizer
from edgeres.training.precision import in_precision
from edgeres.training.settings import TrainingSettings


@dataclass(frozen=True)
class State:
    """To be made under the strategy's scope; `model` computes in the precision of the settings."""

    model: Any
    optimizer: Any
    averages: Averages | None
    best: Best | None

    @property
    def measured(self) -> Any:
        """The network that is validated and exported: the averaged one where there is one."""
        return self.averages.model if self.averages else self.model

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds, by name; the names of the first two are those of every earlier version."""
        found = {"model": self.model, "optimizer": self.optimizer, "averages": self.averages, "best": self.best}
        return {name: part for name, part in found.items() if part is not None}

    def exported(self) -> Any:
        """The trained network, float32 throughout."""
        if self.best is not None:
            self.best.recall(self.measured)
        return in_precision(self.measured, "float32")


class Best(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """A copy of the weights after the best epoch; in the checkpoint, so that both are of one moment."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.weights = [tf.Variable(weight, trainable=False) for weight in model.get_weights()]

    def keep(self, model: Any) -> None:
        """These are the best."""
        for kept, weight in zip(self.weights, model.get_weights(), strict=True):
            kept.assign(weight)

    def recall(self, model: Any) -> None:
        """Set the model to the best."""
        model.set_weights([kept.numpy() for kept in self.weights])


def new_state(network: Any, settings: TrainingSettings, *, steps: int) -> State:
    """The state at the start of a training of a float32 network; `steps` of an epoch."""
    computing = network if settings.precision == "float32" else in_precision(network, settings.precision)
    model = with_generators(computing)
    averages = Averages(model, settings.ema) if settings.ema else None
    best = Best(model) if settings.patience else None
    return State(model, optimizer(settings, model, steps=steps), averages, best)

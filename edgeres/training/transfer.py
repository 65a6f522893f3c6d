"""Beginning with weights from elsewhere: first the new layers alone, then all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from edgeres.errors import ConfigError
from edgeres.training.settings import TrainingSettings
from edgeres.training.subject import Subject


class Backbone:
    """All layers but the new ones, which can be frozen; a frozen batch norm runs as in inference."""

    def __init__(self, model: Any, new_layers: Collection[str]) -> None:
        weighted = [layer.name for layer in model.layers if layer.weights]
        new = new_layers or weighted[-1:]  # weights for the same classes bring a head, which still is what is trained
        self._layers = [layer for layer in model.layers if layer.name not in new and layer.trainable]

    def freeze(self, frozen: bool) -> None:
        """Freeze, or let all train again; counts from the next graph that is traced."""
        for layer in self._layers:
            layer.trainable = not frozen


def require_trained(settings: TrainingSettings, subject: Subject) -> None:
    """Refuse to freeze what was never trained.

    Raises:
        ConfigError: epochs with a frozen backbone, but no weights.
    """
    if settings.transfer.freeze_epochs and not subject.trained:
        raise ConfigError(
            f"transfer.freeze_epochs is {settings.transfer.freeze_epochs}, but no weights are given",
            fix="add --weights FILE, or leave out transfer.freeze_epochs",
        )

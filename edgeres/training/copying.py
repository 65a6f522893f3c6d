"""Copies of tf_keras models whose layers differ in their configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tf_keras as keras

Form = tuple[Any, dict[str, Any]]
"""A layer's class and configuration."""


def copied(model: Any, form: Callable[[Any], Form], *, but: str | None = None) -> Any:
    """A copy of a flat tf_keras model, each layer as `form` says; with all weights but those of the layer `but`.

    Layers keep their order and whether they train; the layer `but` trains.
    """

    def again(layer: Any) -> Any:
        kind, config = form(layer)
        return kind.from_config(config)

    copy = keras.models.clone_model(model, clone_function=again)
    for layer, original in zip(copy.layers, model.layers, strict=True):
        layer.trainable = original.trainable or original.name == but
        if original.name != but:
            layer.set_weights(original.get_weights())
    return copy

"""Copies of tf_keras models whose layers differ in their configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tf_keras as keras
from numpy.typing import NDArray

Form = tuple[Any, dict[str, Any]]
"""A layer's class and configuration."""


Weights = Mapping[str, Sequence[NDArray[Any]]]
"""Layer -> its weights in Keras' order."""


def copied(model: Any, form: Callable[[Any], Form], *, but: str | None = None, weights: Weights | None = None) -> Any:
    """A copy of a flat tf_keras model, each layer as `form` says; with all weights but those of the layer `but`.

    Layers keep their order and whether they train; the layer `but` trains. `weights`: those of each layer, where they
    are not the model's own.

    Raises:
        TypeError, ValueError: a layer that does not take its configuration, or does not fit the one before it.
    """

    def again(layer: Any) -> Any:
        kind, config = form(layer)
        # Random values that nobody sees would take most of the time.
        drawn = {} if layer.name == but else dict.fromkeys(_initializers(config), "zeros")
        return kind.from_config({**config, **drawn})

    copy = keras.models.clone_model(model, clone_function=again)
    for layer, original in zip(copy.layers, model.layers, strict=True):
        layer.trainable = original.trainable or original.name == but
        if original.name != but:
            for name in _initializers(layer.get_config()):
                setattr(layer, name, getattr(original, name))
            layer.set_weights(original.get_weights() if weights is None else weights[original.name])
    return copy


def weights_of(model: Any) -> dict[str, list[NDArray[Any]]]:
    """The weights of each layer, as copies."""
    return {layer.name: layer.get_weights() for layer in model.layers}


def _initializers(config: Mapping[str, Any]) -> list[str]:
    return [key for key in config if key.endswith("_initializer") and config[key] is not None]

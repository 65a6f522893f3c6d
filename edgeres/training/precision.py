"""The types that a network computes in; its weights are float32 always."""

from __future__ import annotations

from typing import Any

import tf_keras as keras


def in_precision(model: Any, policy: str) -> Any:
    """A copy of a tf_keras model, weights and all, whose layers compute in `policy`.

    "float32", or "mixed_float16" and "mixed_bfloat16" (Micikevicius et al., 2018), which halve activations and keep
    the weights float32. The layers' names stay.
    """

    def again(layer: Any) -> Any:
        return layer.__class__.from_config({**layer.get_config(), "dtype": policy})

    copy = keras.models.clone_model(model, clone_function=again)
    copy.set_weights(model.get_weights())
    for layer, original in zip(copy.layers, model.layers, strict=True):
        layer.trainable = original.trainable
    return copy

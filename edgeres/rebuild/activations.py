"""Activation functions of both generations, as tf_keras layers.

The two differ: `hard_sigmoid` is clip(0.2x + 0.5) in Keras 2 and relu6(x + 3) / 6 in Keras 3, and tf_keras has neither
`hard_silu` nor `relu6`. What tf_keras does not have under the same name and meaning is composed of layers that it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tf_keras
from tf_keras import layers

Step = Callable[[Any], Any]

NATIVE = ("linear", "relu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "selu", "elu", "exponential", "gelu")
"""Names under which both generations mean the same function, with its default arguments."""

_ALIASES = {"silu": "swish", "swish": "swish", "hard_swish": "hard_silu", "hard_silu": "hard_silu"}


def activation_step(name: str, label: str) -> Step | None:
    """What applies the Keras 3 activation `name` to a tensor, in layers called after `label`; None if it is unknown."""
    name = _ALIASES.get(name, name)
    if name in NATIVE or name == "swish":
        return layers.Activation(name, name=label)  # type: ignore[no-any-return]
    composed = _COMPOSED.get(name)
    return composed(label) if composed else None


def relu6(label: str) -> Step:
    """min(max(x, 0), 6)."""
    return layers.ReLU(max_value=6.0, name=label)  # type: ignore[no-any-return]


def _leaky_relu(label: str) -> Step:
    return layers.LeakyReLU(alpha=0.2, name=label)  # type: ignore[no-any-return]


def _hard_sigmoid(label: str) -> Step:
    raised = layers.Rescaling(1.0, offset=3.0, name=f"{label}_raised")
    clipped, scaled = relu6(f"{label}_clipped"), layers.Rescaling(1 / 6, name=label)
    return lambda x: scaled(clipped(raised(x)))


def _hard_silu(label: str) -> Step:
    gate, product = _hard_sigmoid(f"{label}_gate"), layers.Multiply(name=label)
    return lambda x: product([x, gate(x)])


_COMPOSED: dict[str, Callable[[str], Step]] = {
    "relu6": relu6,
    "leaky_relu": _leaky_relu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
}


def name_of(activation: Any) -> str:
    """The name of an activation function or layer."""
    return str(getattr(activation, "__name__", None) or tf_keras.activations.serialize(activation))

"""Regularizers and constraints of Keras 3, as those of tf_keras: they matter only where the model is trained again."""

from __future__ import annotations

from typing import Any

import tf_keras

PENALTIES = ("_regularizer", "_constraint")
"""How the settings of a layer that hold one end."""

_REGULARIZERS = ("L1", "L2", "L1L2", "OrthogonalRegularizer")
_CONSTRAINTS = ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm")


def counterpart(penalty: Any) -> Any:
    """The regularizer or constraint of tf_keras with the same settings; None for none, and where there is none."""
    kind = type(penalty).__name__
    if not type(penalty).__module__.startswith("keras."):
        return None
    for module, names in ((tf_keras.regularizers, _REGULARIZERS), (tf_keras.constraints, _CONSTRAINTS)):
        if kind in names:
            return getattr(module, kind)(**{name: _plain(value) for name, value in penalty.get_config().items()})
    return None


def penalties_left_out(layer: Any) -> list[str]:
    """The settings of a layer of Keras 3 that hold a regularizer or constraint without a counterpart."""
    given = {name: getattr(layer, name, None) for name in layer.get_config() if name.endswith(PENALTIES)}
    return [name for name, penalty in given.items() if penalty is not None and counterpart(penalty) is None]


def _plain(value: Any) -> Any:
    """A number where Keras 3 keeps an array of one."""
    return value.item() if hasattr(value, "item") else value

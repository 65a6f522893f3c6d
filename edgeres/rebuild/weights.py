"""Copies the weights of a layer to its counterpart, by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeres.rebuild.refusal import NotRebuiltError


def copy_weights(source: Any, target: Any) -> None:
    """Give every weight of `target` the value of the weight of that name in `source`.

    Raises:
        NotRebuiltError: the two do not have the same names and shapes.
    """
    values = {
        _leaf(weight.name): np.asarray(weight) for weight in source.weights if "seed_generator" not in _path(weight)
    }
    names = [_leaf(weight.name) for weight in target.weights]
    if type(target).__name__ == "DepthwiseConv2D" and "kernel" in values:  # Keras 3 calls it that
        values["depthwise_kernel"] = values.pop("kernel")
    if len(values) == len(names) == 1:  # Keras 3 does not name the weight of a LayerScale
        values = dict(zip(names, values.values(), strict=True))
    if sorted(values) != sorted(names):
        raise NotRebuiltError(source.name, f"has the weights {sorted(values)}, expected {sorted(names)}")
    for weight, name in zip(target.weights, names, strict=True):
        if tuple(weight.shape) != values[name].shape:
            raise NotRebuiltError(source.name, f"{name} is {values[name].shape}, expected {tuple(weight.shape)}")
    target.set_weights([values[name] for name in names])


def _leaf(name: str) -> str:
    """`kernel` of `stage1/conv/kernel:0`."""
    return name.partition(":")[0].rpartition("/")[2]


def _path(weight: Any) -> str:
    return str(getattr(weight, "path", weight.name))

"""What becomes of operations that are no layers: `keras.ops` of Keras 3, functions of TensorFlow in a Keras 2 graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tf_keras import layers

from edgeres.rebuild.activations import activation_step
from edgeres.rebuild.refusal import NotRebuiltError

FUNCTIONS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "__operators__.subtract": "Subtract",
    "__operators__.sub": "Subtract",
    "math.subtract": "Subtract",
    "__operators__.multiply": "Multiply",
    "__operators__.mul": "Multiply",
    "math.multiply": "Multiply",
    "__operators__.truediv": "Divide",
    "math.truediv": "Divide",
    "math.divide": "Divide",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.silu": "Silu",
    "nn.swish": "Silu",
    "nn.gelu": "Gelu",
    "nn.softmax": "Softmax",
    "nn.sigmoid": "Sigmoid",
    "math.sigmoid": "Sigmoid",
    "nn.tanh": "Tanh",
    "math.tanh": "Tanh",
    "math.reduce_mean": "Mean",
    "concat": "Concatenate",
    "reshape": "Reshape",
}
"""Function of TensorFlow (as a Keras 2 file names it) -> operation of Keras 3 that means the same."""

_ACTIVATIONS = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Silu": "silu",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Tanh": "tanh",
    "Softplus": "softplus",
}
_SUMS = {"Add": layers.Add, "Subtract": layers.Subtract, "Multiply": layers.Multiply}
_PICKS = {"Maximum": layers.Maximum, "Minimum": layers.Minimum}


def operation(source: Any, kind: str, label: str) -> Callable[..., Any]:
    """What computes the operation `kind` on tensors, in layers called after `label`.

    Raises:
        NotRebuiltError: at once for an unknown operation, when called for arguments that no layer takes.
    """
    if kind in _ACTIVATIONS:
        step = activation_step(_ACTIVATIONS[kind], label)
        if step is not None:
            return lambda x, **_: step(x)
    kind = {"TrueDivide": "Divide"}.get(kind, kind)
    if kind in ("Add", "Subtract", "Multiply", "Divide", *_PICKS):
        return lambda x, y, **_: _arithmetic(kind, x, y, label)
    if kind in _SHAPED:
        return lambda *args, **kwargs: _SHAPED[kind](source, label, args, kwargs)
    raise NotRebuiltError(label, f"the operation {kind} has no counterpart among the layers of tf_keras")


def _arithmetic(kind: str, x: Any, y: Any, label: str) -> Any:
    constants = [_scalar(value) for value in (x, y)]
    if constants == [None, None]:
        merged = {**_SUMS, **_PICKS}.get(kind)
        if merged is None or not (is_tensor(x) and is_tensor(y)):
            raise NotRebuiltError(label, f"{kind} of {_what(x)} and {_what(y)}")
        if kind == "Subtract" and tuple(x.shape) != tuple(y.shape):
            raise NotRebuiltError(label, f"{kind} of tensors of different shapes")
        return merged(name=label)([x, y])
    tensor, constant = (y, constants[0]) if constants[1] is None else (x, constants[1])
    affine = _affine(kind, constant, first=constants[1] is None)
    if affine is None or not is_tensor(tensor):
        raise NotRebuiltError(label, f"{kind} of {_what(x)} and {_what(y)}")
    return layers.Rescaling(affine[0], offset=affine[1], name=label)(tensor)


def _affine(kind: str, constant: Any, *, first: bool) -> tuple[float, float] | None:
    """(scale, offset) of an operation with a constant; `first`: the constant stands on the left."""
    table = {
        ("Add", False): (1.0, constant),
        ("Add", True): (1.0, constant),
        ("Multiply", False): (constant, 0.0),
        ("Multiply", True): (constant, 0.0),
        ("Subtract", False): (1.0, -constant),
        ("Subtract", True): (-1.0, constant),
    }
    if kind == "Divide" and not first and constant:
        return 1.0 / constant, 0.0
    return table.get((kind, first))


def _scalar(value: Any) -> float | None:
    """A number, or a constant array of one."""
    if is_tensor(value) or value is None or isinstance(value, (str, dict)):
        return None
    array = np.asarray(value)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "iuf" else None


def is_tensor(value: Any) -> bool:
    """Whether it is a symbolic tensor of tf_keras."""
    return type(value).__name__ == "KerasTensor"


def _what(value: Any) -> str:
    return "a tensor" if is_tensor(value) else f"a constant {np.shape(value)}"


def _mean(source: Any, label: str, args: Any, kwargs: Any) -> Any:
    axis = _setting(source, "axis", args, kwargs, 1)
    keep = bool(_setting(source, "keepdims", args, kwargs, 2))
    if sorted(np.atleast_1d(axis if axis is not None else 0).tolist()) not in ([1, 2], [-3, -2]):
        raise NotRebuiltError(label, f"Mean over the axes {axis}, expected height and width")
    return layers.GlobalAveragePooling2D(keepdims=keep, name=label)(args[0])


def _concatenate(source: Any, label: str, args: Any, kwargs: Any) -> Any:
    tensors = list(args[0] if args else kwargs["values"])
    return layers.Concatenate(axis=int(_setting(source, "axis", args, kwargs, 1)), name=label)(tensors)


def _reshape(source: Any, label: str, args: Any, kwargs: Any) -> Any:
    shape = _setting(source, "newshape", args, kwargs, 1)
    shape = kwargs.get("shape") if shape is None else shape
    if shape is None or any(is_tensor(size) for size in shape):
        raise NotRebuiltError(label, "Reshape to a shape that is not fixed")
    return layers.Reshape(tuple(int(size) for size in shape[1:]), name=label)(args[0])


def _softmax(source: Any, label: str, args: Any, kwargs: Any) -> Any:
    axis = _setting(source, "axis", args, kwargs, 1)
    return layers.Softmax(axis=-1 if axis is None else int(axis), name=label)(args[0])


def _gelu(source: Any, label: str, args: Any, kwargs: Any) -> Any:
    if _setting(source, "approximate", args, kwargs, 1):
        raise NotRebuiltError(label, "Gelu by its approximation")
    return layers.Activation("gelu", name=label)(args[0])


def _setting(source: Any, name: str, args: Any, kwargs: Any, position: int) -> Any:
    """An argument: Keras 3 keeps it in the operation, a Keras 2 call passes it."""
    if hasattr(source, name) and not hasattr(source, "function"):
        return getattr(source, name)
    return args[position] if len(args) > position else kwargs.get(name)


_SHAPED = {"Mean": _mean, "Concatenate": _concatenate, "Reshape": _reshape, "Softmax": _softmax, "Gelu": _gelu}

"""A model of either generation, rebuilt: flat, in tf_keras, of built-in layers, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tf_keras

from edgeres.rebuild.graph import is_graph, run_graph
from edgeres.rebuild.layers import Replacement, does_nothing, replacement
from edgeres.rebuild.operations import FUNCTIONS, is_tensor, operation
from edgeres.rebuild.penalties import penalties_left_out
from edgeres.rebuild.refusal import NotRebuiltError
from edgeres.rebuild.weights import copy_weights

_FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
_QUIET = ("training", "mask")


def needs_rebuilding(model: Any) -> bool:
    """Whether a tf_keras model holds other models or functions of TensorFlow."""
    return any(is_graph(layer) or type(layer).__name__ in _FUNCTION_LAYERS for layer in model.layers)


def rebuild(model: Any) -> tf_keras.Model:
    """The same function as a flat tf_keras model; layers keep their names, but where two have the same.

    Raises:
        NotRebuiltError: names the first layer without a counterpart.
    """
    work = _Rebuilding()
    shape = tuple(model.inputs[0].shape)
    image = tf_keras.Input(shape[1:], name=_input_name(model))
    work.taken.add(image.name)
    outputs = run_graph(model, [image], work.in_graph(""))
    flat = tf_keras.Model(image, outputs[0], name=model.name)
    for source, target in work.pairs:
        copy_weights(source, target)
        target.trainable = bool(source.trainable)
    return flat


def left_out(model: Any) -> list[str]:
    """What `rebuild` leaves out of a model because it matters in training only, each with the layer's name."""
    found: list[str] = []
    for layer in model.layers:
        kind = type(layer).__name__
        if is_graph(layer):
            found += left_out(layer)
        elif does_nothing(kind):
            found += [] if kind == "Identity" else [f"'{layer.name}' ({kind})"]
        elif not type(layer).__module__.startswith("tf_keras."):
            found += [f"the {name} of '{layer.name}'" for name in penalties_left_out(layer)]
    return found


def _input_name(model: Any) -> str:
    names = [layer.name for layer in model.layers if type(layer).__name__ == "InputLayer"]
    return names[0] if names else "image"


class _Rebuilding:
    """What was made so far. A layer that is called twice is made once; `pairs` are (old, new) with weights to copy."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.pairs: list[tuple[Any, Any]] = []
        self._made: dict[int, Replacement] = {}

    def in_graph(self, parent: str) -> Callable[[Any], Callable[..., Any]]:
        """What is called in the place of each layer of the graph inside the model `parent` ("" for the outermost)."""
        return lambda source: lambda *args, **kwargs: self._call(source, parent, args, kwargs)

    def _call(self, source: Any, parent: str, args: Any, kwargs: Any) -> Any:
        kwargs = {key: value for key, value in kwargs.items() if key not in _QUIET}
        if is_graph(source):
            return self._inside(source, args, kwargs)
        kind = type(source).__name__
        function = _operation_of(source)
        if function is not None:  # an operation has no weights: each call makes layers of its own
            return operation(source, function, self._label(source, parent))(*args, **kwargs)
        if len(args) != 1 or kwargs:
            raise NotRebuiltError(source.name, f"{kind} is called with other arguments than one input")
        if id(source) not in self._made:
            made = replacement(source, self._label(source, parent))
            self._made[id(source)] = made
            if made.weighted is not None:
                self.pairs.append((source, made.weighted))
        return self._made[id(source)].call(args[0])

    def _inside(self, source: Any, args: Any, kwargs: Any) -> Any:
        if len(args) != 1 or kwargs or not is_tensor(args[0]):
            raise NotRebuiltError(source.name, "a model inside the model that takes more than one input")
        outputs = run_graph(source, [args[0]], self.in_graph(source.name))
        return outputs[0] if len(outputs) == 1 else outputs

    def _label(self, source: Any, parent: str) -> str:
        """A name that no other layer has: its own; else with the model it is in; else with a number."""
        names = [source.name, f"{parent}_{source.name}", *(f"{source.name}_{number}" for number in range(1, 10_000))]
        label = next(name for name in names if name not in self.taken)
        self.taken.add(label)
        return str(label)


def _operation_of(source: Any) -> str | None:
    """The Keras 3 name of an operation that is no layer; None for a layer.

    Raises:
        NotRebuiltError: a function of TensorFlow that has no such name.
    """
    kind = type(source).__name__
    if kind in _FUNCTION_LAYERS:
        function = str(source.get_config().get("function"))
        if function not in FUNCTIONS:
            raise NotRebuiltError(
                source.name, f"the function tf.{function} has no counterpart among the layers of tf_keras"
            )
        return FUNCTIONS[function]
    return kind if type(source).__module__.startswith("keras.src.ops.") else None

"""The end of a user's model: training sees logits for the classes of the data, the file that is written what it had."""

from __future__ import annotations

from typing import Any

from tf_keras import layers

from edgeres.errors import ModelError
from edgeres.training.copying import Form, copied

_SCORING = {layers.Dense: "units", layers.Conv2D: "filters"}
"""Layers that may give the scores, and what the configuration of each calls the number of its outputs."""


def for_classes(model: Any, classes: int) -> tuple[Any, tuple[str, ...]]:
    """A float32 copy of a tf_keras model that gives `classes` logits, and the names of the layers that are new in it.

    A softmax at its end is left out. Where it has another number of outputs, its last dense layer (or the 1x1
    convolution in its place) is made anew.

    Raises:
        ModelError: it ends otherwise than in scores or a softmax of them.
    """
    softmax, found = softmax_of(model), model.output_shape[-1]
    if found == classes:
        return copied(model, lambda layer: _without(softmax, layer)), ()
    head = _head(model)

    def form(layer: Any) -> Form:
        kind, config = _without(softmax, layer)
        if layer is head:
            config[_SCORING[kind]] = classes
        elif isinstance(layer, layers.Reshape) and layer.target_shape[-1] == found:
            config["target_shape"] = (*layer.target_shape[:-1], classes)
        return kind, config

    copy = copied(model, form, but=head.name)
    if copy.output_shape[1:] != (classes,):
        raise ModelError(
            f"{model.name} cannot be given {classes} classes: with so many outputs of '{head.name}' it has "
            f"{copy.output_shape[1:]}",
            fix="save it with a Dense layer for the scores",
        )
    return copy, (head.name,)


def finished(trained: Any, model: Any) -> Any:
    """A copy of the trained network with the softmax of the `model` that it was made of, where that has one."""
    softmax = softmax_of(model)

    def form(layer: Any) -> Form:
        config = layer.get_config()
        if softmax is None or layer.name != softmax.name:
            return type(layer), config
        original = softmax.get_config()
        if isinstance(softmax, layers.Softmax):
            return layers.Softmax, {**original, "dtype": "float32"}
        return type(layer), {**config, "activation": original["activation"]}

    return copied(trained, form)


def _without(softmax: Any, layer: Any) -> Form:
    """A layer as it is, or, where it is the softmax, without it."""
    config = {**layer.get_config(), "dtype": "float32"}
    if layer is not softmax:
        return type(layer), config
    if isinstance(layer, layers.Softmax):
        return layers.Activation, {"name": layer.name, "activation": "linear", "dtype": "float32"}
    return type(layer), {**config, "activation": "linear"}


def softmax_of(model: Any) -> Any:
    """The layer that makes probabilities of the scores, or None where the model ends in the scores themselves.

    Raises:
        ModelError: it ends in something else.
    """
    found = None
    for layer in _ending(model):
        activation = "softmax" if isinstance(layer, layers.Softmax) else _activation(layer)
        if activation not in ("linear", "softmax") or (activation == "softmax" and found is not None):
            raise ModelError(
                f"{model.name} ends in '{layer.name}', a {activation}; expected scores, or one softmax of them",
                fix="save the classifier with a softmax, or without an activation, at its end",
            )
        found = layer if activation == "softmax" else found
    return found


def _activation(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _ending(model: Any) -> list[Any]:
    """The last layer with weights, and those after it."""
    weighted = [place for place, layer in enumerate(model.layers) if layer.weights]
    return list(model.layers[weighted[-1] :]) if weighted else []


def _head(model: Any) -> Any:
    ending = _ending(model)
    if ending and type(ending[0]) in _SCORING:
        return ending[0]
    found = f"'{ending[0].name}', a {type(ending[0]).__name__}" if ending else "none"
    raise ModelError(
        f"{model.name} cannot be given other classes: its last layer with weights is {found}",
        details=("expected a Dense layer, or a 1x1 convolution in its place",),
        fix="give data with as many classes as it has, or save it with a Dense layer for the scores",
    )

"""The end of a user's model: training sees logits for the classes of the data, the file that is written what it had."""

from __future__ import annotations

from typing import Any

from tf_keras import layers

from edgeres.errors import ModelError
from edgeres.training.copying import Form, copied

_SCORING = {layers.Dense: "units", layers.Conv2D: "filters"}
"""Layers that may give the scores, and what the configuration of each calls the number of its outputs."""

_POOLING = (layers.GlobalAveragePooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D, layers.MaxPooling2D)
"""What makes one row of scores of maps of them; of maps of probabilities it makes no softmax."""

_PASSING = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Activation, layers.Softmax, layers.Identity)
"""What else may come after the layer that gives the scores."""


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
    head, *after = (node.layer for node in _ending(model))
    _require_scoring(model, head)

    def form(layer: Any) -> Form:
        kind, config = _without(softmax, layer)
        if layer is head:
            config[_SCORING[kind]] = classes
        elif isinstance(layer, layers.Reshape) and layer in after and layer.target_shape[-1] == found:
            config["target_shape"] = (*layer.target_shape[:-1], classes)
        return kind, config

    try:
        copy = copied(model, form, but=head.name)
        outputs = str(copy.output_shape[1:])
    except ValueError:  # a layer after it, or itself where it is called twice, takes no other shape
        copy, outputs = None, "none that fit together"
    if copy is None or copy.output_shape[1:] != (classes,):
        raise ModelError(
            f"{model.name} cannot be given {classes} classes: with so many outputs of '{head.name}' it has {outputs}",
            details=(f"its shape is expected to become ({classes},)",),
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
    for node in _ending(model):
        kind = _activation(node.layer)
        if kind == "softmax" and not _over_all_classes(model, node):
            kind = "softmax of a part of them"
        elif found is not None and isinstance(node.layer, _POOLING):
            kind = f"{type(node.layer).__name__} of probabilities"
        if kind not in ("linear", "softmax") or (kind == "softmax" and found is not None):
            raise ModelError(
                f"{model.name} ends in '{node.layer.name}' ({kind}); expected scores, or one softmax of them",
                fix="save the classifier with a softmax, or without an activation, at its end",
            )
        found = node.layer if kind == "softmax" else found
    return found


def _activation(layer: Any) -> str:
    """What a layer at the end does to scores: linear, softmax, or something else by its name."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    if isinstance(layer, layers.Wrapper):
        inner = _activation(layer.layer)
        return inner if inner == "linear" else f"{type(layer).__name__} of a {inner}"
    harmless = layer.weights or isinstance(layer, (*_PASSING, *_POOLING, layers.InputLayer))
    if isinstance(layer, layers.PReLU) or not harmless:
        return type(layer).__name__
    activation = getattr(layer, "activation", None)
    if activation is None:
        return "linear"
    # A layer may be an activation too; TensorFlow calls its own softmax softmax_v2.
    return str(getattr(activation, "__name__", type(activation).__name__.lower())).removesuffix("_v2")


def _over_all_classes(model: Any, node: Any) -> bool:
    """Whether a softmax is of all scores of an image at once, and its layer is called this once."""
    shape, layer = tuple(node.outputs.shape), node.layer
    softmax = layer if isinstance(layer, layers.Softmax) else getattr(layer, "activation", None)
    calls = [other for nodes in model._nodes_by_depth.values() for other in nodes if other.layer is layer]
    return (
        shape[-1] == model.output_shape[-1] and getattr(softmax, "axis", -1) in (-1, len(shape) - 1) and len(calls) == 1
    )


def _ending(model: Any) -> list[Any]:
    """The calls of the layer that gives the scores and of those after it, in order, found from the output."""
    node = model.outputs[0].node
    found = [node]
    while isinstance(node.layer, (*_PASSING, *_POOLING)) and len(node.parent_nodes) == 1:
        node = node.parent_nodes[0]
        found.insert(0, node)
    return found


def _require_scoring(model: Any, head: Any) -> None:
    if type(head) in _SCORING:
        return
    found = f"'{head.name}' ({type(head).__name__})" if head.weights else "none"
    raise ModelError(
        f"{model.name} cannot be given other classes: its last layer with weights is {found}",
        details=("expected a Dense layer, or a 1x1 convolution in its place",),
        fix="give data with as many classes as it has, or save it with a Dense layer for the scores",
    )

"""Walks the graph of a Keras model of either generation, calling something else in the place of each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tf_keras

from edgeres.rebuild.refusal import NotRebuiltError

Substitute = Callable[[Any], Callable[..., Any]]
"""From a layer or operation of a graph to what is called in its place."""


def is_graph(layer: Any) -> bool:
    """Whether it is a model, functional or Sequential or of a class of its own."""
    if isinstance(layer, tf_keras.Model):
        return True
    return any(base.__name__ == "Model" and base.__module__.startswith("keras.") for base in type(layer).__mro__)


def run_graph(model: Any, tensors: list[Any], substitute: Substitute) -> list[Any]:
    """The outputs of `model`'s graph on other tensors, flat, with every layer replaced by `substitute(layer)`.

    Raises:
        NotRebuiltError: the model is a class of its own, without a graph.
    """
    if isinstance(model, tf_keras.Model):
        return _run_keras_2(model, tensors, substitute)
    functional = getattr(model, "_functional", None) or model  # a Sequential model of Keras 3 keeps one inside
    if not hasattr(functional, "_run_through_graph"):
        raise NotRebuiltError(model.name, f"the model is a class of its own, {type(model).__name__}, not a graph")
    # As `keras.models.clone_model` does it; neither generation has a public walk over calls with their arguments.
    outputs = functional._run_through_graph(tensors, operation_fn=substitute)
    return _flat(outputs)


def _run_keras_2(model: Any, tensors: list[Any], substitute: Substitute) -> list[Any]:
    if not getattr(model, "_is_graph_network", False):
        raise NotRebuiltError(model.name, f"the model is a class of its own, {type(model).__name__}, not a graph")
    uses = model._tensor_usage_count
    known = {
        str(id(place)): [tensor] * uses[str(id(place))] for place, tensor in zip(model.inputs, tensors, strict=True)
    }
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            args, kwargs = node.map_arguments(known)
            for place, tensor in zip(node.flat_output_ids, _flat(substitute(node.layer)(*args, **kwargs)), strict=True):
                known[str(place)] = [tensor] * uses[str(place)]
    return [known[str(id(output))].pop() for output in model.outputs]


def _flat(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]

"""Follows every channel through the graph of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from converters.pruning.builder import Builder, Call
from converters.pruning.graph import ChannelGraph, Channels
from converters.pruning.rules import rule_for
from edgeres.errors import ModelError


def analyse(model: Any) -> ChannelGraph:
    """The channel graph of a flat tf_keras model.

    Raises:
        ModelError: a layer whose channels cannot be followed, by name.
    """
    if not getattr(model, "_is_graph_network", False):
        raise ModelError(
            f"{model.name}: a model of a class of its own has no graph of layers", fix="build it of layers, functional"
        )
    builder = Builder()
    known: dict[int, Channels] = {id(tensor): builder.fixed(tensor.shape[-1]) for tensor in model.inputs}
    for node in _calls(model):
        tensors = tf.nest.flatten(node.keras_inputs)
        inputs = [known[id(tensor)] for tensor in tensors]
        shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
        output = rule_for(node.layer)(Call(node.layer, inputs, shapes, builder))
        known[id(node.outputs)] = output
        builder.add_call(node.layer, inputs, output)
    for tensor in model.outputs:
        builder.fix(known[id(tensor)])
    return builder.finish()


def _calls(model: Any) -> Iterator[Any]:
    """The calls of a model's layers in order, but those of its inputs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):  # Keras has no public order of calls
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)

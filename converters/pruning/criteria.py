"""How much each channel matters: one score a channel, comparable within a group and, being relative, between groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from converters.pruning.graph import FIXED, ChannelGraph, ChannelGroup, Channels, Weight
from converters.steps import Criterion
from edgeres.errors import ConfigError

Scores = NDArray[np.float64]
"""float64 (channels of the graph,); 1 is the mean of a channel's group."""

Batches = Iterable[tuple[Any, Any]]
"""(inputs float32 (n, h, w, c), classes int (n,)); read once."""


def scores(
    model: Any,
    graph: ChannelGraph,
    criterion: Criterion,
    *,
    groups: Sequence[ChannelGroup] | None = None,
    batches: Batches = (),
    seed: int = 0,
    logits: bool = True,
) -> Scores:
    """Score every channel; those with the lowest go first.

    `groups`: those of which channels may go, by default all.

    "l1", "l2": norm of the filters that produce the channel (Li et al., 2017), averaged over all layers that do.
    "bn-scale": the absolute scale of its batch norms (Liu et al., 2017). "taylor": the squared first-order change of
    the loss were the channel zero (Molchanov et al., 2019), summed over everything that reads it, over labelled
    `batches`; `logits` says whether the model gives logits. "random": the control.

    Raises:
        ConfigError: "bn-scale" of a group without batch norm; "taylor" without batches.
    """
    if criterion == "random":
        raw = np.random.default_rng(seed).uniform(size=graph.count)
    elif criterion == "bn-scale":
        raw = _bn_scale(model, graph, graph.groups if groups is None else groups)
    elif criterion == "taylor":
        raw = _taylor(model, graph, batches, logits)
    else:
        raw = _filter_norms(model, graph, 1 if criterion == "l1" else 2)
    return _relative(raw, graph)


def _relative(raw: Scores, graph: ChannelGraph) -> Scores:
    """Divided by the mean of the group, so that a layer with small weights throughout is not emptied first."""
    found = np.ones_like(raw)
    for group in graph.groups:
        mean = raw[group.channels].mean()
        found[group.channels] = raw[group.channels] / mean if mean > 0 else 1.0
    found[FIXED] = np.inf
    return found


def _filter_norms(model: Any, graph: ChannelGraph, order: int) -> Scores:
    """Each producing kernel's norms relative to its own mean, averaged."""
    sums, counts = np.zeros(graph.count), np.zeros(graph.count)
    for weight in graph.weights:
        axis = weight.produced_along
        if axis is None:
            continue
        values = _values(model, weight)
        others = tuple(number for number in range(values.ndim) if number != axis)
        norms = np.sum(np.abs(values) ** order, axis=others) ** (1 / order)
        _add(sums, weight.axes[axis], norms / max(float(norms.mean()), 1e-30))
        _add(counts, weight.axes[axis], 1)
    return sums / np.maximum(counts, 1)


def _bn_scale(model: Any, graph: ChannelGraph, groups: Sequence[ChannelGroup]) -> Scores:
    sums, counts = np.zeros(graph.count), np.zeros(graph.count)
    for weight in graph.weights:
        if weight.role == "scale":
            _add(sums, weight.axes[0], np.abs(_values(model, weight)))
            _add(counts, weight.axes[0], 1)
    for group in groups:
        if not counts[group.channels].all():
            raise ConfigError(
                f"the criterion bn-scale needs a batch norm with a scale wherever it prunes; '{group.name}' has none",
                fix="choose l2 or taylor",
            )
    return sums / np.maximum(counts, 1)


def _taylor(model: Any, graph: ChannelGraph, batches: Batches, logits: bool) -> Scores:
    """Mean over batches of the squared sum, over all kernels that read a channel, of weight times gradient.

    That sum is the loss' derivative by a gate on the channel, times the gate: what is lost to first order.
    """
    reading = [weight for weight in graph.weights if weight.read is not None]
    variables = [model.get_layer(weight.layer).weights[weight.index] for weight in reading]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=logits)
    total, seen = np.zeros(graph.count), 0

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def gates(inputs: Any, classes: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = loss_of(classes, model(inputs, training=False))
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [
            tf.reduce_sum(
                gradient * variable, [number for number in range(len(variable.shape)) if number != weight.reads]
            )
            for gradient, variable, weight in zip(gradients, variables, reading, strict=True)
        ]

    for inputs, classes in batches:
        change = np.zeros(graph.count)
        for weight, found in zip(reading, gates(inputs, classes), strict=True):
            _add(change, weight.read, found.numpy())
        total += change**2
        seen += 1
    if not seen:
        raise ConfigError("the criterion taylor needs labelled images", fix="give --data, or choose l2")
    return total / seen


def _add(totals: Scores, channels: Channels | None, values: Any) -> None:
    """Add values to the channels that they belong to."""
    if channels is not None:
        np.add.at(totals, channels, values)


def _values(model: Any, weight: Weight) -> NDArray[Any]:
    return np.asarray(model.get_layer(weight.layer).weights[weight.index].numpy(), np.float64)

"""Which channels of a network must be removed together: its channel groups, found in the functional graph.

Every channel that a layer produces gets a number. The numbers follow the tensors through the graph: a batch norm passes
them on, a sum makes those of its operands one and the same, a concatenation strings them together. What carries one
number in the end is one channel, wherever it occurs: it stays or goes as a whole. A group is all channels that the same
layers produce; of a residual network's stage, the sums make all streams one group.

The idea is that of dependency graphs (Fang et al., "DepGraph", 2023), on channels instead of layers, so that offsets in
a concatenation and zero-padded shortcuts need no rule of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeres.errors import ModelError

Channels = NDArray[np.intp]
"""The numbers of a tensor's channels, along its last axis: int (channels,)."""

Kept = NDArray[np.bool_]
"""Whether each channel of a graph stays: bool (channels of the graph,)."""

FIXED = 0
"""The number of every channel that must stay: of the image, of the scores, of what is normalized across channels."""


@dataclass(frozen=True)
class Weight:
    """One weight of a layer; `axes` says for each of its axes which channels lie along it, None where none do.

    `role`: "kernel" multiplies and sums, from the channels of `reads` to those of `writes` (axes; None for a depthwise
    kernel, whose one channel axis both reads and writes); "scale" is a batch norm's gamma; "shift" whatever is added;
    "statistic" is not trained.
    """

    layer: str
    index: int
    role: str
    axes: tuple[Channels | None, ...]
    shape: tuple[int, ...]
    reads: int | None = None
    writes: int | None = None

    @property
    def read(self) -> Channels | None:
        """The channels that a kernel sums over, None for any other weight."""
        return None if self.reads is None else self.axes[self.reads]

    @property
    def produced_along(self) -> int | None:
        """The axis of a kernel's outputs, which for a depthwise one is that of its inputs; None for other weights."""
        if self.role != "kernel":
            return None
        return self.writes if self.writes is not None else [axis is not None for axis in self.axes].index(True)

    def kept_shape(self, kept: Kept) -> tuple[int, ...]:
        """Its shape once the others are gone."""
        pairs = zip(self.axes, self.shape, strict=True)
        return tuple(size if axis is None else int(kept[axis].sum()) for axis, size in pairs)

    def sliced(self, values: NDArray[Any], kept: Kept) -> NDArray[Any]:
        """Its values at the kept channels."""
        for number, axis in enumerate(self.axes):
            if axis is not None:
                values = np.compress(kept[axis], values, axis=number)
        return values


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that the same layers produce; `name` is the first of these. `joined`: whether a sum joins them."""

    name: str
    producers: tuple[str, ...]
    channels: Channels
    joined: bool

    @property
    def size(self) -> int:
        """How many channels it has."""
        return len(self.channels)


@dataclass(frozen=True)
class LayerChannels:
    """The channels that a layer takes, one array an input, and gives. `positions`: height x width of what it gives."""

    inputs: tuple[Channels, ...]
    output: Channels
    positions: int


@dataclass(frozen=True)
class ChannelGraph:
    """The channels of a model: `count` of them, number 0 being all that must stay."""

    count: int
    layers: dict[str, LayerChannels]
    weights: tuple[Weight, ...]
    groups: tuple[ChannelGroup, ...]

    def everything(self) -> Kept:
        """All channels kept."""
        return np.ones(self.count, bool)

    def macs(self, kept: Kept) -> int:
        """Multiply-accumulates for one image, with these channels."""
        return sum(self._positions(w) * math.prod(w.kept_shape(kept)) for w in self.weights if w.role == "kernel")

    def parameters(self, kept: Kept) -> int:
        """Trainable parameters, with these channels."""
        return sum(math.prod(w.kept_shape(kept)) for w in self.weights if w.role != "statistic")

    def activations(self, kept: Kept) -> dict[str, int]:
        """How many values each layer gives for one image, with these channels."""
        return {name: layer.positions * int(kept[layer.output].sum()) for name, layer in self.layers.items()}

    def group_of(self, layer: str) -> ChannelGroup | None:
        """The group that a layer produces, or the first of them."""
        return next((group for group in self.groups if layer in group.producers), None)

    def record(self, kept: Kept) -> dict[str, tuple[int, ...]]:
        """For each layer that lost outputs, the positions of those it kept."""
        found = {}
        for weight in self.weights:
            if weight.role == "kernel" and weight.writes is not None:
                output = weight.axes[weight.writes]
                if output is not None and not kept[output].all():
                    found[weight.layer] = tuple(int(place) for place in np.flatnonzero(kept[output]))
        return found

    def _positions(self, weight: Weight) -> int:
        return self.layers[weight.layer].positions


def analyse(model: Any) -> ChannelGraph:
    """The channel graph of a flat tf_keras model.

    Raises:
        ModelError: a layer whose channels cannot be followed, by name.
    """
    from converters.pruning.rules import rule_for  # it needs the builder defined here

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


@dataclass(frozen=True)
class Call:
    """One call of a layer: the channels of each input, and its shape without the batch."""

    layer: Any
    inputs: Sequence[Channels]
    shapes: Sequence[tuple[int, ...]]
    builder: Builder

    @property
    def channels(self) -> Channels:
        """Those of the only input."""
        return self.inputs[0]


class Builder:
    """Numbers channels and joins them (union-find); makes the graph at the end."""

    def __init__(self) -> None:
        self._parent = [FIXED]
        self._makers: list[str | None] = [None]
        self._made: dict[str, Channels] = {}
        self._layers: dict[str, tuple[list[Channels], Channels, int]] = {}
        self._weights: dict[tuple[str, int], Weight] = {}
        self._summed: list[Channels] = []

    def fixed(self, count: int) -> Channels:
        """Channels that must stay."""
        return np.full(count, FIXED, np.intp)

    def new(self, layer: Any, count: int) -> Channels:
        """Channels that a layer produces; the same ones each time it is called."""
        if layer.name in self._made:
            return self._made[layer.name]
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        self._makers.extend([layer.name] * count)
        self._made[layer.name] = np.arange(start, start + count)
        return self._made[layer.name]

    def join(self, one: Channels, other: Channels) -> None:
        """Make channels at the same position one and the same."""
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            first, second = self._root(a), self._root(b)
            self._parent[max(first, second)] = min(first, second)

    def join_summed(self, one: Channels, other: Channels) -> None:
        """The same, for the operands of a sum."""
        self.join(one, other)
        self._summed.append(one)

    def fix(self, channels: Channels) -> None:
        """Say that channels must stay."""
        self.join(channels, self.fixed(len(channels)))

    def add_weight(
        self,
        layer: Any,
        weight: Any,
        role: str,
        axes: dict[int, Channels],
        *,
        reads: int | None = None,
        writes: int | None = None,
    ) -> None:
        """Say which channels lie along which axes of a weight; where a layer is called twice, both calls' are one."""
        index = next(number for number, own in enumerate(layer.weights) if own is weight)
        shape = tuple(weight.shape)
        known = self._weights.get((layer.name, index))
        if known is not None:
            for number, channels in axes.items():
                before = known.axes[number]
                if before is not None:
                    self.join(before, channels)
            return
        along = tuple(axes.get(number) for number in range(len(shape)))
        self._weights[layer.name, index] = Weight(layer.name, index, role, along, shape, reads, writes)

    def add_call(self, layer: Any, inputs: list[Channels], output: Channels) -> None:
        """Note what a layer takes and gives; where it is called again, both calls' channels are one."""
        if layer.name in self._layers:
            before = self._layers[layer.name]
            for one, other in zip([*before[0], before[1]], [*inputs, output], strict=True):
                self.join(one, other)
        shape = layer.get_output_shape_at(0)
        positions = math.prod(size or 1 for size in shape[1:-1])
        self._layers.setdefault(layer.name, (inputs, output, positions))

    def finish(self) -> ChannelGraph:
        """The graph, channels numbered from 1 in the order in which they are produced."""
        roots = np.array([self._root(number) for number in range(len(self._parent))])
        distinct, numbers = np.unique(roots, return_inverse=True)  # 0, the fixed ones, comes first

        def renumbered(channels: Channels) -> Channels:
            return np.asarray(numbers[channels], np.intp)

        layers = {
            name: LayerChannels(tuple(map(renumbered, inputs)), renumbered(output), positions)
            for name, (inputs, output, positions) in self._layers.items()
        }
        weights = tuple(
            Weight(
                w.layer,
                w.index,
                w.role,
                tuple(None if axis is None else renumbered(axis) for axis in w.axes),
                w.shape,
                w.reads,
                w.writes,
            )
            for w in self._weights.values()
        )
        summed = np.zeros(len(distinct), bool)
        for channels in self._summed:
            summed[renumbered(channels)] = True
        return ChannelGraph(len(distinct), layers, weights, self._groups(numbers, summed))

    def _groups(self, numbers: NDArray[np.intp], summed: NDArray[np.bool_]) -> tuple[ChannelGroup, ...]:
        makers: dict[int, dict[str, None]] = {}
        for atom, maker in enumerate(self._makers):
            if maker is not None and numbers[atom] != FIXED:
                makers.setdefault(int(numbers[atom]), {})[maker] = None
        members: dict[tuple[str, ...], list[int]] = {}
        for channel, producers in makers.items():
            members.setdefault(tuple(producers), []).append(channel)
        return tuple(
            ChannelGroup(producers[0], producers, np.array(sorted(channels)), bool(summed[channels].any()))
            for producers, channels in members.items()
        )

    def _root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    """Channels that the same layers produce; `joined`: whether a sum joins them.

    `name`: the first of these layers after which no other group is called.
    """

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
    """The channels that a layer gives, and at how many `positions` (height x width)."""

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

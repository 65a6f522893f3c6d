"""Numbers channels and joins those that are one: what the rules for layers work on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.pruning.graph import FIXED, ChannelGraph, ChannelGroup, Channels, LayerChannels, Weight
from edgeres.errors import ModelError


def refusal(layer: Any, why: str) -> ModelError:
    """The error for a layer that stands in the way of channel pruning."""
    return ModelError(
        f"the layer '{layer.name}' cannot be pruned around: {why}",
        fix="use a recipe without the step 'slim', such as int8 or sparse-int8",
    )


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
        """Note what a layer takes and gives. Where one with weights or a fixed shape is called again, both calls'
        channels are one.

        Raises:
            ModelError: it is called for different numbers of channels.
        """
        if layer.name not in self._layers:
            shape = layer.get_output_shape_at(0)
            positions = math.prod(size or 1 for size in shape[1:-1])
            self._layers[layer.name] = inputs, output, positions
            return
        if not layer.weights and type(layer).__name__ not in ("Reshape", "ZeroPadding2D"):
            return
        first = self._layers[layer.name]
        for one, other in zip([*first[0], first[1]], [*inputs, output], strict=True):
            if len(one) != len(other):
                raise refusal(layer, "it is called for different numbers of channels")
            self.join(one, other)

    def finish(self) -> ChannelGraph:
        """The graph, channels numbered from 1 in the order in which they are produced."""
        roots = np.array([self._root(number) for number in range(len(self._parent))])
        distinct, numbers = np.unique(roots, return_inverse=True)  # 0, the fixed ones, comes first

        def renumbered(channels: Channels) -> Channels:
            return np.asarray(numbers[channels], np.intp)

        layers = {
            name: LayerChannels(renumbered(output), positions) for name, (_, output, positions) in self._layers.items()
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
        taken: set[str] = set()
        groups = []
        for layers, channels in members.items():
            numbered = (f"{layers[0]}_{number}" for number in itertools.count(2))
            name = next(name for name in itertools.chain(layers, numbered) if name not in taken)
            taken.add(name)
            groups.append(ChannelGroup(name, layers, np.array(sorted(channels)), bool(summed[channels].any())))
        return tuple(groups)

    def _root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

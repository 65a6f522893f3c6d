"""A flatbuffer as the linter's rules see it: what it computes in, and who writes and reads each tensor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from targets.graph import Graph, Operator, Subgraph, Tensor
from targets.layer_names import WEIGHTED, layer_names
from targets.schema import BITS

FLOATS = ("float32", "float16", "bfloat16")
UNPACKS = ("DEQUANTIZE", "DENSIFY")
_FLOAT_KINDS = ("float", "bfloat", "dynamic-", "weight-only-")


@dataclass(frozen=True)
class Found:
    """What a rule found at an operator; `place` is its index, -1 what concerns the whole file.

    `severity`: "warning" costs accuracy or speed and can be mended; "note" follows from the architecture, or matters
    on some targets. `layer`: empty for the operator's own.
    """

    place: int
    consequence: str
    fix: str
    severity: str = "warning"
    layer: str = ""


@dataclass(frozen=True)
class View:
    """The main subgraph, with the questions that rules ask of it; `per_tensor`: the target has no per-channel kernels.

    A tensor is given by its index. Constants that are unpacked before use count as constants.
    """

    graph: Graph
    per_tensor: bool = False

    @property
    def main(self) -> Subgraph:
        """What runs."""
        return self.graph.main

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The Keras layer of each operator."""
        return layer_names(self.main)

    @cached_property
    def kind(self) -> str:
        """See `kind_of`."""
        return kind_of(self.graph)

    @property
    def computes_in_integers(self) -> bool:
        """Whether the file is one whose activations are quantized in advance."""
        return not self.kind.startswith(_FLOAT_KINDS)

    @cached_property
    def constants(self) -> frozenset[int]:
        """Tensors whose values the file stores, as they are or to be unpacked."""
        found = {index for index, tensor in enumerate(self.main.tensors) if tensor.constant}
        for operator in self.main.operators:
            if operator.kind in UNPACKS and found.issuperset(operator.inputs):
                found.update(operator.outputs)
        return frozenset(found)

    @cached_property
    def writers(self) -> dict[int, int]:
        """Tensor -> the place of the operator that writes it."""
        return {index: place for place, operator in self.operators() for index in operator.outputs}

    @cached_property
    def readers(self) -> dict[int, tuple[int, ...]]:
        """Tensor -> the places of the operators that read it."""
        found: dict[int, list[int]] = {}
        for place, operator in self.operators():
            for index in operator.inputs:
                found.setdefault(index, []).append(place)
        return {index: tuple(places) for index, places in found.items()}

    @cached_property
    def outputs(self) -> frozenset[int]:
        """The tensors that leave the model."""
        return frozenset(self.main.outputs)

    def operators(self) -> Iterator[tuple[int, Operator]]:
        """Each operator with its place, in the order in which they run; those without an input or output are left out.

        The walk does not check how many tensors an operator has: rules may rely on the first of each.
        """
        for place, operator in enumerate(self.main.operators):
            if operator.outputs and operator.inputs and operator.inputs[0] >= 0:
                yield place, operator

    def tensor(self, index: int) -> Tensor:
        """The record of a tensor."""
        return self.main.tensors[index]

    def writer(self, index: int) -> Operator | None:
        """What writes a tensor; None for constants and inputs of the model."""
        place = self.writers.get(index)
        return None if place is None else self.main.operators[place]

    def source(self, index: int) -> str:
        """The layer that a tensor comes from."""
        return self.names[self.writers[index]] if index in self.writers else "the input"

    def read_once(self, index: int) -> bool:
        """Whether one operator reads a tensor and nobody else sees it."""
        return len(self.readers.get(index, ())) == 1 and index not in self.outputs

    def activations(self, operator: Operator) -> tuple[int, ...]:
        """What an operator reads that is no constant."""
        return tuple(index for index in operator.inputs if index >= 0 and index not in self.constants)

    def scale(self, index: int) -> float | None:
        """The scale of a quantized activation; None for anything else."""
        tensor = self.tensor(index)
        return tensor.scales[0] if len(tensor.scales) == 1 and index not in self.constants else None


def kind_of(graph: Graph) -> str:
    """What a file is, by the types of weights and activations of its convolutions and dense layers.

    "float32", "float16" (weights; it computes in float32), "dynamic-int8" (int8 weights, activations quantized while
    it runs), "weight-only-int8" (unpacked to float before use), "int8", "uint8", "int16x8" (activations x weights),
    "int4" (weights; int8 activations); "dynamic-int4" and so on. Where layers differ it is the most frequent of those
    that are quantized: converters leave small layers in float. Without such layers, the type of most activations.
    """
    found = Counter(_kinds(graph.main))
    if not found:
        tensors = graph.main.tensors
        types = Counter(tensors[index].dtype for operator in graph.main.operators for index in operator.outputs)
        return types.most_common(1)[0][0] if types else "float32"
    quantized = Counter({kind: count for kind, count in found.items() if kind != "float32"})
    return (quantized or found).most_common(1)[0][0]


def _kinds(graph: Subgraph) -> Iterator[str]:
    packed = {
        operator.outputs[0]: operator.inputs[0]
        for operator in graph.operators
        if operator.kind in UNPACKS and operator.outputs and operator.inputs and operator.inputs[0] >= 0
    }
    for operator in graph.operators:
        weights = weights_of(operator)
        if weights < 0 or not operator.outputs:
            continue
        stored = graph.tensors[packed.get(weights, weights)]
        if stored.constant:
            yield _kind(stored.dtype, graph.tensors[operator.outputs[0]].dtype, unpacked=weights in packed)


def _kind(weights: str, activations: str, *, unpacked: bool) -> str:
    if activations in FLOATS:
        if weights in FLOATS:
            return weights
        return f"{'weight-only' if unpacked else 'dynamic'}-{weights}"
    if activations == weights:
        return activations
    if activations == "int16":
        return f"int16x{BITS.get(weights, 0)}"
    return weights


def weights_of(operator: Operator) -> int:
    """The tensor that holds an operator's weights; -1 for operators without, and where it is left out."""
    place = WEIGHTED.get(operator.kind, len(operator.inputs))
    return operator.inputs[place] if place < len(operator.inputs) else -1


def levels_bits(view: View, index: int) -> int:
    """Bits of a quantized tensor."""
    return BITS.get(view.tensor(index).dtype, 8)


def lost_bits(small: float, large: float) -> float:
    """How many bits of values with the scale `small` lie below one step of the scale `large`."""
    return math.log2(large / small)

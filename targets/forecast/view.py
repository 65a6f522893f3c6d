"""A flatbuffer as rules look at it: its operators with their layers, their tensors, and the form of their numbers."""

from __future__ import annotations

from dataclasses import dataclass

from targets.graph import Graph, Operator, Subgraph, Tensor
from targets.layer_names import WEIGHTED, layer_names

HYBRID = "hybrid"
"""The form of an operator with float activations and integer weights."""


@dataclass(frozen=True)
class Node:
    """An operator of the main subgraph, and the Keras `layer` it computes.

    `form`: the type of the activations that it computes on, `float32` or `int8`; `hybrid` where weights are integers
    beside float activations; where it converts between types, the type that is not float32.
    """

    layer: str
    kind: str
    form: str
    operator: Operator
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def weights(self) -> Tensor | None:
        """The tensor of its weights, where it is an operator that has some."""
        place = WEIGHTED.get(self.kind)
        return self.inputs[place] if place is not None and place < len(self.inputs) else None

    def number(self, name: str) -> int:
        """One of its numbers, by the names of `schema.OPTIONS`; 1 where it has none of that name."""
        return self.operator.numbers.get(name, 1)


def nodes(graph: Graph) -> tuple[Node, ...]:
    """The operators of the main subgraph in their order."""
    main = graph.main
    return tuple(
        _node(main, layer, operator) for layer, operator in zip(layer_names(main), main.operators, strict=True)
    )


def _node(main: Subgraph, layer: str, operator: Operator) -> Node:
    inputs = tuple(main.tensors[index] if index >= 0 else None for index in operator.inputs)
    outputs = tuple(main.tensors[index] for index in operator.outputs)
    return Node(layer, operator.kind, _form(operator.kind, inputs, outputs), operator, inputs, outputs)


def _form(kind: str, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]) -> str:
    given = [tensor for tensor in inputs if tensor is not None]
    if kind == "QUANTIZE" and outputs:
        return outputs[0].dtype
    activations = [tensor for tensor in given if not tensor.constant] or given or list(outputs)
    values = [tensor.dtype for tensor in activations if tensor.dtype != "bool"] or ["bool"]
    place = WEIGHTED.get(kind)
    weights = inputs[place] if place is not None and place < len(inputs) else None
    if values[0] == "float32" and weights is not None and weights.dtype not in ("float32", "float16"):
        return HYBRID
    return values[0]

"""Strided 1x1 convolutions in a graph: the projection shortcuts of residual networks, which some kernels get wrong."""

from __future__ import annotations

from targets.graph import Operator, Subgraph


def strided_1x1(graph: Subgraph) -> list[int]:
    """The places of the operators that are convolutions of a 1x1 kernel which skip positions of their input."""
    return [place for place, operator in enumerate(graph.operators) if _is_strided_1x1(graph, operator)]


def _is_strided_1x1(graph: Subgraph, operator: Operator) -> bool:
    if operator.kind != "CONV_2D" or len(operator.inputs) < 2 or not operator.outputs or min(operator.inputs[:2]) < 0:
        return False
    image, kernel, result = (graph.tensors[index].shape for index in (*operator.inputs[:2], operator.outputs[0]))
    return kernel[1:3] == (1, 1) and image[1:3] != result[1:3]

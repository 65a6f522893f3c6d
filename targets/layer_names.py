"""Which Keras layer an operator of a flatbuffer comes from: read off the names that the converter leaves.

The converter names a tensor after the operations that it became, `network/layer/operation`, several joined by ";" where
it fused them, the last of them first. What it renames (the model's outputs) is known by its constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce

from targets.graph import Operator, Subgraph

WEIGHTED = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
"""Operator -> the input that holds its weights."""

_PATH = 2
"""Separators in `network/layer/operation`; fewer are a name of the converter's own."""

_HEAVY = re.compile("conv|depthwise|separable|matmul", re.IGNORECASE)
"""How the operations begin that a weighted operator computes; a padding or a folded product may be fused into it."""

_TRACED_AGAIN = re.compile(r"_1$")
"""What Keras 3 leaves at the end of every network's and layer's name when a model is exported."""

_WRAPPED = re.compile(r"^quant_")
"""What tfmot puts before the name of every layer that it trains as int8."""


def layer_names(graph: Subgraph) -> tuple[str, ...]:
    """For each operator the layer that it computes: of fused ones the first, the convolution of a folded batch norm.

    An operator that no layer is known of has its kind and place, `PAD_3`. Several operators of one layer (a softmax of
    its parts, a normalization's product and sum) have the same name.
    """
    added = [mark for mark, first in ((_TRACED_AGAIN, 0), (_WRAPPED, 1)) if _is_everywhere(mark, graph, first)]
    found = []
    for place, operator in enumerate(graph.operators):
        layer = next((layer for name in _telling(graph, operator) if (layer := _of_name(name, operator))), None)
        if layer is None:
            found.append(f"{operator.kind}_{place}")
        else:
            found.append(reduce(lambda name, mark: mark.sub("", name), added, layer))
    return tuple(found)


def _is_everywhere(mark: re.Pattern[str], graph: Subgraph, first: int) -> bool:
    """Whether every name has it, of networks (`first` 0) and layers or of layers (1): then no user chose it."""
    paths = [path for operator in graph.operators for i in operator.outputs for path in _paths(graph.tensors[i].name)]
    return bool(paths) and all(mark.search(part) for path in paths for part in path[first:_PATH])


def _telling(graph: Subgraph, operator: Operator) -> Iterator[str]:
    """Names of an operator's tensors, the most telling first."""
    for index in operator.inputs[WEIGHTED.get(operator.kind, len(operator.inputs)) :][:1]:
        if index >= 0 and graph.tensors[index].constant:
            yield graph.tensors[index].name
    for index in operator.outputs:
        yield graph.tensors[index].name
    for index in operator.inputs:
        if index >= 0 and graph.tensors[index].constant:
            yield graph.tensors[index].name


def _of_name(name: str, operator: Operator) -> str | None:
    paths = _paths(name)
    if operator.kind in WEIGHTED:
        paths = [path for path in paths if _HEAVY.match(path[-1])] or paths
    return paths[-1][1] if paths else None


def _paths(name: str) -> list[list[str]]:
    return [path.split("/") for path in name.split(";") if path.count("/") >= _PATH]

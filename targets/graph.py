"""What a `.tflite` holds, as frozen records, and what follows from them: execution order, arena, operator counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from targets.schema import BITS
from targets.wire import malformed

_UNPACKS = ("DEQUANTIZE", "DENSIFY")
_SCRATCHES = ("ethos-u",)
"""Operators that a compiler made, which take memory to work in as an input."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of a subgraph.

    `shape`: as allocated at batch 1; `signature`: the same with -1 for dimensions that are open.
    `dtype`: a name of `schema.TENSOR_TYPES`. A quantized value stands for (value − zero_point) · scale; there is one
    scale for the tensor, or one for each index along `axis`, or none. `constant_bytes`: what the file stores for it.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    buffer: int
    constant_bytes: int
    variable: bool

    @property
    def size_bytes(self) -> int:
        """Bytes of the dense tensor; 0 for types without a fixed size. Elements under 8 bits are packed."""
        return (math.prod(self.shape) * BITS.get(self.dtype, 0) + 7) // 8

    @property
    def constant(self) -> bool:
        """Whether the file stores its values; an empty tensor has none to store."""
        return self.constant_bytes > 0 or 0 in self.shape


@dataclass(frozen=True)
class Operator:
    """One node: its kind, and the tensors it reads (-1: an optional one left out) and writes.

    `calls`: the subgraphs it runs. `activation`: what its kernel applies at the end, a name of `schema.ACTIVATIONS`.
    `numbers`: strides, dilations and the like, by the names of `schema.OPTIONS`.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    calls: tuple[int, ...] = ()
    activation: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Subgraph:
    """Tensors, and operators in the order in which they run; `inputs` and `outputs` are indices of tensors."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class Graph:
    """A whole model, checked; subgraph 0 is what runs when the model is invoked.

    `kinds`: operator -> how often it occurs. `parameter_bytes`: all constants, each stored buffer once.
    `arena_bytes`: the peak of live activation tensors in execution order.
    `minimum_runtime`: the runtime version that the converter asks for, empty where it does not say.
    `behind_bytes`: of constants that lie behind the flatbuffer, by offset, which not every runtime reads.
    """

    size_bytes: int
    description: str
    minimum_runtime: str
    subgraphs: tuple[Subgraph, ...]
    kinds: dict[str, int]
    parameter_bytes: int
    arena_bytes: int
    behind_bytes: int = 0

    @property
    def main(self) -> Subgraph:
        """The subgraph that runs when the model is invoked."""
        return self.subgraphs[0]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The model's inputs."""
        return tuple(self.main.tensors[i] for i in self.main.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The model's outputs."""
        return tuple(self.main.tensors[i] for i in self.main.outputs)

    @property
    def gives_probabilities(self) -> bool:
        """Whether a classifier ends in a softmax or a sigmoid; else its scores are logits."""
        operators = [operator.kind for operator in self.main.operators]
        while operators and operators[-1] in ("QUANTIZE", "DEQUANTIZE"):
            operators.pop()
        return bool(operators) and operators[-1] in ("SOFTMAX", "LOGISTIC")


def check_order(graph: Subgraph, where: str) -> None:
    """Check that every tensor is written before it is read, once, and that only activations are written.

    Raises:
        ArtifactError: an operator or an output that breaks this.
    """
    written = {*graph.inputs, *_scratch(graph)}
    for index, tensor in enumerate(graph.tensors):
        if tensor.constant or tensor.variable:
            written.add(index)
    for place, operator in enumerate(graph.operators):
        for index in operator.inputs:
            if index >= 0 and index not in written:
                raise malformed(f"{where}, operator {place}", f"reads tensor {index} before any operator writes it")
        for index in operator.outputs:
            if index in written:
                raise malformed(f"{where}, operator {place}", f"writes tensor {index}, which holds a value already")
            written.add(index)
    for index in graph.outputs:
        if index not in written:
            raise malformed(where, f"no operator writes the output, tensor {index}")


def _scratch(graph: Subgraph) -> set[int]:
    """Tensors that nobody writes, of operators that work in them."""
    written = {index for operator in graph.operators for index in operator.outputs}.union(graph.inputs)
    read = {index for operator in graph.operators if operator.kind in _SCRATCHES for index in operator.inputs}
    return {index for index in read - written if index >= 0 and not graph.tensors[index].constant}


def check_calls(subgraphs: tuple[Subgraph, ...]) -> tuple[int, ...]:
    """The subgraphs in an order in which callees come before their callers.

    Raises:
        ArtifactError: a subgraph runs itself, directly or through others.
    """
    callees = [{callee for operator in graph.operators for callee in operator.calls} for graph in subgraphs]
    order: list[int] = []
    waiting = [len(calls) for calls in callees]
    callers: list[list[int]] = [[] for _ in subgraphs]
    for caller, calls in enumerate(callees):
        for callee in calls:
            callers[callee].append(caller)
    ready = [index for index, count in enumerate(waiting) if not count]
    while ready:
        order.append(done := ready.pop())
        for caller in callers[done]:
            waiting[caller] -= 1
            if not waiting[caller]:
                ready.append(caller)
    if len(order) < len(subgraphs):
        stuck = next(index for index, count in enumerate(waiting) if count)
        raise malformed(f"subgraph {stuck}", "runs itself through its control flow operators")
    return tuple(order)


def arena_bytes(subgraphs: tuple[Subgraph, ...], order: tuple[int, ...]) -> int:
    """Peak bytes of live activations when subgraph 0 runs in file order: what any planner needs at least.

    `order`: callees before their callers, see `check_calls`.

    Counts no alignment, no scratch buffers of kernels, no in-place operators, and no constants that are unpacked
    before use (DEQUANTIZE or DENSIFY of a stored tensor): kernels that read them as stored have no need to. A
    subgraph that is called adds its own peak to what is live at the call.
    """
    peaks: dict[int, int] = {}
    for index in order:
        graph = subgraphs[index]
        peaks[index] = max(
            (live + max((peaks[callee] for callee in operator.calls), default=0) for live, operator in _live(graph)),
            default=sum(graph.tensors[i].size_bytes for i in {*graph.inputs, *graph.outputs}),
        )
    return peaks[0]


def _live(graph: Subgraph) -> Iterator[tuple[int, Operator]]:
    """For each operator in order: the bytes of activations that are live while it runs."""
    size = _activation_bytes(graph)
    variables = {index for index, tensor in enumerate(graph.tensors) if tensor.variable} | _scratch(graph)
    last: dict[int, int] = {}
    for place, operator in enumerate(graph.operators):
        last.update({index: place for index in (*operator.inputs, *operator.outputs) if index >= 0})
    freed = [0] * len(graph.operators)
    for index in last.keys() - variables - set(graph.outputs):
        freed[last[index]] += size[index]
    live = sum(size[index] for index in variables.union(graph.inputs))
    for place, operator in enumerate(graph.operators):
        live += sum(size[index] for index in operator.outputs)
        yield live, operator
        live -= freed[place]


def _activation_bytes(graph: Subgraph) -> list[int]:
    size = [0 if tensor.constant else tensor.size_bytes for tensor in graph.tensors]
    fixed = {index for index, tensor in enumerate(graph.tensors) if tensor.constant}
    for operator in graph.operators:
        if operator.kind in _UNPACKS and fixed.issuperset(operator.inputs):
            fixed.update(operator.outputs)
            for index in operator.outputs:
                size[index] = 0
    return size


def count_kinds(subgraphs: tuple[Subgraph, ...]) -> dict[str, int]:
    """Operator -> how often it occurs in all subgraphs, the most frequent first."""
    counts = Counter(operator.kind for graph in subgraphs for operator in graph.operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

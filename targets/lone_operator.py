"""One operator of a model by itself, as a model of its own: where a target computes wrong, it says which operator does.

The engine `Extractor` runs in a child, for the runtime's package that writes flatbuffers loads native code.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from targets.flatbuffer import walk
from targets.graph import Graph
from targets.runtimes.refusal import refusal
from targets.sandbox import Sandbox
from targets.worker import Answer

_EXTRACTOR = "targets.lone_operator:Extractor"
_REFERENCE = "targets.runtimes.interpreter:Engine"
_IMAGES = 2


class Extractor:
    """Writes one operator of a flatbuffer as a flatbuffer of its own."""

    def extract(self, model: bytes, *, place: int) -> Answer:
        """The operator at `place` of the main subgraph with its constants: it alone reads the input."""
        with refusal("the runtime's schema cannot be loaded"):
            rewriter: Any = importlib.import_module("ai_edge_litert.tools.flatbuffer_utils")
        whole = rewriter.read_model_from_bytearray(bytearray(model))  # with what lies behind the flatbuffer
        graph = whole.subgraphs[0]
        operator = graph.operators[place]
        graph.operators = [operator]
        graph.inputs = [index for index in operator.inputs if index >= 0 and not self._stored(whole, graph, index)]
        graph.outputs = list(operator.outputs)
        whole.signatureDefs = None  # it names the model's own input and output
        whole.subgraphs = [graph]
        used = {index for index in (*operator.inputs, *operator.outputs) if index >= 0}
        order = {index: position for position, index in enumerate(sorted(used))}
        graph.tensors = [graph.tensors[index] for index in sorted(used)]
        for owner, name in ((operator, "inputs"), (operator, "outputs"), (graph, "inputs"), (graph, "outputs")):
            setattr(owner, name, [order.get(index, -1) for index in getattr(owner, name)])
        return {}, (bytes(rewriter.convert_object_to_bytearray(whole)),)

    def _stored(self, model: Any, graph: Any, index: int) -> bool:
        data = model.buffers[graph.tensors[index].buffer].data
        return data is not None and len(data) > 0


def difference(model: bytes, place: int, *, engine: str) -> float:
    """How far a target's engine is from the reference kernels in the operator at `place`, on random inputs.

    In quantization steps where it writes integers, else as a share of its largest output. `engine`: "module:Class", a
    `targets.runtimes.compiled_engine.CompiledEngine`.

    Raises:
        TargetError: the engine refuses the operator, or dies on it.
    """
    with Sandbox(_EXTRACTOR) as extractor:
        _, (alone,) = extractor.call("extract", model, arguments={"place": place})
    graph = walk(alone)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise TargetError(f"operator {place} has {len(graph.inputs)} inputs: it cannot be run by itself")
    inputs = _inputs(graph)
    expected = _run(_REFERENCE, alone, graph, inputs, {"resolver": "BUILTIN_REF", "threads": 1})
    found = _run(engine, alone, graph, inputs, {"input_scaling": (0.0, 0), "output_scaling": (0.0, 0)})
    largest = float(np.abs(found - expected).max())
    return largest if graph.outputs[0].dtype.startswith("int") else largest / float(np.abs(expected).max() or 1)


def _inputs(graph: Graph) -> NDArray[Any]:
    random, tensor = np.random.default_rng(0), graph.inputs[0]
    shape = (_IMAGES, *tensor.shape)
    if np.dtype(tensor.dtype).kind == "f":
        return random.uniform(-1, 1, shape).astype(tensor.dtype)
    bounds = np.iinfo(tensor.dtype)
    return random.integers(bounds.min, bounds.max, shape, tensor.dtype, endpoint=True)


def _run(
    engine: str, model: bytes, graph: Graph, inputs: NDArray[Any], arguments: dict[str, Any]
) -> NDArray[np.float64]:
    """Stored outputs as float64, one row for each input."""
    with Sandbox(engine) as sandbox:
        sandbox.call("load", model, arguments=arguments)
        _, (found,) = sandbox.call("infer", inputs.data.cast("B"))
    return np.frombuffer(found, graph.outputs[0].dtype).reshape(len(inputs), -1).astype(np.float64)

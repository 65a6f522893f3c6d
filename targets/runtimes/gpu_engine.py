"""The engine in the child for GPUs: LiteRT's WebGPU accelerator, through Vulkan on Linux."""

from __future__ import annotations

import importlib
from typing import Any

from targets.runtimes.compiled_engine import CompiledEngine
from targets.runtimes.refusal import refusal
from targets.worker import Answer


class Engine(CompiledEngine):
    """One model on the GPU, and on nothing else."""

    def options(self) -> Any:
        """The GPU alone."""
        return self._api.Options(hardware_accelerators=self._api.HardwareAccelerator.GPU)

    def probe(self) -> Answer:
        """Compile the smallest model there is: the runtime writes which adapter it found, or why it found none."""
        with refusal("no GPU can be used"):
            self._api.CompiledModel.from_buffer(_smallest_model(), options=self.options())
        return {}, ()


def _smallest_model() -> bytes:
    """A flatbuffer of one RELU over one number."""
    schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
    flatbuffers: Any = importlib.import_module("flatbuffers")
    model, graph, operator, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [operator], [0], [1]
    for name in (b"image", b"scores"):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name, [1, 1, 1, 1], schema.TensorType.FLOAT32, 0
        graph.tensors.append(tensor)
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [code], [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

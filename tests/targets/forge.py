"""Rewrites a `.tflite` through the generated schema, for files that no converter would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def forge(content: bytes, change: Callable[[Any], object]) -> bytes:
    """The file after `change` has been applied to its `schema.ModelT`."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def constant(model: Any, rank: int = 4) -> Any:
    """A tensor of the main subgraph whose values the file stores, of that rank."""
    return next(
        tensor
        for tensor in model.subgraphs[0].tensors
        if model.buffers[tensor.buffer].data is not None and len(tensor.shape) == rank
    )


def activation(model: Any) -> Any:
    """The tensor that the first operator writes."""
    graph = model.subgraphs[0]
    return graph.tensors[graph.operators[0].outputs[0]]


def call(model: Any, target: int) -> None:
    """Make the last operator of the main subgraph one that runs a subgraph."""
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.CALL_ONCE
    code.deprecatedBuiltinCode = schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
    model.operatorCodes.append(code)
    options = schema.CallOnceOptionsT()
    options.initSubgraphIndex = target
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
    operator.builtinOptions = options
    model.subgraphs[0].operators.append(operator)


def shared_operators(*, operators: int, inputs: int) -> bytes:
    """A small file whose operators are all the same one, of many inputs: a table may be pointed to more than once."""
    builder = flatbuffers.Builder(1024)
    vector = builder.CreateNumpyVector(np.zeros(inputs, np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, vector)
    operator = schema.OperatorEnd(builder)
    schema.OperatorCodeStart(builder)
    code = schema.OperatorCodeEnd(builder)
    schema.TensorStart(builder)
    tensor = schema.TensorEnd(builder)
    schema.BufferStart(builder)
    buffer = schema.BufferEnd(builder)
    vectors = []
    for items in ([operator] * operators, [tensor], [code], [buffer]):
        builder.StartVector(4, len(items), 4)
        for item in items:
            builder.PrependUOffsetTRelative(item)
        vectors.append(builder.EndVector())
    first = builder.CreateNumpyVector(np.zeros(1, np.int32))
    schema.SubGraphStart(builder)
    schema.SubGraphAddOperators(builder, vectors[0])
    schema.SubGraphAddTensors(builder, vectors[1])
    schema.SubGraphAddInputs(builder, first)
    graph = schema.SubGraphEnd(builder)
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddOperatorCodes(builder, vectors[2])
    schema.ModelAddBuffers(builder, vectors[3])
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())

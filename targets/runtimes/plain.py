"""A flatbuffer as every runtime reads it: with the weights inside, and operators' codes in the older field, too.

The quantizer writes the weights of all but small models behind the flatbuffer, by offset and size, and the codes of
operators that it adds without the older field of one byte. LiteRT reads that; OpenVINO and tf2onnx refuse it, and
TFLite Micro computes with whatever lies in its memory instead of weights, without a word.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from targets.runtimes.refusal import refusal

_IDENTIFIER = b"TFL3"
_UNUSED = 1
"""Offsets of 0 and 1 stand for data that lie inside."""

_ALIGNMENT = 16
"""Bytes to which the schema has the data of a buffer aligned; the generated writer does not know."""

_LATER = 127
"""What the older field of an operator's code holds where the code is larger."""


def plain(model: bytes) -> bytes:
    """The same model with all data inside and codes in the older field, too; the bytes themselves where that is so.

    Raises:
        TargetError: ai-edge-litert is not installed.
    """
    with refusal("ai-edge-litert is needed to write the model as this runtime reads it"):
        schema = importlib.import_module("ai_edge_litert.schema_py_generated")
        builders = importlib.import_module("flatbuffers")
    whole: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    behind = [buffer for buffer in whole.buffers if buffer.offset > _UNUSED]
    coded = [code for code in whole.operatorCodes if code.deprecatedBuiltinCode < min(code.builtinCode, _LATER)]
    if not behind and not coded:
        return model
    for buffer in behind:
        buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    for code in coded:
        code.deprecatedBuiltinCode = min(code.builtinCode, _LATER)
    builder = _aligning(builders.Builder)(len(model))
    builder.Finish(whole.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _aligning(builder: Any) -> Any:
    """A kind of flatbuffer builder that aligns vectors of bytes as the schema has it."""

    def start(self: Any, size: int, count: int, own: int) -> Any:
        return builder.StartVector(self, size, count, _ALIGNMENT if size == 1 else own)

    return type("AligningBuilder", (builder,), {"StartVector": start})

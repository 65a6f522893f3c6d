"""A flatbuffer as OpenVINO and tf2onnx read it: they know less of the format than the runtimes do.

Quantizers write the weights of large models behind the flatbuffer, by offset and size, and the codes of operators that
they add without the older field of one byte.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from targets.runtimes.refusal import refusal

_IDENTIFIER = b"TFL3"
_UNUSED = 1
"""Offsets of 0 and 1 stand for data that lie inside."""

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
    builder = builders.Builder(len(model))
    builder.Finish(whole.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())

"""The engine in the child that writes a `.tflite` as ONNX, with tf2onnx; see `onnxruntime.py`."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgeres.errors import TargetError
from targets.runtimes.plain import plain
from targets.runtimes.refusal import refusal
from targets.worker import Answer

OPSET = 17
"""The latest for which tf2onnx has the 8-bit operators that it writes."""

_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
_SIGN = 128
"""What is added to an int8 value to have it as uint8."""


class Engine:
    """The converter, run by its function in this process."""

    def __init__(self) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        with refusal("tf2onnx cannot be loaded"):
            self._onnx = importlib.import_module("onnx")
            self._converter = importlib.import_module("tf2onnx.convert")

    def convert(self, model: bytes) -> Answer:
        """Returns the ONNX file: a batch of 1; int8 activations, input and output included, as uint8."""
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            Path(file.name).write_bytes(plain(model))
            try:
                written, _ = self._converter.from_tflite(file.name, opset=OPSET)
            except Exception as error:  # the converter raises whatever its handlers do
                reason = " ".join(str(error).split())[:500]
                raise TargetError(
                    f"tf2onnx does not convert the model: {type(error).__name__}: {reason}",
                    fix="convert the model with the recipe float32 or int8, or use --target openvino",
                ) from error
        graph = written.graph
        for port in (*graph.input, *graph.output):
            port.type.tensor_type.shape.dim[0].dim_value = 1
        del graph.value_info[:]  # shapes and types of before; the runtime infers them
        self._unsign(graph)
        return {}, (written.SerializeToString(),)

    def _unsign(self, graph: Any) -> None:
        """Write int8 activations as uint8, with zero points that are larger by as much: they stand for the same."""
        constants = {constant.name: constant for constant in graph.initializer}
        for node in graph.node:
            if node.op_type not in _QUANTIZING or node.input[0] in constants or len(node.input) < 3:
                continue
            zero_point = self._onnx.numpy_helper.to_array(constants[node.input[2]])
            if zero_point.dtype == np.int8:
                name = f"{node.input[2]}_unsigned"
                if name not in constants:
                    shifted = (zero_point.astype(np.int16) + _SIGN).astype(np.uint8)
                    constants[name] = self._onnx.numpy_helper.from_array(shifted, name)
                    graph.initializer.append(constants[name])
                node.input[2] = name
        types = self._onnx.TensorProto
        for port in (*graph.input, *graph.output):
            if port.type.tensor_type.elem_type == types.INT8:
                port.type.tensor_type.elem_type = types.UINT8

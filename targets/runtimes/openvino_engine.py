"""The engine in the child for OpenVINO: one model, compiled for this machine's processor."""

from __future__ import annotations

import importlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from targets.runtimes.invoked import InvokedEngine
from targets.runtimes.plain import plain
from targets.runtimes.refusal import refusal
from targets.scaling import dequantize, quantize
from targets.worker import Answer

SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # the operating system places threads, as it does those of other targets
}
"""What a model is compiled with, beside the number of threads."""

_PRECISIONS = {"i8": "int8", "u8": "int8", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i32": "int32"}
"""How the names of its kernels end -> type: `brgconv_avx512_I8`, `jit_avx512_f32`."""

_NO_WORK = {"Input", "Output", "Const", "Convert", "Reorder", "Reshape", "Transpose"}
"""Nodes of its graph that compute nothing: they hold values, or lay them out in another way."""


class Engine(InvokedEngine):
    """One model on one request of OpenVINO."""

    def __init__(self) -> None:
        with refusal("OpenVINO cannot be loaded"):
            self._runtime = importlib.import_module("openvino")
        self._core = self._runtime.Core()
        super().__init__()

    def load(self, model: bytes, *, threads: int, ports: dict[str, Any]) -> Answer:
        """Compile a model for a batch of 1; `ports` are those of its file, which are returned."""
        self._ports = ports
        content = plain(model)
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file, self._loading():  # it reads no bytes
            Path(file.name).write_bytes(content)
            with refusal("OpenVINO refuses the model"):
                network = self._core.read_model(file.name)
                if network.input(0).partial_shape.is_dynamic:
                    network.reshape(ports["input_shape"])
                settings = {**SETTINGS, "INFERENCE_NUM_THREADS": threads}
                self._compiled = self._core.compile_model(network, "CPU", settings)
                self._request = self._compiled.create_infer_request()
        found = (list(self._compiled.input(0).shape), list(self._compiled.output(0).shape))
        if found != (ports["input_shape"], ports["output_shape"]):
            raise TargetError(f"OpenVINO reads other shapes from the file: {found[0]} to {found[1]}")
        self._input, self._output = self._request.get_input_tensor(), self._request.get_output_tensor()
        self._ready(tuple(ports["input_shape"]), ports["input_dtype"], self._request.infer)
        return ports, ()

    def precision(self) -> Answer:
        """How many operators of the graph that runs compute in each type."""
        found: Counter[str] = Counter()
        for node in self._compiled.get_runtime_model().get_ops():
            about = node.get_rt_info()
            if about["layerType"].astype(str) not in _NO_WORK:
                ending = about["primitiveType"].astype(str).rpartition("_")[2].lower()
                found[_PRECISIONS.get(ending, ending)] += 1
        return dict(found.most_common()), ()

    def _set(self, image: NDArray[Any]) -> None:
        """Stored values; OpenVINO makes a float input of some integer ones, which then stand for themselves."""
        if self._input.data.dtype != image.dtype:
            scale, zero_point = self._ports["input_scale"], self._ports["input_zero_point"]
            image = dequantize(image, scale=scale, zero_point=zero_point)
        self._input.data[:] = image

    def _scores(self) -> bytes:
        found, dtype = self._output.data, self._ports["output_dtype"]
        if found.dtype != np.dtype(dtype):
            scale, zero_point = self._ports["output_scale"], self._ports["output_zero_point"]
            found = quantize(found.astype(np.float32), dtype, scale=scale, zero_point=zero_point)
        return bytes(np.ascontiguousarray(found).tobytes())

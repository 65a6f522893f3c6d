"""The engine in the child for ONNX Runtime: one ONNX file on this machine's processor."""

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
from targets.runtimes.refusal import refusal
from targets.worker import Answer

_PROVIDER = "CPUExecutionProvider"
_SIGN = 128
_ERRORS_ONLY = 3
_INTEGER = ("QLinear", "ConvInteger", "MatMulInteger", "MatMulNBits", "DynamicQuantize", "QGemm")
"""How the names of the operators begin that compute with integers."""

_NO_WORK = ("QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Squeeze", "ReorderInput", "ReorderOutput")


class Engine(InvokedEngine):
    """One model on one session of ONNX Runtime."""

    def __init__(self) -> None:
        with refusal("ONNX Runtime cannot be loaded"):
            self._runtime = importlib.import_module("onnxruntime")
        super().__init__()

    def load(self, model: bytes, *, threads: int, ports: dict[str, Any]) -> Answer:
        """Open an ONNX file; `ports` are those of the `.tflite` that it was written from, which are returned."""
        with self._loading():
            session = self._session(model, self._options(threads))
            self._binding = session.io_binding()
            (given,), (made,) = session.get_inputs(), session.get_outputs()
            found = (given.shape, made.shape)
            if found != (ports["input_shape"], ports["output_shape"]):
                raise TargetError(f"the ONNX file has other shapes than the model: {found[0]} to {found[1]}")
            self._input = np.zeros(given.shape, _stored(given.type))
            self._output = np.zeros(made.shape, _stored(made.type))
            for name, array, bind in (
                (given.name, self._input, self._binding.bind_input),
                (made.name, self._output, self._binding.bind_output),
            ):
                bind(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._signed = {noun: ports[f"{noun}_dtype"] == "int8" for noun in ("input", "output")}
        binding = self._binding
        self._ready(tuple(given.shape), ports["input_dtype"], lambda: session.run_with_iobinding(binding))
        return ports, ()

    def precision(self, model: bytes) -> Answer:
        """How many operators of the graph that the runtime makes of the file compute in each type."""
        onnx = importlib.import_module("onnx")
        found: Counter[str] = Counter()
        with tempfile.TemporaryDirectory() as folder:
            options = self._options(1)
            options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
            self._session(model, options)
            graph = onnx.load(options.optimized_model_filepath).graph
        for node in graph.node:
            if node.op_type not in _NO_WORK:
                found["int8" if node.op_type.startswith(_INTEGER) else "float32"] += 1
        return dict(found.most_common()), ()

    def _options(self, threads: int) -> Any:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _ERRORS_ONLY
        # Or idle threads of one model go on spinning, and disturb those that run in turn with it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return options

    def _session(self, model: bytes, options: Any) -> Any:
        with refusal("ONNX Runtime refuses the model"):
            try:
                return self._runtime.InferenceSession(model, options, providers=[_PROVIDER])
            except Exception as error:  # its exceptions have no base class but this one
                raise RuntimeError(str(error)) from error

    def _set(self, image: NDArray[Any]) -> None:
        self._input[:] = image.astype(np.int16) + _SIGN if self._signed["input"] else image

    def _scores(self) -> bytes:
        found = (self._output.astype(np.int16) - _SIGN).astype(np.int8) if self._signed["output"] else self._output
        return bytes(found.tobytes())


def _stored(kind: str) -> str:
    """Numpy's name of `tensor(uint8)`."""
    name = kind[len("tensor(") : -1]
    return {"float": "float32"}.get(name, name)

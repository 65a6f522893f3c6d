"""The engine in the child for LiteRT's CompiledModel, which runs models on GPUs and NPUs through their accelerators.

Only the accelerator itself is asked for, never "or else the CPU": what it does not take is an error of the runtime's.
Always loaded from bytes: `CompiledModel.from_file` was seen to crash on malformed files. Every call returns JSON values
and binary parts, see `targets.worker`.
"""

from __future__ import annotations

import gc
import importlib
from abc import ABC, abstractmethod
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import ModelError, TargetError
from targets.memory import reset_peak, resident
from targets.runtimes.refusal import refusal
from targets.worker import Answer

_PEAK_RUNS = 3


class CompiledEngine(ABC):
    """One model on one accelerator; a subclass says on which."""

    def __init__(self) -> None:
        with refusal("ai-edge-litert cannot be loaded"):
            self._api = importlib.import_module("ai_edge_litert.compiled_model")
        self._before = resident().now_bytes

    @abstractmethod
    def options(self) -> Any:
        """The options that a model is compiled with: which accelerator, and its own."""

    def load(self, model: bytes, *, input_scaling: tuple[float, int], output_scaling: tuple[float, int]) -> Answer:
        """Compile a model of one input and one output; returns its signature.

        `input_scaling`, `output_scaling`: scale and zero point, which this API of the runtime's does not tell.
        """
        reset_peak()
        began = perf_counter_ns()
        with refusal("the runtime refuses the model"):
            self._model = self._api.CompiledModel.from_buffer(model, options=self.options())
            self._inputs, self._outputs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        self._initialization_ms = (perf_counter_ns() - began) / 1e6
        found = resident()
        self._loaded, self._peak = found.now_bytes, found.peak_bytes
        if not self._model.is_fully_accelerated():
            raise TargetError("the runtime leaves a part of the model to the CPU", fix="use --target cpu")
        self._input, self._output = self._port("input", input_scaling), self._port("output", output_scaling)
        shape, dtype = self._input["input_shape"], self._input["input_dtype"]
        self._set(np.random.default_rng(0).integers(0, 127, shape).astype(dtype))
        return {**self._input, **self._output}, ()

    def _port(self, noun: str, scaling: tuple[float, int]) -> dict[str, Any]:
        key = next(iter(self._model.get_signature_list()))
        details = getattr(self._model, f"get_{noun}_tensor_details")(key)
        (port,) = details.values()
        return {
            f"{noun}_shape": list(map(int, port["shape"])),
            f"{noun}_dtype": np.dtype(port["dtype"]).name,
            f"{noun}_scale": scaling[0],
            f"{noun}_zero_point": scaling[1],
        }

    def first(self) -> Answer:
        """Invoke for the first time; returns a `FirstRun`."""
        began = perf_counter_ns()
        self._run()
        return {"initialization_ms": self._initialization_ms, "first_ms": (perf_counter_ns() - began) / 1e6}, ()

    def infer(self, batch: bytes) -> Answer:
        """Run stored inputs, one after the other; returns the stored outputs, one after the other."""
        shape, dtype = self._input["input_shape"], np.dtype(self._input["input_dtype"])
        size = int(np.prod(shape)) * dtype.itemsize
        if not batch or len(batch) % size:
            raise ModelError(f"expected a multiple of {size:,} bytes as input, found {len(batch):,}")
        found = []
        for image in np.frombuffer(batch, dtype).reshape(-1, *shape):
            self._set(image)
            found.append(self._run().tobytes())
        return {}, (b"".join(found),)

    def time(self, *, runs: int, seconds: float) -> Answer:
        """Run on the last input at least `runs` times and `seconds` long; returns float64 milliseconds.

        A run ends when its output has been read: before that an accelerator may only have been told to begin.
        """
        enough, times = round(seconds * 1e9), []
        gc.disable()
        try:
            began = perf_counter_ns()
            while True:
                before = perf_counter_ns()
                self._run()
                after = perf_counter_ns()
                times.append(after - before)
                if len(times) >= runs and after - began >= enough:
                    break
        finally:
            gc.enable()
        return {}, ((np.array(times, "<f8") / 1e6).tobytes(),)

    def memory(self) -> Answer:
        """Resident bytes before the model was loaded, once it was, and at most while it was loaded and ran.

        Memory of the accelerator's own is not among them.
        """
        reset_peak()
        for _ in range(_PEAK_RUNS):
            self._run()
        return {"before": self._before, "loaded": self._loaded, "peak": max(self._peak, resident().peak_bytes)}, ()

    def _set(self, image: NDArray[Any]) -> None:
        with refusal("the runtime does not take the input"):
            self._inputs[0].write(np.ascontiguousarray(image))

    def _run(self) -> NDArray[Any]:
        shape, dtype = self._output["output_shape"], np.dtype(self._output["output_dtype"])
        with refusal("the model cannot be run"):
            self._model.run_by_index(0, self._inputs, self._outputs)
            found: NDArray[Any] = self._outputs[0].read(int(np.prod(shape)), dtype.type)
        return found

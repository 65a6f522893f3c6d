"""The engine in the child for LiteRT's CompiledModel, which runs models on GPUs and NPUs through their accelerators.

Only the accelerator itself is asked for, never "or else the CPU": what it does not take is an error of the runtime's.
Always loaded from bytes: `CompiledModel.from_file` was seen to crash on malformed files. Every call returns JSON values
and binary parts, see `targets.worker`.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeres.errors import TargetError
from targets.runtimes.invoked import InvokedEngine
from targets.runtimes.refusal import refusal
from targets.worker import Answer


class CompiledEngine(InvokedEngine, ABC):
    """One model on one accelerator; a subclass says on which. Memory of the accelerator's own is not counted."""

    def __init__(self) -> None:
        with refusal("ai-edge-litert cannot be loaded"):
            self._api = importlib.import_module("ai_edge_litert.compiled_model")
        super().__init__()

    @abstractmethod
    def options(self) -> Any:
        """The options that a model is compiled with: which accelerator, and its own."""

    def load(self, model: bytes, *, input_scaling: tuple[float, int], output_scaling: tuple[float, int]) -> Answer:
        """Compile a model of one input and one output; returns its signature.

        `input_scaling`, `output_scaling`: scale and zero point, which this API of the runtime's does not tell.
        """
        with self._loading(), refusal("the runtime refuses the model"):
            self._model = self._api.CompiledModel.from_buffer(model, options=self.options())
            self._inputs, self._outputs = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        if not self._model.is_fully_accelerated():
            raise TargetError("the runtime leaves a part of the model to the CPU", fix="use --target cpu")
        input_port, self._output = self._port("input", input_scaling), self._port("output", output_scaling)
        self._ready(tuple(input_port["input_shape"]), input_port["input_dtype"], self._run_and_read)
        return {**input_port, **self._output}, ()

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

    def _set(self, image: NDArray[Any]) -> None:
        with refusal("the runtime does not take the input"):
            self._inputs[0].write(np.ascontiguousarray(image))

    def _run_and_read(self) -> None:
        """A run ends when its output has been read: before that an accelerator may only have been told to begin."""
        shape, dtype = self._output["output_shape"], np.dtype(self._output["output_dtype"])
        self._model.run_by_index(0, self._inputs, self._outputs)
        self._found: NDArray[Any] = self._outputs[0].read(int(np.prod(shape)), dtype.type)

    def _scores(self) -> bytes:
        return bytes(self._found.tobytes())

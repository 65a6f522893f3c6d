"""How much memory a model's tensors need on a microcontroller: TensorFlow Lite Micro's own answer, or an estimate."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass

from edgeres.errors import ModelError, TargetError
from targets.graph import Graph
from targets.sandbox import Limits, Sandbox
from targets.worker import Answer

_PACKAGE = "tflite_micro"
_STEP_BYTES = 1024
_MOST_BYTES = 64 << 20
"""More than any microcontroller has."""

_BASE_BYTES, _OPERATOR_BYTES, _SCALE_BYTES = 1024, 400, 8
"""What the interpreter was seen to keep at most, for itself, each operator, and each scale of a quantized tensor."""


@dataclass(frozen=True)
class Arena:
    """The bytes, and how they are known, as a sentence."""

    size_bytes: int
    how: str


def arena_of(model: bytes, graph: Graph) -> Arena:
    """The arena of a model: measured where the package tflite-micro is installed, else estimated from its graph.

    Raises:
        ModelError: TensorFlow Lite Micro refuses the model.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        how = "Estimated from the graph, for tflite-micro is not installed where this was made."
        return Arena(estimate(graph), how)
    try:
        with Sandbox("converters.apps.c.arena:Engine", limits=Limits(seconds=120)) as sandbox:
            values, _ = sandbox.call("smallest", model, arguments={"start": graph.arena_bytes})
    except TargetError as problem:
        raise ModelError(
            "TensorFlow Lite Micro refuses the model",
            details=(problem.message,),
            fix="convert with the recipe int8, or choose another platform",
        ) from problem
    how = "The least with which TensorFlow Lite Micro ran the model on a 64-bit machine; one of 32 bits needs less."
    return Arena(int(values["bytes"]), how)


def estimate(graph: Graph) -> int:
    """Bytes from the peak of live activations, a quarter more for gaps, and what the interpreter keeps."""
    scales = sum(len(tensor.scales) for tensor in graph.main.tensors)
    kept = _BASE_BYTES + _OPERATOR_BYTES * len(graph.main.operators) + _SCALE_BYTES * scales
    return _rounded(graph.arena_bytes * 5 // 4 + kept)


def _rounded(size: int) -> int:
    return -(-size // _STEP_BYTES) * _STEP_BYTES


class Engine:
    """The child's side: tries arenas, each in a process of its own, for one that is too small can crash it."""

    def __init__(self) -> None:
        self._runtime = importlib.import_module(_PACKAGE).runtime

    def smallest(self, model: bytes, *, start: int) -> Answer:
        """The least multiple of 1 KiB with which the model can be loaded and run."""
        low, high = 0, _rounded(max(1, start))
        while not self.runs(model, high):
            if high > _MOST_BYTES:
                raise TargetError(f"it does not run with an arena of {high:,} bytes either")
            low, high = high, 2 * high
        while high - low > _STEP_BYTES:
            middle = (low + high) // (2 * _STEP_BYTES) * _STEP_BYTES
            low, high = (low, middle) if self.runs(model, middle) else (middle, high)
        return {"bytes": high}, ()

    def runs(self, model: bytes, arena_bytes: int) -> bool:
        """Whether the model can be loaded into an arena, and run there."""
        process = os.fork()
        if process == 0:
            code = 1
            try:
                self._runtime.Interpreter.from_bytes(model, arena_size=arena_bytes).invoke()
                code = 0
            except (RuntimeError, ValueError):
                pass  # too small, or nothing that it can run
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0

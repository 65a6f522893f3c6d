"""How much memory a model's tensors need on a microcontroller: TensorFlow Lite Micro's own answer, or an estimate."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

from edgeres.errors import ModelError, TargetError
from targets.graph import Graph
from targets.sandbox import Limits, Sandbox
from targets.worker import Answer

_PACKAGE = "tflite_micro"
_STEP_BYTES = 1024
_MOST_BYTES = 1 << 30

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
    """The child's side: tries arenas, for the interpreter refuses one that is too small."""

    def __init__(self) -> None:
        self._runtime = importlib.import_module("tflite_micro.python.tflite_micro.runtime")

    def smallest(self, model: bytes, *, start: int) -> Answer:
        """The least multiple of 1 KiB with which the model can be loaded and run."""
        high = _rounded(max(1, start))
        while (problem := self._refused(model, high)) is not None:
            if high > _MOST_BYTES:
                raise TargetError(problem)
            high *= 2
        low = 0
        while high - low > _STEP_BYTES:
            middle = _rounded((low + high) // 2)
            middle = middle if middle < high else high - _STEP_BYTES
            if self._refused(model, middle) is None:
                high = middle
            else:
                low = middle
        return {"bytes": high}, ()

    def _refused(self, model: bytes, size: int) -> str | None:
        """Why the model does not run with an arena of this size; None where it does."""
        try:
            interpreter: Any = self._runtime.Interpreter.from_bytes(model, arena_size=size)
            interpreter.invoke()
        except (RuntimeError, ValueError) as problem:
            return str(problem)
        return None

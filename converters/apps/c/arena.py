"""How much memory a model's tensors need on a microcontroller: TensorFlow Lite Micro's own answer, or an estimate."""

from __future__ import annotations

from dataclasses import dataclass

from edgeres.errors import ModelError, TargetError
from targets.graph import Graph
from targets.runtimes.micro import MICRO

_STEP_BYTES = 1024

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
    if not MICRO.check().available:
        how = "Estimated from the graph, for tflite-micro is not installed where this was made."
        return Arena(estimate(graph), how)
    try:
        with MICRO.open(model) as session:
            found = session.memory().load_bytes
    except TargetError as problem:
        raise ModelError(problem.message, details=problem.details, fix=problem.fix) from problem
    how = "The least with which TensorFlow Lite Micro ran the model on a 64-bit machine; one of 32 bits needs less."
    return Arena(found, how)


def estimate(graph: Graph) -> int:
    """Bytes from the peak of live activations, a quarter more for gaps, and what the interpreter keeps."""
    scales = sum(len(tensor.scales) for tensor in graph.main.tensors)
    kept = _BASE_BYTES + _OPERATOR_BYTES * len(graph.main.operators) + _SCALE_BYTES * scales
    return _rounded(graph.arena_bytes * 5 // 4 + kept)


def _rounded(size: int) -> int:
    return -(-size // _STEP_BYTES) * _STEP_BYTES

"""The parent's side of LiteRT's CompiledModel: what GPUs and NPUs have in common; see `compiled_engine.py`."""

from __future__ import annotations

from typing import Any

from targets.graph import Graph, Tensor
from targets.runtimes.session import EngineSession


def scalings(graph: Graph) -> dict[str, Any]:
    """Scale and zero point of a model's ends, which the runtime does not tell in this API: arguments of `load`."""
    return {"input_scaling": _scaling(graph.inputs[0]), "output_scaling": _scaling(graph.outputs[0])}


def _scaling(tensor: Tensor) -> tuple[float, int]:
    return (tensor.scales[0], tensor.zero_points[0]) if tensor.scales else (0.0, 0)


class CompiledSession(EngineSession):
    """A model on an accelerator; see `targets.target.Session`."""

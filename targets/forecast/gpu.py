"""LiteRT's WebGPU accelerator: where it is known to compute something else. Which operators it has is not listed."""

from __future__ import annotations

from dataclasses import replace

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Rules
from targets.forecast.view import HYBRID, Node

FLOATS = "convert with the recipe float16, or with --set export.shortcuts=3x3"


def _shortcut(node: Node) -> str | None:
    """The projection of a residual block: a 1x1 convolution with a stride, of integers."""
    if node.kind != "CONV_2D" or node.weights is None or node.form not in ("int8", HYBRID):
        return None
    strided = max(node.number("stride_width"), node.number("stride_height")) > 1
    if strided and node.weights.shape[1:3] == (1, 1):
        return "the GPU's 1x1 convolution with a stride computes something else from integer weights"
    return None


def shortcuts(model: Model) -> tuple[Blocked, ...]:
    """The convolutions that it computes wrongly."""
    found = Rules("the GPU", None, (_shortcut,)).blocked(model.nodes)
    return tuple(replace(each, fix=FLOATS) for each in found)


def on_gpu(model: Model, name: str) -> Forecast:
    """Wrong where a strided 1x1 convolution has integer weights."""
    blocked = shortcuts(model)
    found = judged(model, name, blocked, stops=False, note="operators that it lacks are not forecast")
    return replace(found, verdict="wrong") if blocked else found

"""LiteRT.js in a browser: float32 at both ends and a batch of 1; inside it is XNNPACK in WebAssembly, or WebGPU."""

from __future__ import annotations

from dataclasses import replace

from edgeres.errors import TargetError, suggestion
from targets.forecast.gpu import shortcuts
from targets.forecast.litert import on_cpu
from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked

KINDS = ("browser", "browser:webgpu")
_FLOATS = "convert with --set quantize.io=float32"
_BATCH = "export the model with a batch of 1, as edgeres convert does"


def refused_ports(model: Model) -> tuple[Blocked, ...]:
    """What LiteRT.js has against a model's input and output."""
    found = []
    for noun, tensors in (("input", model.graph.inputs), ("output", model.graph.outputs)):
        for tensor in tensors:
            if tensor.dtype != "float32":
                reason = f"LiteRT.js takes no {tensor.dtype} {noun}"
                found.append(Blocked(noun, noun.upper(), tensor.dtype, reason, _FLOATS))
            elif -1 in tensor.signature:
                reason = f"LiteRT.js takes no {noun} with an open batch"
                found.append(Blocked(noun, noun.upper(), tensor.dtype, reason, _BATCH))
    return tuple(found)


def in_browser(model: Model, name: str) -> Forecast:
    """Refused for its ends; else as XNNPACK or the GPU does."""
    if name not in KINDS:
        raise TargetError(f"there is no target '{name}'", fix=suggestion(name, KINDS))
    if ports := refused_ports(model):
        return judged(model, name, ports, stops=True)
    if name == "browser":
        return on_cpu(model, name)
    wrong = shortcuts(model)
    found = judged(model, name, wrong, stops=False, note="operators that it lacks are not forecast")
    return replace(found, verdict="wrong") if wrong else found

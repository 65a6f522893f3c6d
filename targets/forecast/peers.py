"""OpenVINO and ONNX Runtime: the types that they refuse. Which operators they have is not listed."""

from __future__ import annotations

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Rules
from targets.forecast.view import Node

_NOTE = "operators that it lacks are not forecast"


def _int4(runtime: str, node: Node) -> str | None:
    if node.weights is not None and node.weights.dtype == "int4":
        return f"{runtime} has no {node.kind} with int4 weights"
    return None


def _int16(node: Node) -> str | None:
    return f"ONNX Runtime has no {node.kind} with int16 activations" if node.form == "int16" else None


def _sparse(node: Node) -> str | None:
    return "tf2onnx reads no sparsely stored weights" if node.kind == "DENSIFY" else None


OPENVINO = Rules("OpenVINO", None, (lambda node: _int4("OpenVINO", node),))
ONNXRUNTIME = Rules("ONNX Runtime", None, (lambda node: _int4("tf2onnx", node), _int16, _sparse))


def on_openvino(model: Model, name: str) -> Forecast:
    """Refused for a type."""
    return judged(model, name, OPENVINO.blocked(model.nodes), stops=True, note=_NOTE)


def on_onnxruntime(model: Model, name: str) -> Forecast:
    """Refused for a type."""
    return judged(model, name, ONNXRUNTIME.blocked(model.nodes), stops=True, note=_NOTE)

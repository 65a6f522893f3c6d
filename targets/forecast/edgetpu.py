"""Coral's Edge TPU: the checks that can be made without its compiler.

By the list of operators and limits that Coral publishes (coral.ai/docs/edgetpu/models-intro). The compiler is closed
and may refuse more. It takes what comes before the first operator that it does not know: one partition, the rest
stays on the processor.
"""

from __future__ import annotations

from dataclasses import replace

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Rules, kinds
from targets.forecast.view import Node

COMPILED = "edgetpu-custom-op"
"""The operator that the compiler makes of its partition."""

CACHE_BYTES = 8 << 20
"""What the chip holds of a model; other weights come over the bus in every run."""

_INNERMOST = 3
_INT8 = "convert with the recipe int8"
_NO_ACTIVATION = ("AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D")


def _dimensions(node: Node) -> str | None:
    for tensor in (*node.inputs, *node.outputs):
        if tensor is not None and not tensor.constant and any(size > 1 for size in tensor.shape[:-_INNERMOST]):
            return f"the Edge TPU has no activations of more than 3 dimensions, found {list(tensor.shape)}"
    return None


def _activation(node: Node) -> str | None:
    if node.kind in _NO_ACTIVATION and node.operator.activation:
        return f"the Edge TPU has no {node.kind} with {node.operator.activation} fused into it"
    return None


def _weights(node: Node) -> str | None:
    if node.weights is None:
        return None
    if not node.weights.constant:
        return f"the Edge TPU has no {node.kind} with weights that are computed"
    if node.weights.dtype not in ("int8", "uint8"):
        return f"the Edge TPU has no {node.kind} with {node.weights.dtype} weights"
    return None


_TAKEN = kinds(
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED L2_NORMALIZATION "
    "LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 "
    "RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT "
    "SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
)
EDGETPU = Rules("the Edge TPU", {"int8": _TAKEN, "uint8": _TAKEN}, (_dimensions, _activation, _weights))


def is_compiled(model: Model) -> bool:
    """Whether Coral's compiler has been run on it."""
    return any(node.kind == COMPILED for node in model.nodes)


def on_edgetpu(model: Model, name: str) -> Forecast:
    """The share of its one partition; refused where nothing of the model is in 8 bits."""
    if is_compiled(model):
        left = sum(node.kind != COMPILED for node in model.nodes)
        return Forecast(name, "in part" if left else "runs", len(model.nodes), len(model.nodes) - left, note="compiled")
    if ports := _ports(model):
        return judged(model, name, ports, stops=True)
    blocked = EDGETPU.blocked(model.nodes)
    found = judged(model, name, blocked, stops=False, note=_note(model, blocked))
    if found.verdict != "in part":
        return found
    first = next(place for place, node in enumerate(model.nodes) if node.layer == blocked[0].layer)
    return replace(found, taken=first, verdict="in part" if first else "refused")


def _ports(model: Model) -> tuple[Blocked, ...]:
    """What it has against the model as a whole: its ends, open sizes, several subgraphs."""
    found = []
    for noun, tensors in (("input", model.graph.inputs), ("output", model.graph.outputs)):
        for tensor in tensors:
            if tensor.dtype not in ("int8", "uint8"):
                reason = f"the Edge TPU takes no {tensor.dtype} {noun}"
                found.append(Blocked(noun, noun.upper(), tensor.dtype, reason, _INT8))
            elif -1 in tensor.signature:
                reason, fix = f"the Edge TPU takes no {noun} of an open size", "export the model with a batch of 1"
                found.append(Blocked(noun, noun.upper(), tensor.dtype, reason, fix))
    if (count := len(model.graph.subgraphs)) > 1:
        reason = f"the Edge TPU's compiler takes one subgraph, the model has {count}"
        found.append(Blocked("the model", "SUBGRAPH", "", reason, "build the network without control flow"))
    return tuple(found)


def _note(model: Model, blocked: tuple[Blocked, ...]) -> str:
    notes = ["compile it with edgetpu_compiler"]
    if blocked:
        notes.append("what follows the first operator that is not taken runs on the processor")
    if (size := model.graph.parameter_bytes) > CACHE_BYTES:
        notes.append(f"weights of {size / 1e6:.1f} MB do not fit the {CACHE_BYTES / 1e6:.1f} MB that the chip holds")
    return "; ".join(notes)

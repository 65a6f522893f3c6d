"""LiteRT's WebGPU accelerator, as LiteRT 2.3 has it: what it runs, and where it is known to compute something else.

It is asked for the whole model: one operator that it lacks, and nothing runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Check, Rules, kinds
from targets.forecast.view import HYBRID, Node

_SHORTCUTS = "convert with the recipe float16, or with --set export.shortcuts=3x3"


def _itself(node: Node) -> str | None:
    inputs = node.operator.inputs
    if node.kind == "BATCH_MATMUL" and len(inputs) > 1 and inputs[0] == inputs[1]:
        return "the GPU's delegate ends the process at a BATCH_MATMUL of a tensor by itself"
    return None


_FLOATS = kinds(
    "ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DIV EXP FLOOR "
    "FULLY_CONNECTED GATHER GELU GREATER HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM "
    "MIRROR_PAD MUL NEG PAD POW REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 "
    "RSQRT SELECT SIN SOFTMAX SPACE_TO_DEPTH SPLIT SQRT SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE "
    "TRANSPOSE_CONV"
)
_MENDED = _FLOATS | kinds("DENSIFY DEQUANTIZE QUANTIZE")
"""What float16 mends: it stores all weights, and needs no changes of type that the GPU lacks."""

TAKEN = Rules(
    "the GPU",
    {
        "float32": _FLOATS,
        HYBRID: kinds("CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV"),
        "float16": kinds("DEQUANTIZE"),
        "int8": kinds(
            "ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV FULLY_CONNECTED "
            "GATHER GELU HARD_SWISH LOGISTIC MAXIMUM MAX_POOL_2D MEAN MIRROR_PAD MUL PAD QUANTIZE RELU RESHAPE "
            "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SELECT SOFTMAX SPACE_TO_DEPTH SPLIT SQRT "
            "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
        ),
    },
    (_itself,),
)


def _shortcut(node: Node) -> str | None:
    """The projection of a residual block: a 1x1 convolution with a stride, of integers."""
    if node.kind != "CONV_2D" or node.weights is None or node.form not in ("int8", HYBRID):
        return None
    strided = max(node.number("stride_width"), node.number("stride_height")) > 1
    if strided and node.weights.shape[1:3] == (1, 1):
        return "the GPU's 1x1 convolution with a stride computes something else from integer weights"
    return None


def _row(node: Node) -> str | None:
    """How a layer normalization subtracts its mean: a row of numbers that were computed, from a map."""
    rows = [each for each in node.inputs if each is not None and len(each.shape) == 1 and not each.constant]
    if node.kind == "SQUARED_DIFFERENCE" and node.form == "int8" and rows:
        return "the GPU's SQUARED_DIFFERENCE with a tensor of one dimension computes something else in int8"
    return None


def _ranks(node: Node) -> str | None:
    if node.kind == "BATCH_MATMUL" and len({len(each.shape) for each in node.inputs if each is not None}) > 1:
        return "the GPU's BATCH_MATMUL of tensors of different ranks computes something else"
    return None


def shortcuts(model: Model) -> tuple[Blocked, ...]:
    """The convolutions that it computes wrongly."""
    return _wrong(model, (_shortcut,))


def on_gpu(model: Model, name: str) -> Forecast:
    """Refused for any operator; wrong where it has one that it is known to compute so."""
    if stopped := TAKEN.blocked(model.nodes):
        return judged(model, name, tuple(replace(each, fix=_way_out(each)) for each in stopped), stops=True)
    wrong = _wrong(model, (_shortcut, _row, _ranks))
    found = judged(model, name, wrong, stops=False)
    return replace(found, verdict="wrong") if wrong else found


def _wrong(model: Model, checks: Sequence[Check]) -> tuple[Blocked, ...]:
    found = Rules("the GPU", None, checks).blocked(model.nodes)
    return tuple(replace(each, fix=_SHORTCUTS if each.kind == "CONV_2D" else _way_out(each)) for each in found)


def _way_out(blocked: Blocked) -> str:
    if blocked.kind in _MENDED and blocked.kind != "BATCH_MATMUL":
        return "convert with the recipe float16"
    return f"build the network without the layer '{blocked.layer}', or choose another target"

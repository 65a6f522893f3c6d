"""LiteRT on this machine's processor: what XNNPACK takes, and the built-in kernels that run the rest.

As LiteRT 2.3 does it. Its int8 kernels want scales whose ratio they can write as a multiplier of 8 to 31 bits.
"""

from __future__ import annotations

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Rules, kinds
from targets.forecast.view import HYBRID, Node
from targets.schema import OPERATORS

_SUMS = (2.0**-10, 2.0**8)
_PRODUCTS = (2.0**-16, 2.0**8)
"""From where to below where the ratio of an input's scale, or of the product of both, to the output's may lie."""


def _scales(node: Node) -> str | None:
    if node.form != "int8" or node.kind not in ("ADD", "SUB", "MUL"):
        return None
    given = [tensor.scales[0] for tensor in node.inputs if tensor is not None and tensor.scales]
    made = [tensor.scales[0] for tensor in node.outputs if tensor.scales and tensor.scales[0]]
    if len(given) != 2 or len(made) != 1:
        return f"XNNPACK has no {node.kind} without scales"
    ratios = [given[0] * given[1] / made[0]] if node.kind == "MUL" else [scale / made[0] for scale in given]
    low, high = _PRODUCTS if node.kind == "MUL" else _SUMS
    if all(low <= ratio < high for ratio in ratios):
        return None
    return f"XNNPACK has no {node.kind} with scales as far apart as {min(ratios):.2g} of the output's"


def _weights(node: Node) -> str | None:
    if node.kind == "CONV_2D" and node.weights is not None and node.weights.dtype == "int4":
        return "XNNPACK has no CONV_2D with int4 weights"
    return None


def _windows(node: Node) -> str | None:
    if node.kind == "MAX_POOL_2D" and node.number("filter_width") == node.number("filter_height") == 1:
        return "XNNPACK has no MAX_POOL_2D with a window of 1x1"
    return None


XNNPACK = Rules(
    "XNNPACK",
    {
        "float32": kinds(
            "ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DIV ELU "
            "EXP FLOOR FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM "
            "MUL NEG PAD REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR ROUND RSQRT SIN SOFTMAX SPACE_TO_DEPTH "
            "SPLIT SQRT SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
        ),
        HYBRID: kinds("CONV_2D FULLY_CONNECTED TRANSPOSE_CONV"),
        "float16": kinds("DEQUANTIZE"),
        "int8": kinds(
            "ADD CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE FULLY_CONNECTED LOGISTIC MAX_POOL_2D MEAN MUL "
            "PAD QUANTIZE RESHAPE RESIZE_BILINEAR SPACE_TO_DEPTH SPLIT STRIDED_SLICE SUB SUM TANH TRANSPOSE "
            "TRANSPOSE_CONV"
        ),
    },
    (_scales, _weights, _windows),
)


def on_cpu(model: Model, name: str) -> Forecast:
    """XNNPACK, and the built-in kernels for what it leaves; an operator of someone's own is nobody's."""
    unknown = _unknown(model)
    if unknown:
        return judged(model, name, unknown, stops=True)
    blocked = XNNPACK.blocked(model.nodes)
    note = "what XNNPACK leaves runs on the built-in kernels, which are slower" if blocked else ""
    found = judged(model, name, blocked, stops=False, note=note)
    if found.verdict == "refused":  # all of it runs, on the built-in kernels
        return Forecast(name, "in part", found.operators, 0, blocked, note)
    return found


def on_kernels(model: Model, name: str) -> Forecast:
    """The runtime's own kernels: all operators of TFLite's."""
    return judged(model, name, _unknown(model), stops=True)


def _unknown(model: Model) -> tuple[Blocked, ...]:
    """Operators of someone's own, which the interpreter has no kernel for."""
    fix = "run it on the target that it was compiled for, or convert the network without it"
    return tuple(
        Blocked(node.layer, node.kind, node.form, f"{node.kind} is no operator of TFLite's", fix)
        for node in model.nodes
        if node.kind not in OPERATORS
    )

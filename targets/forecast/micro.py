"""TFLite Micro, as the package tflite-micro has it: one operator that it lacks, and nothing of the model runs."""

from __future__ import annotations

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Rules, kinds
from targets.forecast.view import Node


def _weights(node: Node) -> str | None:
    if node.kind == "FULLY_CONNECTED" and node.weights is not None and node.weights.dtype == "int4":
        return "TFLite Micro has no FULLY_CONNECTED with int4 weights of a scale a channel"
    return None


MICRO = Rules(
    "TFLite Micro",
    {
        "float32": kinds(
            "ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE "
            "DIV ELU EXP FLOOR FULLY_CONNECTED GATHER HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOG LOGISTIC MAXIMUM "
            "MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG PAD REDUCE_MAX RELU RELU6 RESHAPE RESIZE_BILINEAR "
            "RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SIN SOFTMAX SPACE_TO_DEPTH SPLIT SQRT "
            "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
        ),
        "int8": kinds(
            "ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV "
            "FULLY_CONNECTED GATHER HARD_SWISH LOGISTIC MAXIMUM MAX_POOL_2D MEAN MIRROR_PAD MUL PAD QUANTIZE RELU "
            "RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SOFTMAX SPACE_TO_DEPTH SPLIT "
            "SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
        ),
        "int16": kinds(
            "ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE FULLY_CONNECTED "
            "LOGISTIC MAXIMUM MAX_POOL_2D MEAN MUL PAD QUANTIZE RELU RESHAPE RESIZE_NEAREST_NEIGHBOR RSQRT "
            "SOFTMAX SPLIT STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
        ),
    },
    (_weights,),
)


def weights_behind(model: Model) -> tuple[Blocked, ...]:
    """What it has against weights that lie behind the flatbuffer: it does not look there, and says nothing."""
    if not (size := model.graph.behind_bytes):
        return ()
    reason = f"TFLite Micro does not read the {size:,} bytes of weights that lie behind the flatbuffer"
    return (Blocked("the model", "BUFFER", "", reason, "convert the model again: edgeres convert writes them inside"),)


def on_micro(model: Model, name: str) -> Forecast:
    """All operators, or none."""
    if blocked := weights_behind(model):
        return judged(model, name, blocked, stops=True)
    return judged(model, name, MICRO.blocked(model.nodes), stops=True)

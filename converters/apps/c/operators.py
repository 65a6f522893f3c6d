"""The operators of TensorFlow Lite Micro: which there are, and what adds each to a resolver."""

from __future__ import annotations

from edgeres.errors import ModelError
from targets.graph import Graph

_NAMES = """
ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CAST CEIL
CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR
FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION L2_POOL_2D
LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN
MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND
SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE
TRANSPOSE_CONV UNPACK ZEROS_LIKE
"""
OPERATORS = frozenset(_NAMES.split())
"""Built-in operators of a classifier's graph that TensorFlow Lite Micro has, by `micro_mutable_op_resolver.h`."""

_IRREGULAR = {"BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2"}


def adders(graph: Graph) -> tuple[str, ...]:
    """The methods of `MicroMutableOpResolver` for the operators of a graph, each once, by name: AddConv2D.

    Raises:
        ModelError: an operator that TensorFlow Lite Micro lacks.
    """
    if missing := sorted(set(graph.kinds) - OPERATORS):
        raise ModelError(
            f"TensorFlow Lite Micro lacks {', '.join(missing)}",
            fix="replace the layers that become these operators, or choose another platform",
        )
    return tuple(sorted(f"Add{_camel(kind)}" for kind in graph.kinds))


def _camel(kind: str) -> str:
    words = (word if word[0].isdigit() else word.capitalize() for word in kind.split("_"))
    return _IRREGULAR.get(kind) or "".join(words)

"""The numbers and names of the TFLite flatbuffer schema (version 3), as public in TensorFlow's `schema.fbs`.

Written out here because a device with only tflite-runtime has no generated schema module. Codes that a later schema
adds are named by their number.
"""

from __future__ import annotations

IDENTIFIER = b"TFL3"
VERSION = 3

_TENSOR_TYPES = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant "
    "uint32 uint16 int4 bfloat16 int2 uint4 float8_e4m3fn float8_e5m2"
)
TENSOR_TYPES = tuple(_TENSOR_TYPES.split())
"""Tensor type code -> name; numpy's name where numpy has the type."""

BITS = {
    **dict.fromkeys(("int2",), 2),
    **dict.fromkeys(("int4", "uint4"), 4),
    **dict.fromkeys(("int8", "uint8", "bool", "float8_e4m3fn", "float8_e5m2"), 8),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16"), 16),
    **dict.fromkeys(("int32", "uint32", "float32"), 32),
    **dict.fromkeys(("int64", "uint64", "float64", "complex64"), 64),
    "complex128": 128,
}
"""Bits of one element; strings, resources and variants have no fixed size. Elements under 8 bits are packed."""

ZERO_POINT_RANGE = {
    "int2": (-2, 1),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "uint16": (0, 65535),
}
"""What a zero point of a quantized type can be."""

_OPERATORS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND
SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D
CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE
VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE
STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
OPERATORS = tuple(_OPERATORS.split())
"""Builtin operator code -> name."""

CUSTOM = "CUSTOM"

CALLS = {
    "CALL": (1, 16, (0,)),
    "IF": (1, 92, (0, 1)),
    "WHILE": (1, 93, (0, 1)),
    "CALL_ONCE": (1, 103, (0,)),
    "STABLEHLO_REDUCE": (2, 6, (1,)),
    "STABLEHLO_SCATTER": (2, 7, (6,)),
    "STABLEHLO_REDUCE_WINDOW": (2, 13, (5,)),
    "STABLEHLO_SORT": (2, 14, (2,)),
    "STABLEHLO_WHILE": (2, 15, (0, 1)),
    "STABLEHLO_COMPOSITE": (2, 21, (1,)),
}
"""Operators that run other subgraphs: which options union (1 or 2), its type, the slots of the subgraph indices."""

CASE = ("STABLEHLO_CASE", 2, 23)
"""The one whose subgraph indices are a vector (slot 0): name, options union, its type."""

ACTIVATIONS = ("", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
"""Code of a fused activation -> name; empty for none."""

_POOL = (5, {"stride_width": (1, 0), "stride_height": (2, 0), "filter_width": (3, 0), "filter_height": (4, 0)})
OPTIONS: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {
    "CONV_2D": (
        1,
        {"stride_width": (1, 0), "stride_height": (2, 0), "dilation_width": (4, 1), "dilation_height": (5, 1)},
    ),
    "DEPTHWISE_CONV_2D": (
        2,
        {
            "stride_width": (1, 0),
            "stride_height": (2, 0),
            "multiplier": (3, 0),
            "dilation_width": (5, 1),
            "dilation_height": (6, 1),
        },
    ),
    "TRANSPOSE_CONV": (49, {"stride_width": (1, 0), "stride_height": (2, 0)}),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "L2_POOL_2D": _POOL,
}
"""Operators whose numbers decide where they can run: the type of their options (union 1), and of each 32-bit number by
name its slot and its default."""

FUSED = {
    "CONV_2D": (1, 3),
    "DEPTHWISE_CONV_2D": (2, 4),
    "AVERAGE_POOL_2D": (5, 5),
    "L2_POOL_2D": (5, 5),
    "MAX_POOL_2D": (5, 5),
    "FULLY_CONNECTED": (8, 0),
    "CONCATENATION": (10, 1),
    "ADD": (11, 0),
    "MUL": (21, 0),
    "SUB": (28, 0),
    "DIV": (29, 0),
    "TRANSPOSE_CONV": (49, 3),
}
"""Operators of classifiers that can carry an activation: the type of their options (union 1), the slot of its code."""

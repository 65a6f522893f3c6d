"""Intel's plugin for NPUs (`npu:openvino`): what it leaves goes to no processor, so that an operator stops the model.

As the plugin of LiteRT 2.3 with OpenVINO 2026.3 does it, which looks at an operator's kind alone. The plugins of other
vendors are closed: what they take is not known.
"""

from __future__ import annotations

from edgeres.errors import TargetError, suggestion
from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Rules, kinds
from targets.forecast.view import HYBRID, Node
from targets.runtimes.npu_vendors import VENDORS

KINDS = ("npu:openvino", "npu:openvino:aot")

_TAKEN = kinds(
    "ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV "
    "EXP FULLY_CONNECTED GATHER GELU GREATER HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D "
    "MEAN MINIMUM MIRROR_PAD MUL PAD POW QUANTIZE REDUCE_MAX RELU RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR "
    "REVERSE_V2 RSQRT SELECT SIN SOFTMAX SPLIT SQRT SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE "
    "TRANSPOSE_CONV"
)


def _int4(node: Node) -> str | None:
    if node.weights is not None and node.weights.dtype == "int4":
        return f"OpenVINO has no {node.kind} with int4 weights"
    return None


OPENVINO = Rules("Intel's plugin", dict.fromkeys(("float32", HYBRID, "float16", "int8"), _TAKEN), (_int4,))


def on_npu(model: Model, name: str) -> Forecast:
    """Refused for any operator."""
    if name not in KINDS:
        _, vendor, chip = [*name.split(":"), "", ""][:3]
        if vendor in VENDORS and chip in VENDORS[vendor].chips:
            problem = f"what '{name}' takes is not known: its plugin was never run here"
            raise TargetError(problem, fix=f"compile the model for it: edgeres profile MODEL --target {name}")
        raise TargetError(f"there is no target '{name}' to forecast", fix=suggestion(name, KINDS))
    return judged(model, name, OPENVINO.blocked(model.nodes), stops=True)

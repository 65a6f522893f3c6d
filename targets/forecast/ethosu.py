"""Arm's Ethos-U through Vela 5.2: what the NPU takes; the rest stays on the microcontroller's processor."""

from __future__ import annotations

from targets.forecast.outlook import Forecast, Model, judged
from targets.forecast.rules import Blocked, Rules, kinds
from targets.forecast.view import Node
from targets.runtimes.ethosu import ETHOSU

_MAP = 4
"""Dimensions of an image's activations, and of a convolution's weights."""

_STRIDE, _WINDOW, _HEIGHT = 3, 8, 256
_KERNEL_HEIGHT, _KERNEL = 64, 64 * 64
_DIMENSION = 65535
_DEFAULT = "u55-256"

_SHARED = (
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED LOGISTIC MAXIMUM MAX_POOL_2D "
    "MEAN MIRROR_PAD MUL PAD QUANTIZE RELU RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SOFTMAX SPLIT "
    "STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV"
)


def _strides(node: Node) -> str | None:
    if not _strided(node) or not _padded(node):
        return None
    stride = f"{node.number('stride_width')}x{node.number('stride_height')}"
    return f"Vela has no padded {node.kind} with a stride of {stride}, only up to {_STRIDE}"


def _strided(node: Node) -> bool:
    """Whether its stride is larger than what the NPU itself has."""
    return max(node.number("stride_width"), node.number("stride_height")) > _STRIDE


def _padded(node: Node) -> bool:
    """Whether its windows reach over the edge: then there are more of them than fit."""
    given, made = (tensors[0] if tensors else None for tensors in (node.inputs, node.outputs))
    if given is None or made is None or len(given.shape) != _MAP or len(made.shape) != _MAP:
        return False
    for axis, side in ((1, "height"), (2, "width")):
        size = node.number(f"filter_{side}")
        if node.weights is not None and len(node.weights.shape) == _MAP:
            size = node.number(f"dilation_{side}") * (node.weights.shape[axis] - 1) + 1
        if made.shape[axis] > (given.shape[axis] - size) // max(1, node.number(f"stride_{side}")) + 1:
            return True
    return False


def _kernels(node: Node) -> str | None:
    if node.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D") or node.weights is None:
        return None
    if len(node.weights.shape) != _MAP:
        return None
    height, width = (
        node.number(f"dilation_{side}") * (size - 1) + 1
        for side, size in zip(("height", "width"), node.weights.shape[1:3], strict=True)
    )
    if height > _KERNEL_HEIGHT or height * width > _KERNEL:
        return f"Vela has no {node.kind} with a dilated kernel of {width}x{height}"
    return None


def _windows(node: Node) -> str | None:
    width, height = node.number("filter_width"), node.number("filter_height")
    if node.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D") and (height > _HEIGHT or height * width > _HEIGHT**2):
        return f"Vela has no {node.kind} with a window of {width}x{height}"
    if node.kind == "AVERAGE_POOL_2D" and _padded(node) and max(width, height) > _WINDOW:
        return f"Vela has no padded AVERAGE_POOL_2D with a window of {width}x{height}, only up to {_WINDOW}"
    return None


def _floats(node: Node) -> str | None:
    """Scales may change from integer to integer; from floats the processor makes integers."""
    if node.kind == "QUANTIZE" and node.inputs and node.inputs[0] is not None and node.inputs[0].dtype == "float32":
        return "Vela has no QUANTIZE of floats"
    return None


def _sizes(node: Node) -> str | None:
    wide = [tensor for tensor in (*node.inputs, *node.outputs) if tensor and max(tensor.shape, default=1) > _DIMENSION]
    if wide:
        return f"Vela has no tensors with a dimension of {max(wide[0].shape):,}"
    return None


_INT8 = "BATCH_MATMUL GELU HARD_SWISH SQUARED_DIFFERENCE"
_CHECKS = (_kernels, _windows, _sizes, _floats)

VELA = Rules("Vela", {"int8": kinds(f"{_SHARED} {_INT8}"), "int16": kinds(_SHARED)}, (_strides, *_CHECKS))

VELA_U85 = Rules(
    "Vela",
    {"int8": kinds(f"{_SHARED} {_INT8} DIV SELECT"), "int16": kinds(f"{_SHARED} BATCH_MATMUL DIV SELECT")},
    _CHECKS,
)
"""The U85 takes any stride, and more operators."""


def on_ethosu(model: Model, name: str) -> Forecast:
    """The NPU's share; `ethosu` alone is asked as its most common configuration."""
    newer = ETHOSU.member(name.partition(":")[2] or _DEFAULT).configuration.startswith("u85")
    pads = {index for node in model.nodes if node.kind == "PAD" for index in node.operator.outputs}
    for node in model.nodes:
        if (fatal := _fatal(node) or (None if newer else _fused(node, pads))) is not None:
            fix = "convert with the recipe int8" if fatal == _fatal(node) else "give the layer a stride of up to 3"
            first = Blocked(node.layer, node.kind, node.form, fatal, fix)
            return judged(model, name, (first,), stops=True)
    blocked = (VELA_U85 if newer else VELA).blocked(model.nodes)
    note = "what the NPU leaves runs on the controller's processor" if blocked else ""
    return judged(model, name, blocked, stops=False, note=note)


def _fused(node: Node, pads: set[int]) -> str | None:
    """A padding before a convolution becomes the convolution's, after it was found that the NPU takes it."""
    if node.kind == "CONV_2D" and node.form in ("int8", "int16") and _strided(node) and pads & {*node.operator.inputs}:
        return f"Vela fails on a CONV_2D with a stride above {_STRIDE} behind a PAD"
    return None


def _fatal(node: Node) -> str | None:
    """What ends the compiler, or makes it refuse the whole model."""
    if node.weights is not None and node.weights.dtype == "int4":
        return "Vela ends with a division by zero on int4 weights"
    if node.kind == "HARD_SWISH" and node.form != "int8":
        return f"Vela refuses a model that has HARD_SWISH with {node.form} activations"
    return None

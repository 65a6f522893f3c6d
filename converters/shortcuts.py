"""Strided 1x1 convolutions as 3x3 ones: the same weights at the place that the stride looks at, zeros around them.

The projection shortcut of a residual network is one. The WebGPU delegate computes it wrong where its weights are int8
(docs/targets.md); a 3x3 kernel with the same weights it computes right. The sums are the same, for what is added is
zero; the convolution has nine times the multiply-accumulates.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from edgeres.errors import ModelError
from targets.flatbuffer import walk
from targets.graph import Subgraph
from targets.layer_names import layer_names
from targets.pointwise import strided_1x1
from targets.runtimes.cpu import CPU

SIDE = 3

PARITY = 1e-5
"""Largest difference of an output between the models, relative to the largest: float sums in another order."""

_IMAGES = 2
_SAME = flatbuffer_utils.schema_fb.Padding.SAME

_log = logging.getLogger(__name__)


def widened(model: bytes) -> bytes:
    """A flatbuffer, float32 or int8, whose strided 1x1 convolutions have 3x3 kernels; the same bytes where it has none.

    Weights that several operators share stay as they are.

    Raises:
        ModelError: the new model computes otherwise.
    """
    graph = walk(model).main
    places = strided_1x1(graph)
    if not places:
        return model
    copied = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    readers = Counter(index for operator in graph.operators for index in operator.inputs)
    for place in places:
        index = graph.operators[place].inputs[1]
        shared = [other for other, tensor in enumerate(graph.tensors) if tensor.buffer == graph.tensors[index].buffer]
        if readers[index] > 1 or len(shared) > 1 or not graph.tensors[index].constant:
            _log.warning("%s: its 1x1 kernel is shared and stays as it is", layer_names(graph)[place])
            continue
        _widen(copied, place, graph)
    found = bytes(flatbuffer_utils.convert_object_to_bytearray(copied))
    _prove_same(model, found)
    return found


def _widen(copied: Any, place: int, graph: Subgraph) -> None:
    operator, own = copied.subgraphs[0].operators[place], graph.operators[place]
    options = operator.builtinOptions
    image, result = (graph.tensors[index].shape for index in (own.inputs[0], own.outputs[0]))
    tap = tuple(
        padding_before(size, stride, count)
        for size, stride, count in zip(image[1:3], (options.strideH, options.strideW), result[1:3], strict=True)
    )
    tensor = copied.subgraphs[0].tensors[own.inputs[1]]
    buffer = copied.buffers[tensor.buffer]
    outputs, _, _, inputs = map(int, tensor.shape)
    item = len(buffer.data) // (outputs * inputs)
    buffer.data = around(np.frombuffer(bytes(buffer.data), np.uint8).reshape(outputs, inputs * item), tap).reshape(-1)
    tensor.shape = np.array([outputs, SIDE, SIDE, inputs], np.int32)
    if tensor.shapeSignature is not None:
        tensor.shapeSignature = tensor.shape
    options.padding, options.dilationHFactor, options.dilationWFactor = _SAME, 1, 1


def padding_before(size: int, stride: int, count: int) -> int:
    """Rows that padding SAME puts before an input of `size` for a kernel of 3 with `count` outputs: 0 or 1.

    There the 1x1 kernel goes: a window begins so many rows before the position that the stride looks at.
    """
    return max(0, (count - 1) * stride + SIDE - size) // 2


def around(weights: NDArray[np.uint8], tap: tuple[int, ...]) -> NDArray[np.uint8]:
    """Weights (outputs, bytes) at one place of zeros: (outputs, 3, 3, bytes). Zero is zero bytes in every type here."""
    found = np.zeros((len(weights), SIDE, SIDE, weights.shape[1]), np.uint8)
    found[:, tap[0], tap[1]] = weights
    return found


def _prove_same(before: bytes, after: bytes) -> None:
    """Check that two models compute the same on random pixels."""
    with CPU.open(before) as one, CPU.open(after) as other:
        shape = (_IMAGES, *one.signature.input_shape[1:])
        inputs = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
        expected, found = one.infer(inputs), other.infer(inputs)
    difference, limit = float(np.abs(found - expected).max()), PARITY * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:
        raise ModelError(
            f"with 3x3 shortcuts the model's outputs differ by {difference:.2g}, more than {limit:.2g}",
            fix="leave out the setting shortcuts, and convert to float16 for a GPU",
        )

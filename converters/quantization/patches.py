"""The patches of an activation that a convolution looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

_SAME = flatbuffer_utils.schema_fb.Padding.SAME
_POSITIONS = 256
"""Of one image at most: neighbours are alike, and many images tell more than all positions of few."""


@dataclass(frozen=True)
class Window:
    """A convolution's kernel (height, width), strides, dilations, and whether it pads to keep the size."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    same: bool


def window(operator: Any, weights: tuple[int, ...]) -> Window:
    """Of a CONV_2D as `flatbuffer_utils` reads it, with weights (outputs, height, width, inputs)."""
    options = operator.builtinOptions
    return Window(
        (weights[1], weights[2]),
        (options.strideH, options.strideW),
        (options.dilationHFactor, options.dilationWFactor),
        options.padding == _SAME,
    )


def patches(activation: NDArray[np.float32], looks: Window) -> NDArray[np.float32]:
    """Patches of an activation (1, height, width, channels): (positions, kernel height · width · channels).

    In the order of the weights; evenly spread positions where there are many.
    """
    image = activation[0]
    pads = [_padding(size, looks, axis) for axis, size in enumerate(image.shape[:2])]
    image = np.pad(image, [*pads, (0, 0)])
    spans = tuple((kernel - 1) * dilation + 1 for kernel, dilation in zip(looks.kernel, looks.dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(image, spans, axis=(0, 1))
    views = views[:: looks.strides[0], :: looks.strides[1], :, :: looks.dilations[0], :: looks.dilations[1]]
    rows, columns = views.shape[:2]
    step = -(-rows * columns // _POSITIONS)
    row, column = np.divmod(np.arange(0, rows * columns, step), columns)
    found: NDArray[np.float32] = views[row, column].transpose(0, 2, 3, 1).reshape(len(row), -1)
    return found


def _padding(size: int, looks: Window, axis: int) -> tuple[int, int]:
    """Before and after, as TensorFlow's "same" has it: the odd one after."""
    if not looks.same:
        return 0, 0
    span = (looks.kernel[axis] - 1) * looks.dilations[axis] + 1
    total = max(0, (-(-size // looks.strides[axis]) - 1) * looks.strides[axis] + span - size)
    return total // 2, total - total // 2

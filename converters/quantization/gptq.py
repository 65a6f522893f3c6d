"""Rounds weights one after the other, each making up for the errors of those before it (GPTQ).

After Frantar et al., 2022, arXiv:2210.17323, algorithm 1, for convolutions as well: a convolution is a dense layer of
the patches that it looks at. The weights that come out are still float32, but lie on the grid of the integers, and the
largest of each channel is the grid's end, so that the LiteRT Quantizer's whole range of a channel is that grid.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from converters.quantization.observer import Observer
from converters.quantization.patches import Window, patches, window
from converters.quantization.rules import own_precision
from converters.steps import Precision, QuantizeStep
from targets.flatbuffer import walk
from targets.layer_names import WEIGHTED, layer_names

MOST_INPUTS = 8192
"""Weights of one output channel at most; more would take a matrix of gigabytes."""

_ROUNDED = ("CONV_2D", "FULLY_CONNECTED")
_DAMPING = 0.01
_BLOCK = 128
_SHRUNK = np.linspace(1, 0.5, 26)

_log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class _Weights:
    """The weights of an operator: where they lie, and what their inputs are."""

    layer: str
    precision: Precision
    buffer: int
    shape: tuple[int, ...]
    source: str
    window: Window | None

    @property
    def inputs(self) -> int:
        return int(np.prod(self.shape[1:]))


def rounded(model: bytes, settings: QuantizeStep, images: Iterable[NDArray[np.float32]]) -> bytes:
    """A float32 flatbuffer with its weights on the grid of the integers that `settings` make of them.

    `images`: float32 (1, height, width, channels) each. Depthwise convolutions are left to be rounded to the nearest:
    a channel of theirs has a handful of weights, which cannot make up for one another.
    """
    copied = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    wanted = list(_wanted(model, copied, settings))
    grams = _grams(model, wanted, images)
    for number, weights in enumerate(wanted):
        buffer = copied.buffers[weights.buffer]
        values = np.frombuffer(bytes(buffer.data), np.float32).reshape(weights.shape[0], -1)
        levels = 7 if weights.precision == "int4" else 127
        buffer.data = np.frombuffer(on_grid(values, grams[number], levels).tobytes(), np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(copied))


def _wanted(model: bytes, copied: Any, settings: QuantizeStep) -> Iterator[_Weights]:
    graph = walk(model).main
    seen: set[int] = set()
    for place, (operator, layer) in enumerate(zip(graph.operators, layer_names(graph), strict=True)):
        precision = own_precision(settings, layer) or settings.mode
        if operator.kind not in _ROUNDED or precision == "float32":
            continue
        index = operator.inputs[WEIGHTED[operator.kind]]
        tensor, buffer = graph.tensors[index], copied.subgraphs[0].tensors[index].buffer
        if not tensor.constant or buffer in seen:  # what two operators share is rounded for the first
            continue
        seen.add(buffer)
        kernel = window(copied.subgraphs[0].operators[place], tensor.shape) if operator.kind == "CONV_2D" else None
        source = graph.tensors[operator.inputs[0]].name
        found = _Weights(layer, precision, buffer, tensor.shape, source, kernel)  # type: ignore[arg-type]  # int modes
        if found.inputs > MOST_INPUTS:
            _log.warning("%s has %d weights a channel, too many for gptq: rounded to the nearest", layer, found.inputs)
        else:
            yield found


def _grams(model: bytes, wanted: list[_Weights], images: Iterable[NDArray[np.float32]]) -> Mapping[int, Matrix]:
    """For each of the weights the sum over images and positions of xᵀx, x a patch: float64 (inputs, inputs)."""
    observer = Observer(model, threads=os.cpu_count() or 1)
    grams = {number: np.zeros((each.inputs, each.inputs)) for number, each in enumerate(wanted)}
    readers: dict[str, list[int]] = {}
    for number, each in enumerate(wanted):
        readers.setdefault(each.source, []).append(number)

    def see(place: int, values: NDArray[np.float32]) -> None:
        for number in readers.get(observer.names[place], ()):
            kernel = wanted[number].window
            rows = patches(values, kernel) if kernel else values.reshape(-1, wanted[number].inputs)
            grams[number] += rows.T @ rows

    for image in images:
        observer.run(image, see)
    return grams


def on_grid(weights: NDArray[np.float32], gram: Matrix, levels: int) -> NDArray[np.float32]:
    """Round float32 weights (channels, inputs) to multiples −levels … levels of a step of each channel.

    `gram`: float64 (inputs, inputs), the sum of xᵀx over inputs x.
    """
    left = weights.astype(np.float64)
    steps = _steps(left, np.diag(gram), levels)
    ends = np.abs(left).argmax(axis=1)
    signs = np.sign(left[np.arange(len(left)), ends])
    factor = _inverse_factor(gram)
    found = np.empty_like(left)
    for start in range(0, left.shape[1], _BLOCK):
        stop = min(start + _BLOCK, left.shape[1])
        errors = np.empty((len(left), stop - start))
        for column in range(start, stop):
            levels_of = np.clip(np.round(left[:, column] / steps), -levels, levels)
            levels_of = np.where(ends == column, signs * levels, levels_of)
            found[:, column] = levels_of * steps
            error = (left[:, column] - found[:, column]) / factor[column, column]
            left[:, column + 1 : stop] -= np.outer(error, factor[column, column + 1 : stop])
            errors[:, column - start] = error
        left[:, stop:] -= errors @ factor[start:stop, stop:]
    return found.astype(np.float32)


def _steps(weights: Matrix, importance: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """For each channel the step with the least squared error of rounding to the nearest, each input weighed."""
    whole = np.maximum(np.abs(weights).max(axis=1), 1e-12) / levels
    steps = whole[None, :] * _SHRUNK[:, None]
    errors = [
        ((weights - np.clip(np.round(weights / step[:, None]), -levels, levels) * step[:, None]) ** 2) @ importance
        for step in steps
    ]
    best: NDArray[np.float64] = steps[np.argmin(errors, axis=0), np.arange(len(weights))]
    return best


def _inverse_factor(gram: Matrix) -> Matrix:
    """The upper Cholesky factor of the inverse of the damped Gram matrix."""
    damped = gram + np.eye(len(gram)) * max(_DAMPING * float(np.diag(gram).mean()), 1e-9)
    inverse = np.linalg.inv(damped)
    return np.asarray(np.linalg.cholesky((inverse + inverse.T) / 2).T, np.float64)

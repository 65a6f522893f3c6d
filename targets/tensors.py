"""Tensor records of a flatbuffer, each checked against the buffer that holds its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from targets.graph import Tensor
from targets.schema import BITS, TENSOR_TYPES, ZERO_POINT_RANGE
from targets.wire import Table, malformed

Span = tuple[int, int]
"""Where bytes lie in the file: start, length."""

MAX_RANK = 16
MAX_TENSOR_BYTES = 1 << 31
"""Larger tensors are refused: kernels count bytes in 32 bits, and no edge device has the memory."""

_BLOCKWISE = 2


@dataclass(frozen=True)
class Scaling:
    """Quantization of a tensor; see `targets.graph.Tensor`."""

    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0


def read_tensor(table: Table, buffers: Sequence[Span]) -> Tensor:
    """A tensor, checked.

    Raises:
        ArtifactError: its shape, type, quantization or buffer does not fit.
    """
    shape, signature = _shape(table)
    dtype = _dtype(table)
    buffer = table.number(2, "I")
    if buffer >= len(buffers):
        raise malformed(table.where, f"buffer {buffer} does not exist (there are {len(buffers)})")
    if table.number(10, "I"):
        raise malformed(table.where, "its values lie in another file, which is not supported")
    constant_bytes = buffers[buffer][1]
    quantization = table.table(4, "quantization")
    scaling = _scaling(quantization, shape, dtype, constant=constant_bytes > 0) if quantization else Scaling()
    tensor = Tensor(
        name=table.text(3),
        shape=shape,
        signature=signature,
        dtype=dtype,
        scales=scaling.scales,
        zero_points=scaling.zero_points,
        axis=scaling.axis,
        buffer=buffer,
        constant_bytes=constant_bytes,
        variable=bool(table.number(5, "B")),
    )
    _check_size(table, tensor, sparse=table.table(6, "sparsity") is not None)
    return tensor


def _dtype(table: Table) -> str:
    code = int(table.number(1, "b"))
    if not 0 <= code < len(TENSOR_TYPES):
        raise malformed(table.where, f"the tensor type {code} does not exist")
    return TENSOR_TYPES[code]


def _shape(table: Table) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape, and the signature with -1 for open dimensions; equal where the file gives none."""
    found = table.numbers(0, "i4")
    dims = () if found is None else tuple(found.tolist())
    if len(dims) > MAX_RANK:
        raise malformed(table.where, f"{len(dims)} dimensions, more than the {MAX_RANK} accepted")
    if any(size < 0 for size in dims):
        raise malformed(table.where, f"the shape {dims} has a negative dimension")
    if math.prod(dims) > MAX_TENSOR_BYTES:
        raise malformed(table.where, f"the shape {dims} has more than {MAX_TENSOR_BYTES:,} elements")
    opened = table.numbers(7, "i4")
    if opened is None or not len(opened):
        return dims, dims
    signature = tuple(opened.tolist())
    if len(signature) != len(dims) or any(size < -1 for size in signature):
        raise malformed(table.where, f"the shape signature {signature[:MAX_RANK]} does not fit the shape {dims}")
    return dims, signature


def _check_size(table: Table, tensor: Tensor, *, sparse: bool) -> None:
    if tensor.size_bytes > MAX_TENSOR_BYTES:
        raise malformed(table.where, f"{tensor.size_bytes:,} bytes, more than the {MAX_TENSOR_BYTES:,} accepted")
    if not tensor.constant_bytes or sparse or tensor.dtype not in BITS:
        return
    if tensor.constant_bytes != tensor.size_bytes:
        raise malformed(
            table.where,
            f"a {tensor.dtype} constant of shape {tensor.shape} has {tensor.size_bytes:,} bytes, "
            f"its buffer {tensor.constant_bytes:,}",
        )
    if tensor.variable:
        raise malformed(table.where, "it is both a constant and a variable")


def _scaling(table: Table, shape: tuple[int, ...], dtype: str, *, constant: bool) -> Scaling:
    for slot in (0, 1):  # the ranges seen in calibration: not used, but read by runtimes
        table.numbers(slot, "f4")
    if table.number(4, "B") == _BLOCKWISE and table.table(5, "details") is None:
        raise malformed(table.where, "blockwise quantization without its details")
    scales, axis = table.numbers(2, "f4"), table.number(6, "i")
    if scales is None or not len(scales):
        return Scaling()
    # TensorFlow writes 0 for the bias of a channel whose weights are all 0, as pruning leaves them.
    good = np.isfinite(scales) & (scales >= 0 if constant else scales > 0)
    if not good.all():
        raise malformed(table.where, f"the scale {float(scales[~good][0])} is not a finite positive number")
    if not 0 <= axis < max(1, len(shape)):
        raise malformed(table.where, f"the quantized dimension {axis} is not one of {len(shape)}")
    if len(scales) not in (1, shape[axis] if shape else 1):
        raise malformed(table.where, f"{len(scales)} scales for dimension {axis} of the shape {shape}")
    return Scaling(tuple(scales.tolist()), _zero_points(table, len(scales), dtype), axis)


def _zero_points(table: Table, scales: int, dtype: str) -> tuple[int, ...]:
    """One for each scale; a file may leave them out (0), or give one for all."""
    found = table.numbers(3, "i8")
    points = np.zeros(1, np.int64) if found is None or not len(found) else found
    if len(points) not in (1, scales):
        raise malformed(table.where, f"{len(points)} zero points for {scales} scales")
    low, high = ZERO_POINT_RANGE.get(dtype, (-(1 << 31), (1 << 31) - 1))
    if points.min() < low or points.max() > high:
        raise malformed(table.where, f"a zero point outside {low} … {high}, the range of {dtype}")
    return tuple(np.broadcast_to(points, scales).tolist())

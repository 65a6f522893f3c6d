"""Between real values and what a tensor holds: value = (stored − zero_point) · scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float32", "float16", "int8", "uint8", "int16")
"""Types of a model's input and output that stand for real values."""


def quantize(values: NDArray[np.float32], dtype: str, *, scale: float, zero_point: int) -> NDArray[Any]:
    """Float32 values as the tensor holds them: any shape to the same shape of `dtype`.

    Rounds halves to even, as XNNPACK does, and clips to the type's range. An integer type without a scale (0) holds
    the values themselves.
    """
    if np.dtype(dtype).kind == "f":
        return np.ascontiguousarray(values, dtype)
    bounds = np.iinfo(dtype)
    with np.errstate(over="ignore"):  # what becomes infinite is clipped
        steps = np.rint(values / np.float32(scale or 1)) + np.float32(zero_point)
    return np.ascontiguousarray(steps.clip(bounds.min, bounds.max), dtype)


def dequantize(stored: NDArray[Any], *, scale: float, zero_point: int) -> NDArray[np.float32]:
    """What a tensor's content stands for, as float32 of the same shape."""
    if stored.dtype.kind == "f":
        return stored.astype(np.float32)
    return (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale or 1)

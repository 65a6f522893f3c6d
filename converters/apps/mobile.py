"""What the apps for phones have in common: they read JSON, and hold floats or bytes as the model's ends."""

from __future__ import annotations

from typing import Any

from converters.apps.source import Source
from edgeres.errors import ModelError
from targets.graph import Tensor

_TYPES = ("float32", "int8", "uint8")


def require_bytes_or_floats(source: Source) -> None:
    """Check the types of the model's ends.

    Raises:
        ModelError: one is neither float32 nor of 8 bits, or the batch is open.
    """
    for noun, tensor in (("takes", source.input), ("gives", source.output)):
        if tensor.dtype not in _TYPES:
            raise ModelError(
                f"{source.bundle.path}: the model {noun} {tensor.dtype}, an app for phones needs float32 or 8 bits",
                fix="convert with --set quantize.io=float32",
            )
        if -1 in tensor.signature:
            raise ModelError(
                f"{source.bundle.path}: '{tensor.name}' has an open batch, an app for phones needs 1",
                fix="convert it here",
            )


def described(source: Source) -> dict[str, Any]:
    """`Source.description` with the types of the model's ends: real value = (stored − zero_point) · scale."""
    return {**source.description(), "input": _port(source.input), "output": _port(source.output)}


def _port(tensor: Tensor) -> dict[str, Any]:
    scale, zero_point = (tensor.scales[0], tensor.zero_points[0]) if tensor.scales else (1.0, 0)
    return {"dtype": tensor.dtype, "scale": scale, "zero_point": zero_point}

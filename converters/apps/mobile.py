"""What the apps for phones have in common: they read JSON, and hold floats or bytes as the model's ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from converters.apps.golden_file import packed
from converters.apps.literals import json_bytes, markdown
from converters.apps.source import Source
from converters.apps.templates import filled, taken_whole
from edgeres.bundle import MODEL
from edgeres.errors import ModelError
from targets.graph import Tensor

_TYPES = ("float32", "int8", "uint8")


def phone_app(source: Source, templates: Path, *, data: str, description: str = "app.json") -> dict[str, bytes]:
    """The files of an app: its templates as they are, and in the folder `data` what differs from bundle to bundle.

    Raises:
        ModelError: an end of the model is neither float32 nor of 8 bits, or the batch is open.
    """
    _require_bytes_or_floats(source)
    golden = source.golden
    return {
        **taken_whole(templates),
        "README.md": filled(templates / "README.md", name=markdown(source.name)),
        f"{data}/{description}": json_bytes(_described(source)),
        f"{data}/golden.bin": packed(golden.images, golden.inputs, golden.outputs),
        f"{data}/{MODEL}": source.model,
    }


def _require_bytes_or_floats(source: Source) -> None:
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


def _described(source: Source) -> dict[str, Any]:
    """`Source.description` with the types of the model's ends: real value = (stored − zero_point) · scale."""
    return {**source.description(), "input": _port(source.input), "output": _port(source.output)}


def _port(tensor: Tensor) -> dict[str, Any]:
    scale, zero_point = (tensor.scales[0], tensor.zero_points[0]) if tensor.scales else (1.0, 0)
    return {"dtype": tensor.dtype, "scale": scale, "zero_point": zero_point}

"""Operators that the quantizer has no integers for: it leaves them in float without a word."""

from __future__ import annotations

from converters.quantization.rules import own_precision
from converters.steps import QuantizeStep
from edgeres.errors import ModelError
from targets.graph import Subgraph
from targets.layer_names import layer_names

_LISTED = 5


def require_taken(source: Subgraph, product: Subgraph, settings: QuantizeStep) -> None:
    """Check that a file with integer activations computes in float only where its recipe says so (`layers`).

    `source`: the float graph, whose names recipes use; `product`: what the quantizer made of it.

    Raises:
        ModelError: names the operators and their layers.
    """
    layers = {
        source.tensors[index].name: layer
        for operator, layer in zip(source.operators, layer_names(source), strict=True)
        for index in operator.outputs
    }
    left: dict[str, str] = {}
    for operator in product.operators:
        for tensor in (product.tensors[index] for index in operator.outputs):
            layer = layers.get(tensor.name)
            if layer is not None and tensor.dtype == "float32" and own_precision(settings, layer) != "float32":
                left.setdefault(layer, operator.kind)
    if left:
        named = ", ".join(f"{kind} of {layer}" for layer, kind in list(left.items())[:_LISTED])
        others = {pattern: own for pattern, own in settings.layers.items() if pattern not in left}
        chosen = ", ".join(f"{name}: {own}" for name, own in {**dict.fromkeys(left, "float32"), **others}.items())
        raise ModelError(
            f"{settings.mode} cannot take {named}"
            + (f" and {len(left) - _LISTED} more" if len(left) > _LISTED else ""),
            details=("they would compute in float between two conversions, and integer-only targets refuse the file",),
            fix=f"accept that with --set 'quantize.layers={{{chosen}}}', choose dynamic-int8, or replace the layers",
        )

"""The activations of a float flatbuffer that calibration saw, and the integers that hold them once it is quantized."""

from __future__ import annotations

from dataclasses import dataclass

from converters.quantization.statistics import Statistics
from targets.graph import Subgraph, Tensor
from targets.layer_names import layer_names

_INTEGERS = ("int8", "uint8", "int16")


@dataclass(frozen=True)
class Activation:
    """A tensor, by its column in `Statistics`.

    `layer`: the Keras layer that writes it, or the name of an input. `kind`: of its operator, empty for an input.
    `inputs`: the columns of what that operator reads. `readers`: the layers that read it. `stored`: the tensor of the
    quantized file that holds it; None where it stays float.
    """

    column: int
    layer: str
    kind: str
    inputs: tuple[int, ...]
    readers: tuple[str, ...]
    stored: Tensor | None


def activations(found: Statistics, source: Subgraph, product: Subgraph) -> tuple[Activation, ...]:
    """All that calibration saw, in its order; `source`: the float graph, `product`: what was made of it."""
    layers = layer_names(source)
    writers = {index: place for place, operator in enumerate(source.operators) for index in operator.outputs}
    shown = {
        index: found.place[tensor.name] for index, tensor in enumerate(source.tensors) if tensor.name in found.place
    }
    seen: list[Activation] = []
    for index, column in sorted(shown.items(), key=lambda entry: entry[1]):
        place, name = writers.get(index), source.tensors[index].name
        read = {layers[at]: None for at, operator in enumerate(source.operators) if index in operator.inputs}
        seen.append(
            Activation(
                column,
                name if place is None else layers[place],
                "" if place is None else source.operators[place].kind,
                () if place is None else tuple(shown[i] for i in source.operators[place].inputs if i in shown),
                tuple(read),
                _stored(product, name),
            )
        )
    return tuple(seen)


def _stored(product: Subgraph, name: str) -> Tensor | None:
    """The tensor of that name, or what a QUANTIZE makes of it where only its readers are integer."""
    for index, tensor in enumerate(product.tensors):
        if tensor.name == name:
            if tensor.dtype in _INTEGERS:
                return tensor
            made = (each.outputs[0] for each in product.operators if each.kind == "QUANTIZE" and index in each.inputs)
            return next((product.tensors[output] for output in made), None)
    return None

"""What a network costs: parameters, multiply-accumulates and activation memory, layer by layer.

MACs count the multiplications of convolutions and dense layers only, as papers do; batch norms fold into the
convolution before them and additions are not multiplications.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

_FLOAT_BYTES = 4
# Layers that a flatbuffer computes inside the operator before them, or not at all: they need no tensor of their own.
_FUSED = (layers.BatchNormalization, layers.ReLU, layers.Activation, layers.Dropout)

# "stage1_block0" of "stage1_block0_shortcut_conv", "stem" of "stem_pool_pad", "pool".
_BLOCK = re.compile(r"stage\d+(_(block\d+|transition))?|[^_]+")


@dataclass(frozen=True)
class LayerCost:
    """One layer: output shape without the batch, trainable parameters, MACs for one image."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class BlockCost:
    """The layers of a block together; `layers` of them, `output` that of the last."""

    name: str
    layers: int
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """A network: `parameters` trainable, `macs` for one image, `size_bytes` of its float32 weights.

    `arena_bytes`: peak of the float32 activations alive at once, layer by layer in graph order, batch norms and
    activation functions computed in place. `blocks`: the layers summed by the block that their names begin with.
    """

    name: str
    input: tuple[int, ...]
    parameters: int
    macs: int
    size_bytes: int
    arena_bytes: int
    blocks: tuple[BlockCost, ...]
    layers: tuple[LayerCost, ...]


def measure(model: keras.Model) -> Cost:
    """Count what a model with one input costs.

    A model inside it counts layer by layer, but is a single step of the arena.
    """
    table = tuple(_layer_cost(layer) for layer in _leaves(model))
    return Cost(
        name=model.name,
        input=tuple(model.input_shape[1:]),
        parameters=trainable_parameters(model),
        macs=sum(layer.macs for layer in table),
        size_bytes=_FLOAT_BYTES * (model.count_params() - _folded_statistics(model)),
        arena_bytes=_FLOAT_BYTES * peak_activations(model),
        blocks=_blocks(table),
        layers=table,
    )


def block_of(layer: str) -> str:
    """The block that a layer of the zoo belongs to, by its name."""
    found = _BLOCK.match(layer)
    return found[0] if found else layer


def _blocks(table: tuple[LayerCost, ...]) -> tuple[BlockCost, ...]:
    members: dict[str, list[LayerCost]] = {}
    for layer in table:
        members.setdefault(block_of(layer.name), []).append(layer)
    return tuple(
        BlockCost(name, len(own), own[-1].output, sum(one.parameters for one in own), sum(one.macs for one in own))
        for name, own in members.items()
    )


def trainable_parameters(model: keras.Model) -> int:
    """Trainable weights, as papers count them (batch norm's moving statistics are not among them)."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def macs(layer: Any) -> int:
    """Multiply-accumulates of one layer for one image; 0 for anything but convolutions and dense layers."""
    if isinstance(layer, layers.SeparableConv2D):  # a depthwise convolution, then a 1x1 one
        kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        return int(_positions(layer) * kernels)
    if isinstance(layer, layers.DepthwiseConv2D):
        return int(_positions(layer) * math.prod(layer.kernel_size) * layer.output_shape[-1])
    if isinstance(layer, layers.Conv2D):  # kernel: (height, width, input channels of a group, filters)
        return int(_positions(layer) * math.prod(layer.kernel.shape))
    if isinstance(layer, layers.Dense):
        return int(math.prod(layer.output_shape[1:-1]) * math.prod(layer.kernel.shape))
    return 0


def _positions(layer: Any) -> int:
    return math.prod(layer.output_shape[1:3])


def peak_activations(model: keras.Model, *, smaller: Mapping[str, int] | None = None) -> int:
    """The largest number of activation values alive at once, when layers run in graph order.

    `smaller`: how many values layers would give instead, by name.
    """
    steps = [layer for layer in _with_input(model) if not isinstance(layer, _FUSED)]
    born = {layer.name: step for step, layer in enumerate(steps)}
    dies = {name: len(steps) for name in born}  # what nothing reads is an output
    for step, layer in enumerate(steps):
        for source in _sources(layer):
            dies[source] = step if dies[source] == len(steps) else max(step, dies[source])
    sizes = {layer.name: _values(layer) for layer in steps} | dict(smaller or {})
    return max(sum(sizes[n] for n in born if born[n] <= step <= dies[n]) for step in range(len(steps)))


def _with_input(model: keras.Model) -> list[Any]:
    """The layers of a model; a Sequential one leaves its input out of them."""
    first = model.inputs[0]._keras_history.layer  # as in `_sources`
    return [*([] if first in model.layers else [first]), *model.layers]


def _leaves(model: keras.Model) -> Iterable[Any]:
    """The layers of a model and of the models inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _sources(layer: Any) -> Iterable[str]:
    """Names of the layers whose tensors this one reads, seen through what is computed in place."""
    for node in layer.inbound_nodes[:1]:
        for tensor in tf.nest.flatten(node.input_tensors):
            source = tensor._keras_history.layer  # the layer that made a symbolic tensor; Keras has no public name
            if isinstance(source, _FUSED):
                yield from _sources(source)
            else:
                yield source.name


def _values(layer: Any) -> int:
    return math.prod(_output(layer))


def _output(layer: Any) -> tuple[int, ...]:
    """The shape of what a layer gives, without the batch; where it is called several times, of the first call."""
    if isinstance(layer, layers.InputLayer):
        return tuple(layer.output_shape[0][1:])
    return tuple((layer.get_output_shape_at(0) if layer.inbound_nodes else layer.output_shape)[1:])


def _layer_cost(layer: Any) -> LayerCost:
    parameters = sum(math.prod(weight.shape) for weight in layer.trainable_weights)
    return LayerCost(layer.name, type(layer).__name__, _output(layer), parameters, macs(layer))


def _folded_statistics(model: keras.Model) -> int:
    """Batch norm parameters that vanish when the network is converted: all but a bias, or a factor and a bias."""
    norms = [layer for layer in _leaves(model) if isinstance(layer, layers.BatchNormalization)]
    return sum(layer.count_params() - _kept_vectors(layer) * layer.moving_mean.shape[0] for layer in norms)


def _kept_vectors(norm: Any) -> int:
    """What remains of a batch norm: the bias of the convolution it folds into, if that had none; else both."""
    if not norm.inbound_nodes:  # inside a model that is no graph
        return 2
    source = tf.nest.flatten(norm.inbound_nodes[0].input_tensors)[0]._keras_history.layer  # as in `_sources`
    if not isinstance(source, (layers.Conv2D, layers.Dense)) or len(source.outbound_nodes) != 1:
        return 2
    return 0 if source.use_bias else 1

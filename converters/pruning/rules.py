"""How channels pass through each kind of layer: one function a kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras as keras

from converters.pruning.builder import Call, refusal
from converters.pruning.graph import Channels

Rule = Callable[[Call], Channels]
"""From a call to the channels of its output; says which channels lie along the layer's weights."""


def rule_for(layer: Any) -> Rule:
    """The rule of a layer.

    Raises:
        ModelError: there is none; names the layer.
    """
    kind = type(layer).__name__
    if kind not in RULES or not type(layer).__module__.startswith("tf_keras."):
        raise refusal(layer, f"{kind} is not a layer whose channels edgeres can follow")
    if getattr(layer, "data_format", "channels_last") != "channels_last" and kind != "ZeroPadding2D":
        raise refusal(layer, f"{kind} with its channels first")
    return RULES[kind]


def _pass(call: Call) -> Channels:
    return call.channels


def _fix(call: Call) -> Channels:
    """Normalization across channels: without one of them, the others would change."""
    call.builder.fix(call.channels)
    for weight in call.layer.weights:
        call.builder.add_weight(call.layer, weight, "shift" if weight.trainable else "statistic", {})
    return call.channels


def _activation(call: Call) -> Channels:
    return (_fix if _mixes(call.layer) else _pass)(call)


def _mixes(layer: Any) -> bool:
    """Whether a layer's activation normalizes across channels."""
    if isinstance(layer.activation, keras.layers.Layer):
        raise refusal(layer, f"its activation is a layer itself, {type(layer.activation).__name__}")
    return "softmax" in getattr(layer.activation, "__name__", "")


def _rescaling(call: Call) -> Channels:
    factors = (call.layer.scale, call.layer.offset)
    return (_fix if any(np.size(factor) > 1 for factor in factors) else _pass)(call)


def _batch_norm(call: Call) -> Channels:
    layer, rank = call.layer, len(call.shapes[0])
    axes = np.atleast_1d(layer.axis).tolist()
    if axes not in ([rank], [-1]):
        raise refusal(layer, f"it normalizes along axis {axes}, expected the channels")
    roles = {"gamma": "scale", "beta": "shift", "moving_mean": "statistic", "moving_variance": "statistic"}
    for name, role in roles.items():
        if getattr(layer, name, None) is not None:
            call.builder.add_weight(layer, getattr(layer, name), role, {0: call.channels})
    return call.channels


def _prelu(call: Call) -> Channels:
    """Its slopes broadcast along shared axes."""
    alpha = call.layer.alpha
    along = {len(alpha.shape) - 1: call.channels} if alpha.shape[-1] == len(call.channels) else {}
    call.builder.add_weight(call.layer, alpha, "shift", along)
    return call.channels


def _merge(call: Call) -> Channels:
    """Sum, mean, maximum: the operands become one stream."""
    return _coupled(call, call.builder.join_summed)


def _product(call: Call) -> Channels:
    """A gate, as of squeeze-and-excitation: the same channels, but no stream."""
    return _coupled(call, call.builder.join)


def _coupled(call: Call, join: Callable[[Channels, Channels], None]) -> Channels:
    """Operands position by position; one of a single channel broadcasts over the others', and binds none."""
    widest = max(call.inputs, key=len)
    for other in call.inputs:
        if len(other) == len(widest):
            join(widest, other)
        else:
            call.builder.fix(other)
    return widest


def _concatenate(call: Call) -> Channels:
    rank = len(call.shapes[0])
    if call.layer.axis in (-1, rank):
        return np.concatenate(call.inputs)
    return _merge(call)


def _flatten(call: Call) -> Channels:
    return np.tile(call.channels, math.prod(call.shapes[0][:-1]))


def _reshape(call: Call) -> Channels:
    """Channels may stay the last axis, or be flattened with all positions behind one another."""
    before, after = call.shapes[0], tuple(call.layer.get_output_shape_at(0)[1:])
    if after[-1] == before[-1]:
        return call.channels
    if after[-1] == math.prod(before):
        return _flatten(call)
    raise refusal(call.layer, f"a Reshape from {before} to {after} mixes channels with positions")


def _zero_padding(call: Call) -> Channels:
    """Around the pixels; or, told that channels come first, behind and before the channels (shortcut A)."""
    if call.layer.data_format == "channels_last":
        return call.channels
    before, after = call.layer.padding[1]
    if any(call.layer.padding[0]):
        raise refusal(call.layer, "ZeroPadding2D with its channels first")
    zeros = call.builder.new(call.layer, before + after)
    return np.concatenate([zeros[:before], call.channels, zeros[before:]])


def _conv(call: Call) -> Channels:
    layer = call.layer
    if layer.groups != 1:
        return _grouped_conv(call)
    output = call.builder.new(layer, layer.filters)
    call.builder.add_weight(layer, layer.kernel, "kernel", {2: call.channels, 3: output}, reads=2, writes=3)
    return _biased(call, output)


def _grouped_conv(call: Call) -> Channels:
    """All groups would have to lose the same number of channels: none does."""
    call.builder.fix(call.channels)
    output = call.builder.fixed(call.layer.filters)
    call.builder.add_weight(call.layer, call.layer.kernel, "kernel", {3: output}, writes=3)
    return _biased(call, output)


def _conv_transpose(call: Call) -> Channels:
    output = call.builder.new(call.layer, call.layer.filters)
    call.builder.add_weight(call.layer, call.layer.kernel, "kernel", {2: output, 3: call.channels}, reads=3, writes=2)
    return _biased(call, output)


def _dense(call: Call) -> Channels:
    output = call.builder.new(call.layer, call.layer.units)
    call.builder.add_weight(call.layer, call.layer.kernel, "kernel", {0: call.channels, 1: output}, reads=0, writes=1)
    return _biased(call, output)


def _depthwise(call: Call) -> Channels:
    """Each channel by itself; `depth_multiplier` outputs of one input stay or go with it."""
    layer = call.layer
    call.builder.add_weight(layer, layer.depthwise_kernel, "kernel", {2: call.channels})
    return _biased(call, np.repeat(call.channels, layer.depth_multiplier))


def _separable(call: Call) -> Channels:
    layer = call.layer
    middle, output = np.repeat(call.channels, layer.depth_multiplier), call.builder.new(layer, layer.filters)
    call.builder.add_weight(layer, layer.depthwise_kernel, "kernel", {2: call.channels})
    call.builder.add_weight(layer, layer.pointwise_kernel, "kernel", {2: middle, 3: output}, reads=2, writes=3)
    return _biased(call, output)


def _biased(call: Call, output: Channels) -> Channels:
    if call.layer.use_bias:
        call.builder.add_weight(call.layer, call.layer.bias, "shift", {0: output})
    if _mixes(call.layer):
        call.builder.fix(output)
    return output


_PASSED = """
    ReLU ELU LeakyReLU MaxPooling2D AveragePooling2D GlobalMaxPooling2D GlobalAveragePooling2D Cropping2D UpSampling2D
    Dropout SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise Resizing
"""
_FIXED = "Softmax LayerNormalization GroupNormalization UnitNormalization Normalization LayerScale"

RULES: dict[str, Rule] = {
    **dict.fromkeys(_PASSED.split(), _pass),
    **dict.fromkeys(_FIXED.split(), _fix),
    "Activation": _activation,
    "Rescaling": _rescaling,
    "BatchNormalization": _batch_norm,
    "PReLU": _prelu,
    **dict.fromkeys(("Add", "Subtract", "Average", "Maximum", "Minimum"), _merge),
    "Multiply": _product,
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "ZeroPadding2D": _zero_padding,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
}
"""Kind of layer -> how channels pass through it."""

"""Batch norms that no convolution before them can take up: pre-activated residual networks, dense ones.

Behind a convolution a batch norm costs nothing, for its factors go into the weights. Where its input is a sum or a
concatenation, int8 needs an operator for it: a 1x1 depthwise convolution, a factor and a bias for each channel, with
the ReLU behind it fused. TFLite's own rendering would be a product and a sum: two roundings, and one scale for all
factors.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from edgeres.errors import ModelError
from edgeres.rebuild.proof import excess

_FOLDING = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense")


class StandaloneNorm(keras.layers.BatchNormalization):  # type: ignore[misc]  # tf_keras has no types
    """A batch norm with frozen statistics, computed as one 1x1 depthwise convolution with bias.

    Maps (N, h, w, c) or (N, c) to the same shape, float32; weights and configuration are those of the batch norm that
    it replaces. Gamma and beta are trained, not their products with the statistics: a factor is as small as its channel
    is large, so that a step that suits gamma would be the variance times too long for the factor. tfmot's patterns for
    batch norms, which go by the name of a class, pass this one by.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002  # Keras' names
        """Apply it, in training as in inference."""
        factor = tf.math.rsqrt(self.moving_variance + self.epsilon)
        if self.scale:
            factor = factor * self.gamma
        shift = -self.moving_mean * factor
        if self.center:
            shift = shift + self.beta
        channels = inputs.shape[-1]
        pixels = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
        kernel = tf.reshape(factor, (1, 1, channels, 1))
        outputs = tf.nn.bias_add(tf.nn.depthwise_conv2d(pixels, kernel, strides=(1, 1, 1, 1), padding="VALID"), shift)
        return outputs if pixels is inputs else tf.reshape(outputs, (-1, channels))


def stand_alone(model: Any) -> Any:
    """A copy of a flat tf_keras model whose batch norms are `StandaloneNorm`s where tfmot folds none; same names.

    Batch norms of other axes than the last, or of sequences and volumes, stay as they are.

    Raises:
        ModelError: the copy's outputs differ (see `edgeres.rebuild.proof`).
    """
    plain = keras.models.clone_model(model)  # its layers are called in this model only

    def replace(layer: Any) -> Any:
        kind = StandaloneNorm if _stands_alone(layer, plain) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(plain, clone_function=replace)
    copy.set_weights(model.get_weights())
    if any(isinstance(layer, StandaloneNorm) for layer in copy.layers):
        _prove_equality(model, copy)
    return copy


def _stands_alone(layer: Any, model: Any) -> bool:
    """Whether a layer is a batch norm of channels that tfmot folds into no layer before it."""
    if type(layer) is not keras.layers.BatchNormalization:
        return False
    shape = layer.get_input_shape_at(0)
    if list(layer.axis) != [len(shape) - 1] or len(shape) not in (2, 4):
        return False
    return len(layer.inbound_nodes) != 1 or not _folds(_source(layer), model)


def _source(layer: Any) -> Any:
    """The layer whose output a layer of one input reads."""
    return tf.nest.flatten(layer.inbound_nodes[0].input_tensors)[0]._keras_history.layer  # Keras has no public name


def _folds(source: Any, model: Any) -> bool:
    """Whether tfmot's patterns fold a batch norm into the layer before it: linear, called once and read once."""
    if type(source).__name__ not in _FOLDING or len(source.inbound_nodes) != 1:
        return False
    readers = len(source.outbound_nodes) + sum(output is source.output for output in model.outputs)
    return readers == 1 and source.activation is keras.activations.linear


def _prove_equality(model: Any, copy: Any) -> None:
    if (difference := excess(model, copy)) is not None:
        raise ModelError(
            f"with its batch norms as convolutions, the network's outputs differ by {difference:.2g} of the largest",
            fix="quantize after training instead: the steps export and quantize",
        )

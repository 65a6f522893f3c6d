"""Small networks, each with something that couples channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tf_keras as keras
from tf_keras import layers


def randomized(model: Any) -> Any:
    """The same model with batch norms as a trained one has them: fresh ones do nothing."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                spread = (0.5, 1.5) if "gamma" in weight.name or "variance" in weight.name else (-0.2, 0.2)
                weight.assign(random.uniform(*spread, weight.shape).astype(np.float32))
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(random.uniform(-0.2, 0.2, layer.bias.shape).astype(np.float32))
    return model


def built(body: Callable[[Any], Any], *, side: int = 8, classes: int = 4) -> Any:
    """A classifier with this between its image and its scores."""
    image = keras.Input((side, side, 3), name="image")
    x = body(image)
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomized(keras.Model(image, layers.Dense(classes, name="scores")(x)))


def conv(x: Any, filters: int, name: str, kernel: int = 3) -> Any:
    """A convolution with its batch norm and relu."""
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))


def residual(image: Any) -> Any:
    """Two blocks on one stream."""
    x = conv(image, 16, "stem")
    for block in ("one", "two"):
        y = layers.Conv2D(16, 3, padding="same", name=f"{block}_conv2")(conv(x, 24, f"{block}_conv1"))
        x = layers.Add(name=f"{block}_add")([x, y])
    return x


def dense_block(image: Any) -> Any:
    """Concatenations: each convolution reads what all before it made."""
    x = conv(image, 8, "stem")
    for number in range(3):
        x = layers.Concatenate(name=f"join{number}")([x, conv(x, 16, f"grow{number}")])
    return conv(x, 16, "transition", kernel=1)


def inverted(image: Any) -> Any:
    """A depthwise convolution with a multiplier between two 1x1 ones, and a gate over its channels."""
    x = conv(image, 16, "expand", kernel=1)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="slopes")(x)
    gate = layers.Reshape((1, 1, 32), name="gate_reshape")(layers.GlobalAveragePooling2D(name="gate_pool")(x))
    gate = layers.Conv2D(8, 1, activation="relu", name="gate_reduce")(gate)
    gate = layers.Conv2D(32, 1, activation="hard_sigmoid", name="gate_expand")(gate)
    return conv(layers.Multiply(name="gated")([x, gate]), 16, "project", kernel=1)


def flattened(image: Any) -> Any:
    """Positions and channels behind one another, into dense layers."""
    x = layers.MaxPooling2D(2, name="halve")(conv(image, 16, "conv"))
    return layers.Dense(32, activation="relu", name="hidden")(layers.Flatten(name="flatten")(x))


def padded_shortcut(image: Any) -> Any:
    """Shortcut A: the stream grows by channels of zeros."""
    x = conv(image, 16, "stem")
    y = layers.Conv2D(32, 3, padding="same", name="wide")(conv(x, 16, "narrow"))
    pad = layers.ZeroPadding2D(((0, 0), (8, 8)), data_format="channels_first", name="pad")
    return conv(layers.Add(name="sum")([pad(x), y]), 16, "after")


def separable(image: Any) -> Any:
    """Separable and transposed convolutions."""
    x = layers.SeparableConv2D(24, 3, padding="same", name="separable")(conv(image, 16, "stem"))
    return layers.Conv2DTranspose(16, 2, strides=2, name="transposed")(x)


def shared(image: Any) -> Any:
    """One layer called twice: what it reads the first time, it reads the second."""
    twice = layers.Conv2D(16, 3, padding="same", name="twice")
    return twice(twice(layers.Conv2D(16, 1, name="stem")(image)))


def normalized(image: Any) -> Any:
    """Normalization across channels, and a convolution in groups: nothing of theirs can go."""
    x = layers.LayerNormalization(name="norm")(conv(image, 16, "stem"))
    x = layers.Conv2D(16, 3, padding="same", groups=2, name="grouped")(x)
    return conv(x, 16, "free")


def overlapping(image: Any) -> Any:
    """One stream of two widths: what is added to is a concatenation."""
    x = conv(image, 32, "stem")
    parts = [layers.Conv2D(filters, 1, name=name)(x) for name, filters in (("left", 24), ("right", 8))]
    return conv(layers.Add(name="sum")([x, layers.Concatenate(name="join")(parts)]), 16, "after")


def shared_relu(image: Any) -> Any:
    """A layer without weights, called for different numbers of channels."""
    relu = layers.ReLU(name="relu")
    return relu(layers.Conv2D(32, 3, name="wide")(relu(layers.Conv2D(16, 3, name="narrow")(image))))


BODIES = {
    body.__name__: body
    for body in (
        residual,
        dense_block,
        inverted,
        flattened,
        padded_shortcut,
        separable,
        shared,
        normalized,
        overlapping,
        shared_relu,
    )
}

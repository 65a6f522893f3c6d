"""VGG networks (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tf_keras as keras
from tf_keras import layers

from edgeres.models.blocks import hidden, relu
from edgeres.models.network import Network

PAPER = "Simonyan & Zisserman 2014, arXiv:1409.1556"

# 3x3 convolutions in each of the five stages (table 1, columns D and E).
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    depth: int,
    *,
    width: int = 64,
    classes: int = 1000,
    input_size: int = 224,
    dropout: float = 0.5,
    name: str | None = None,
) -> keras.Model:
    """VGG-16 or VGG-19: 3x3 convolutions with biases, no batch norm, two hidden layers of 64 · `width` units.

    The maps double from stage to stage, up to 8 · `width`. Maps (N, input_size, input_size, 3) float32 pixels with
    their mean subtracted to (N, classes) logits.
    """
    if depth not in _CONVOLUTIONS:
        raise ValueError(f"depth must be one of {sorted(_CONVOLUTIONS)}, got {depth}")
    x = inputs = keras.Input((input_size, input_size, 3), name="image")
    for stage, count in enumerate(_CONVOLUTIONS[depth]):
        for index in range(1, count + 1):
            filters, block = width * min(2**stage, 8), f"stage{stage + 1}"
            x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=f"{block}_conv{index}")(
                x
            )
            x = relu(x, name=f"{block}_relu{index}")
        x = layers.MaxPooling2D(2, name=f"stage{stage + 1}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for layer in ("fc1", "fc2"):
        x = layers.Dropout(dropout, name=f"{layer}_dropout")(hidden(x, 64 * width, name=layer))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name=name or f"vgg{depth}")


def _imagenet(depth: int, published: str) -> Network:
    build: Callable[..., Any] = partial(vgg, depth)
    return Network(
        f"vgg{depth}",
        build,
        width=64,
        classes=1000,
        input_size=224,
        paper=PAPER,
        published=published,
        smallest=32,
        preprocess="torch",
    )


# One scale, table 3: trained at 256…512, measured at 384.
VGG16 = _imagenet(16, "ImageNet 74.4 %")
VGG19 = _imagenet(19, "ImageNet 74.5 %")

"""Densely connected networks (Huang et al., "Densely Connected Convolutional Networks", 2016).

Where a residual block adds its input to its output, a dense one puts them side by side: every layer reads the maps of
all layers before it in its stage. All of these are "BC": with 1x1 bottlenecks, and half the maps after each stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tf_keras as keras
from tf_keras import layers

from edgeres.models.blocks import Tensor, bn_relu, classifier, conv
from edgeres.models.network import Network
from edgeres.models.resnet import imagenet_stem

PAPER = "Huang et al. 2016, arXiv:1608.06993"

# Layers in each of the four stages (table 1).
_IMAGENET = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


def densenet_cifar(
    depth: int,
    *,
    width: int = 24,
    classes: int = 10,
    input_size: int = 32,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """A CIFAR DenseNet-BC of depth 6n + 4: three stages of n dense layers; the stem has `width` maps, a layer half.

    `dropout` follows each 3x3 convolution; the paper has 0.2 on data that are not augmented. Maps (N, input_size,
    input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    count, remainder = divmod(depth - 4, 6)
    if remainder or count < 1:
        raise ValueError(f"depth must be 6n + 4 with n >= 1, got {depth}")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = _stages(conv(inputs, width, 3, name="stem"), (count,) * 3, width // 2, dropout)
    return keras.Model(inputs, classifier(x, classes), name=name or f"densenetbc{depth}")


def densenet_imagenet(
    depth: int,
    *,
    width: int = 64,
    classes: int = 1000,
    input_size: int = 224,
    dropout: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """An ImageNet DenseNet: the stem of a ResNet with `width` maps, four stages of dense layers with half as many.

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    if depth not in _IMAGENET:
        raise ValueError(f"depth must be one of {sorted(_IMAGENET)}, got {depth}")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = _stages(imagenet_stem(inputs, width), _IMAGENET[depth], width // 2, dropout)
    return keras.Model(inputs, classifier(x, classes), name=name or f"densenet{depth}")


def dense_block(x: Tensor, growth: int, *, dropout: float = 0.0, name: str) -> Tensor:
    """One dense layer: 1x1 to 4 · `growth` maps, 3x3 to `growth`, beside what it read.

    Maps (N, h, w, c) to (N, h, w, c + growth).
    """
    y = conv(bn_relu(x, name=name, index="1"), 4 * growth, 1, name=name, index="1")
    y = conv(bn_relu(y, name=name, index="2"), growth, 3, name=name, index="2")
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    return layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(x: Tensor, *, name: str) -> Tensor:
    """Half the maps and half the resolution: (N, h, w, c) to (N, ⌊h / 2⌋, ⌊w / 2⌋, ⌊c / 2⌋)."""
    x = conv(bn_relu(x, name=name), x.shape[-1] // 2, 1, name=name)
    return layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def _stages(x: Tensor, counts: Sequence[int], growth: int, dropout: float) -> Tensor:
    for stage, count in enumerate(counts, start=1):
        for index in range(count):
            x = dense_block(x, growth, dropout=dropout, name=f"stage{stage}_block{index}")
        if stage < len(counts):
            x = transition(x, name=f"stage{stage}_transition")
    return bn_relu(x, name="final")


def _imagenet(depth: int, published: str) -> Network:
    build: Callable[..., Any] = partial(densenet_imagenet, depth)
    return Network(
        f"densenet{depth}",
        build,
        width=64,
        classes=1000,
        input_size=224,
        paper=PAPER,
        published=published,
        smallest=32,
    )


# Augmented, table 2.
DENSENETBC100 = Network(
    "densenetbc100",
    partial(densenet_cifar, 100),
    width=24,
    classes=10,
    input_size=32,
    paper=PAPER,
    published="CIFAR-10 95.49 %",
)
# One crop, table 3.
DENSENET121 = _imagenet(121, "ImageNet 74.98 %")
DENSENET169 = _imagenet(169, "ImageNet 76.20 %")
DENSENET201 = _imagenet(201, "ImageNet 77.42 %")

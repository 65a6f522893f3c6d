"""Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015).

Two families: the CIFAR networks of depth 6n + 2 (section 4.2) and the ImageNet networks of table 1. Both take pixels
in [0, 255], RGB: the batch norm after the first convolution takes up their scale.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tf_keras as keras
from tf_keras import layers

from edgeres.models.blocks import Tensor, basic_block, bottleneck, classifier, conv_bn, relu
from edgeres.models.network import Network

PAPER = "He et al. 2015, arXiv:1512.03385"

# Blocks in each of the four stages (table 1), and which block they are.
_IMAGENET: dict[int, tuple[Callable[..., Tensor], tuple[int, ...]]] = {
    18: (basic_block, (2, 2, 2, 2)),
    34: (basic_block, (3, 4, 6, 3)),
    50: (bottleneck, (3, 4, 6, 3)),
    101: (bottleneck, (3, 4, 23, 3)),
    152: (bottleneck, (3, 8, 36, 3)),
}


def resnet_cifar(depth: int, *, width: int = 16, classes: int = 10, input_size: int = 32) -> keras.Model:
    """A CIFAR ResNet of depth 6n + 2: three stages of n basic blocks, `width`, 2 and 4 times `width` maps.

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    blocks, remainder = divmod(depth - 2, 6)
    if remainder or blocks < 1:
        raise ValueError(f"depth must be 6n + 2 with n >= 1, got {depth}")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = relu(conv_bn(inputs, width, 3, name="stem"), name="stem_relu")
    x = _stages(x, basic_block, (blocks,) * 3, width)
    return keras.Model(inputs, classifier(x, classes), name=f"resnet{depth}")


def resnet_imagenet(depth: int, *, width: int = 64, classes: int = 1000, input_size: int = 224) -> keras.Model:
    """An ImageNet ResNet: a 7x7 stem, max pooling, four stages of basic blocks (18, 34) or bottlenecks.

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    if depth not in _IMAGENET:
        raise ValueError(f"depth must be one of {sorted(_IMAGENET)}, got {depth}")
    block, blocks = _IMAGENET[depth]
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = relu(conv_bn(inputs, width, 7, stride=2, name="stem"), name="stem_relu")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    x = _stages(x, block, blocks, width)
    return keras.Model(inputs, classifier(x, classes), name=f"resnet{depth}")


def _stages(x: Tensor, block: Callable[..., Tensor], blocks: tuple[int, ...], width: int) -> Tensor:
    """Stage after stage of blocks; each stage after the first doubles the width and halves the resolution."""
    for stage, count in enumerate(blocks):
        for index in range(count):
            stride = 2 if stage and not index else 1
            x = block(x, width << stage, stride=stride, name=f"stage{stage + 1}_block{index}")
    return x


def _cifar(depth: int, published: str | None = None) -> Network:
    build: Callable[..., Any] = partial(resnet_cifar, depth)
    return Network(f"resnet{depth}", build, width=16, classes=10, input_size=32, paper=PAPER, published=published)


def _imagenet(depth: int, published: str) -> Network:
    build: Callable[..., Any] = partial(resnet_imagenet, depth)
    return Network(f"resnet{depth}", build, width=64, classes=1000, input_size=224, paper=PAPER, published=published)


RESNET8 = _cifar(8)
RESNET14 = _cifar(14)
RESNET20 = _cifar(20, "CIFAR-10 91.25 %")
RESNET32 = _cifar(32, "CIFAR-10 92.49 %")
RESNET44 = _cifar(44, "CIFAR-10 92.83 %")
RESNET56 = _cifar(56, "CIFAR-10 93.03 %")
RESNET110 = _cifar(110, "CIFAR-10 93.57 %")
# Top-1 with ten crops, table 3 and 4.
RESNET18 = _imagenet(18, "ImageNet 72.12 %")
RESNET34 = _imagenet(34, "ImageNet 74.97 %")
RESNET50 = _imagenet(50, "ImageNet 77.15 %")
RESNET101 = _imagenet(101, "ImageNet 78.25 %")
RESNET152 = _imagenet(152, "ImageNet 78.57 %")

"""Residual networks (He et al., "Deep Residual Learning for Image Recognition", 2015), and pre-activated ones (He et
al., "Identity Mappings in Deep Residual Networks", 2016).

Two families: the CIFAR networks of depth 6n + 2 (section 4.2) and the ImageNet networks of table 1. Both take pixels
in [0, 255], RGB: the first batch norm takes up their scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import tf_keras as keras
from tf_keras import layers

from edgeres.depth import allow_layers
from edgeres.models.blocks import (
    Style,
    Tensor,
    basic_block,
    bn_relu,
    bottleneck,
    classifier,
    conv,
    conv_bn,
    max_pool,
    preactivated_basic_block,
    preactivated_bottleneck,
    relu,
)
from edgeres.models.network import Network

PAPER = "He et al. 2015, arXiv:1512.03385"
PAPER_V2 = "He et al. 2016, arXiv:1603.05027"

Block = Callable[..., Tensor]
Version = Literal["v1", "v1.5", "v2"]
Shortcut = Literal["A", "B", "C"]

BLOCKS: dict[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks in each of the four stages, by depth (table 1): basic blocks up to 34, bottlenecks above."""


def resnet_cifar(
    depth: int,
    *,
    width: int = 16,
    classes: int = 10,
    input_size: int = 32,
    version: Literal["v1", "v2"] = "v1",
    shortcut: Shortcut = "B",
    name: str | None = None,
) -> keras.Model:
    """A CIFAR ResNet of depth 6n + 2: three stages of n basic blocks, `width`, 2 and 4 times `width` maps.

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    counts = cifar_blocks(depth)
    allow_layers(4 * depth)  # a convolution, its batch norm and activation, and every second time a sum
    inputs = keras.Input((input_size, input_size, 3), name="image")
    style = Style(shortcut)
    if version == "v2":
        x = conv(inputs, width, 3, name="stem")
        x = bn_relu(stages(x, preactivated_basic_block, counts, width, style=style), name="final")
    else:
        x = relu(conv_bn(inputs, width, 3, name="stem"), name="stem_relu")
        x = stages(x, basic_block, counts, width, style=style)
    return keras.Model(inputs, classifier(x, classes), name=name or f"resnet{depth}")


def cifar_blocks(depth: int) -> tuple[int, int, int]:
    """Blocks in each of the three stages of a network of depth 6n + 2."""
    blocks, remainder = divmod(depth - 2, 6)
    if remainder or blocks < 1:
        raise ValueError(f"depth must be 6n + 2 with n >= 1, got {depth}")
    return blocks, blocks, blocks


def resnet_imagenet(
    depth: int,
    *,
    width: int = 64,
    classes: int = 1000,
    input_size: int = 224,
    version: Version = "v1.5",
    shortcut: Shortcut = "B",
    name: str | None = None,
) -> keras.Model:
    """An ImageNet ResNet: a 7x7 stem, max pooling, four stages of basic blocks (18, 34) or bottlenecks.

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    if depth not in BLOCKS:
        raise ValueError(f"depth must be one of {sorted(BLOCKS)}, got {depth}")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    style = Style(shortcut, early=version == "v1", padding="both")
    build = _preactivated if version == "v2" else _activated
    x = classifier(build(inputs, depth, width, style), classes)
    return keras.Model(inputs, x, name=name or f"resnet{depth}")


def _activated(x: Tensor, depth: int, width: int, style: Style) -> Tensor:
    x = imagenet_stem(x, width)
    return stages(x, basic_block if depth < 50 else bottleneck, BLOCKS[depth], width, style=style)


def imagenet_stem(x: Tensor, width: int) -> Tensor:
    """7x7 convolution and 3x3 max pooling, each with stride 2 ("conv1" and the first line of "conv2_x" in table 1)."""
    x = relu(conv_bn(x, width, 7, stride=2, name="stem", padding="both"), name="stem_relu")
    return max_pool(x, name="stem_pool", padding="both")


def _preactivated(x: Tensor, depth: int, width: int, style: Style) -> Tensor:
    """Laid out as the published weights are: the last block of a stage strides, and the stem has a bias."""
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = layers.Conv2D(width, 7, strides=2, kernel_initializer="he_normal", name="stem_conv")(x)
    x = max_pool(x, name="stem_pool", padding="both")
    block = preactivated_basic_block if depth < 50 else preactivated_bottleneck
    x = stages(x, block, BLOCKS[depth], width, style=style, late=True)
    return bn_relu(x, name="final")


def stages(x: Tensor, block: Block, counts: Sequence[int], width: int, *, style: Style, late: bool = False) -> Tensor:
    """Stage after stage of blocks; each stage after the first doubles the width and halves the resolution.

    The first block of a stage strides, or with `late` the last one of the stage before: there no channels are added,
    so that subsampling needs no projection.
    """
    for stage, count in enumerate(counts):
        for index in range(count):
            strides = index == count - 1 and stage < len(counts) - 1 if late else stage > 0 and index == 0
            own = replace(style, shortcut="A") if late and strides and style.shortcut == "B" else style
            x = block(x, width << stage, stride=2 if strides else 1, style=own, name=f"stage{stage + 1}_block{index}")
    return x


def _cifar(depth: int, published: str | None = None, *, version: Literal["v1", "v2"] = "v1") -> Network:
    name = f"resnet{depth}{'v2' if version == 'v2' else ''}"
    build: Callable[..., Any] = partial(resnet_cifar, depth, version=version)
    paper = PAPER_V2 if version == "v2" else PAPER
    return Network(name, build, width=16, classes=10, input_size=32, paper=paper, published=published)


def _imagenet(depth: int, published: str | None = None, *, version: Version = "v1.5") -> Network:
    name = f"resnet{depth}{'' if version == 'v1.5' else version}"
    build: Callable[..., Any] = partial(resnet_imagenet, depth, version=version)
    paper = PAPER_V2 if version == "v2" else PAPER
    return Network(name, build, width=64, classes=1000, input_size=224, paper=paper, published=published)


# Table 6; the paper's CIFAR networks have shortcut A.
RESNET8 = _cifar(8)
RESNET14 = _cifar(14)
RESNET20 = _cifar(20, "CIFAR-10 91.25 % (A)")
RESNET32 = _cifar(32, "CIFAR-10 92.49 % (A)")
RESNET44 = _cifar(44, "CIFAR-10 92.83 % (A)")
RESNET56 = _cifar(56, "CIFAR-10 93.03 % (A)")
RESNET110 = _cifar(110, "CIFAR-10 93.57 % (A)")
RESNET1202 = _cifar(1202, "CIFAR-10 92.07 % (A)")

# Ten crops: table 2 for 18, table 3 for the others.
RESNET18 = _imagenet(18, "ImageNet 72.12 % (A)")
RESNET34 = _imagenet(34, "ImageNet 75.48 %")
RESNET50 = _imagenet(50, "ImageNet 77.15 % (v1)")
RESNET101 = _imagenet(101, "ImageNet 78.25 % (v1)")
RESNET152 = _imagenet(152, "ImageNet 78.57 % (v1)")

RESNET50V1 = _imagenet(50, "ImageNet 77.15 %", version="v1")
RESNET101V1 = _imagenet(101, "ImageNet 78.25 %", version="v1")
RESNET152V1 = _imagenet(152, "ImageNet 78.57 %", version="v1")

# He et al. 2016: table 2 for 110, table 5 for 152.
RESNET20V2 = _cifar(20, version="v2")
RESNET32V2 = _cifar(32, version="v2")
RESNET44V2 = _cifar(44, version="v2")
RESNET56V2 = _cifar(56, version="v2")
RESNET110V2 = _cifar(110, "CIFAR-10 93.63 %", version="v2")
RESNET18V2 = _imagenet(18, version="v2")
RESNET34V2 = _imagenet(34, version="v2")
RESNET50V2 = _imagenet(50, version="v2")
RESNET101V2 = _imagenet(101, version="v2")
RESNET152V2 = _imagenet(152, "ImageNet 78.9 % (320x320)", version="v2")

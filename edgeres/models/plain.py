"""Plain networks: the residual ones without their shortcuts, whose training gets worse with depth (He et al., 2015).

Layers have the names of their residual counterparts, so that one can be compared with the other layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tf_keras as keras

from edgeres.models.blocks import Style, classifier, conv_bn, plain_block, relu
from edgeres.models.network import Network
from edgeres.models.resnet import BLOCKS, PAPER, cifar_blocks, imagenet_stem, stages


def plain_cifar(
    depth: int, *, width: int = 16, classes: int = 10, input_size: int = 32, name: str | None = None
) -> keras.Model:
    """A CIFAR plain network of depth 6n + 2 (section 4.2).

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    counts = cifar_blocks(depth)
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = relu(conv_bn(inputs, width, 3, name="stem"), name="stem_relu")
    x = stages(x, plain_block, counts, width, style=Style())
    return keras.Model(inputs, classifier(x, classes), name=name or f"plain{depth}")


def plain_imagenet(
    depth: int, *, width: int = 64, classes: int = 1000, input_size: int = 224, name: str | None = None
) -> keras.Model:
    """An ImageNet plain network of depth 18 or 34 (section 4.1, figure 3 middle).

    Maps (N, input_size, input_size, 3) float32 pixels in [0, 255] to (N, classes) logits.
    """
    if depth not in (18, 34):
        raise ValueError(f"depth must be 18 or 34, got {depth}")
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = stages(imagenet_stem(inputs, width), plain_block, BLOCKS[depth], width, style=Style(padding="both"))
    return keras.Model(inputs, classifier(x, classes), name=name or f"plain{depth}")


def _cifar(depth: int) -> Network:
    build: Callable[..., Any] = partial(plain_cifar, depth)
    return Network(f"plain{depth}", build, width=16, classes=10, input_size=32, paper=PAPER)


def _imagenet(depth: int, published: str) -> Network:
    build: Callable[..., Any] = partial(plain_imagenet, depth)
    return Network(f"plain{depth}", build, width=64, classes=1000, input_size=224, paper=PAPER, published=published)


PLAIN20 = _cifar(20)
PLAIN32 = _cifar(32)
PLAIN44 = _cifar(44)
PLAIN56 = _cifar(56)
# Ten crops, table 2.
PLAIN18 = _imagenet(18, "ImageNet 72.06 %")
PLAIN34 = _imagenet(34, "ImageNet 71.46 %")

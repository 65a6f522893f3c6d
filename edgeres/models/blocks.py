"""The parts residual networks are made of: a convolution with its batch norm, the basic block, the bottleneck.

Layer names are an API (reports, recipes and sensitivity tables refer to them): `<block>_conv1`, `<block>_bn1`,
`<block>_shortcut_conv`, `<block>_add` …
"""

from __future__ import annotations

from typing import Any

from tf_keras import layers

Tensor = Any
"""A symbolic Keras tensor of shape (N, height, width, channels), float32."""


def conv_bn(x: Tensor, filters: int, kernel: int, *, stride: int = 1, name: str, index: str = "") -> Tensor:
    """Convolution without bias, then batch normalization (He et al., 2015, section 3.4).

    Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, filters).
    """
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv{index}",
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn{index}")(x)


def relu(x: Tensor, *, name: str) -> Tensor:
    """Rectified linear unit, of any shape."""
    return layers.ReLU(name=name)(x)


def basic_block(x: Tensor, filters: int, *, stride: int = 1, name: str) -> Tensor:
    """Two 3x3 convolutions beside a shortcut (He et al., 2015, figure 5 left).

    Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, filters).
    """
    y = relu(conv_bn(x, filters, 3, stride=stride, name=name, index="1"), name=f"{name}_relu1")
    y = conv_bn(y, filters, 3, name=name, index="2")
    return _join(shortcut(x, filters, stride=stride, name=name), y, name=name)


def bottleneck(x: Tensor, filters: int, *, stride: int = 1, name: str) -> Tensor:
    """1x1 down to `filters`, 3x3, 1x1 up to 4 · `filters`, beside a shortcut (He et al., 2015, figure 5 right).

    The stride sits in the 3x3 convolution ("v1.5": about half a point more accurate on ImageNet than the paper's
    stride in the first 1x1). Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, 4 · filters).
    """
    y = relu(conv_bn(x, filters, 1, name=name, index="1"), name=f"{name}_relu1")
    y = relu(conv_bn(y, filters, 3, stride=stride, name=name, index="2"), name=f"{name}_relu2")
    y = conv_bn(y, 4 * filters, 1, name=name, index="3")
    return _join(shortcut(x, 4 * filters, stride=stride, name=name), y, name=name)


def shortcut(x: Tensor, filters: int, *, stride: int, name: str) -> Tensor:
    """The identity, or a 1x1 projection where the shape changes (option B of He et al., 2015, section 3.3)."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    return conv_bn(x, filters, 1, stride=stride, name=f"{name}_shortcut")


def _join(x: Tensor, y: Tensor, *, name: str) -> Tensor:
    return relu(layers.Add(name=f"{name}_add")([x, y]), name=f"{name}_relu")


def classifier(x: Tensor, classes: int) -> Tensor:
    """Global average pooling and a linear layer: (N, h, w, c) to (N, classes) logits."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(classes, name="logits")(x)

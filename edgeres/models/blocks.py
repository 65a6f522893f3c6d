"""The parts networks are made of: convolutions with their batch norm, residual units, plain blocks, shortcuts.

Layer names are an API (reports, recipes and sensitivity tables refer to them): `<block>_conv1`, `<block>_bn1`,
`<block>_shortcut_conv`, `<block>_add` …
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tf_keras import layers

Tensor = Any
"""A symbolic Keras tensor of shape (N, height, width, channels), float32."""


@dataclass(frozen=True)
class Style:
    """Where papers and implementations differ in a residual unit.

    `shortcut` where the shape changes (He et al., 2015, section 3.3): A the identity with zeros for the new channels,
        B a 1x1 projection; C projects in every block.
    `early`: whether a bottleneck strides in its first 1x1 convolution, as in the paper, and not in its 3x3 ("v1.5").
    `padding` of what strides: "same" is TensorFlow's, which on an even size pads at the end only; "both" pads by half
        a kernel on both sides, as the implementations of the papers do and their weights expect.
    """

    shortcut: Literal["A", "B", "C"] = "B"
    early: bool = False
    padding: Literal["same", "both"] = "same"


STYLE = Style()


def conv(
    x: Tensor, filters: int, kernel: int, *, stride: int = 1, name: str, index: str = "", padding: str = "same"
) -> Tensor:
    """Convolution without bias, for a batch norm before or after it.

    Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, filters).
    """
    if explicit := padding == "both" and stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad{index}")(x)
    return layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if explicit else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv{index}",
    )(x)


def batch_norm(x: Tensor, *, name: str) -> Tensor:
    """Batch normalization of each channel, of any shape."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


def relu(x: Tensor, *, name: str) -> Tensor:
    """Rectified linear unit, of any shape."""
    return layers.ReLU(name=name)(x)


def conv_bn(
    x: Tensor, filters: int, kernel: int, *, stride: int = 1, name: str, index: str = "", padding: str = "same"
) -> Tensor:
    """Convolution, then batch normalization (He et al., 2015, section 3.4)."""
    x = conv(x, filters, kernel, stride=stride, name=name, index=index, padding=padding)
    return batch_norm(x, name=f"{name}_bn{index}")


def bn_relu(x: Tensor, *, name: str, index: str = "") -> Tensor:
    """What comes before a convolution in a pre-activated or dense block."""
    return relu(batch_norm(x, name=f"{name}_bn{index}"), name=f"{name}_relu{index}")


def basic_block(x: Tensor, filters: int, *, stride: int = 1, style: Style = STYLE, name: str) -> Tensor:
    """Two 3x3 convolutions beside a shortcut (He et al., 2015, figure 5 left).

    Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, filters).
    """
    y = _two_convolutions(x, filters, stride=stride, style=style, name=name)
    return _join(shortcut(x, filters, stride=stride, style=style, name=name), y, name=name)


def plain_block(x: Tensor, filters: int, *, stride: int = 1, style: Style = STYLE, name: str) -> Tensor:
    """A basic block without its shortcut: the comparison of He et al., 2015, section 4.1."""
    return relu(_two_convolutions(x, filters, stride=stride, style=style, name=name), name=f"{name}_relu")


def _two_convolutions(x: Tensor, filters: int, *, stride: int, style: Style, name: str) -> Tensor:
    y = conv_bn(x, filters, 3, stride=stride, name=name, index="1", padding=style.padding)
    return conv_bn(relu(y, name=f"{name}_relu1"), filters, 3, name=name, index="2")


def bottleneck(x: Tensor, filters: int, *, stride: int = 1, style: Style = STYLE, name: str) -> Tensor:
    """1x1 down to `filters`, 3x3, 1x1 up to 4 · `filters`, beside a shortcut (He et al., 2015, figure 5 right).

    The stride sits in the 3x3 convolution ("v1.5": about half a point more accurate on ImageNet) unless
    `style.early`. Maps (N, h, w, c) to (N, ⌈h / stride⌉, ⌈w / stride⌉, 4 · filters).
    """
    first, second = (stride, 1) if style.early else (1, stride)
    y = relu(conv_bn(x, filters, 1, stride=first, name=name, index="1"), name=f"{name}_relu1")
    y = conv_bn(y, filters, 3, stride=second, name=name, index="2", padding=style.padding)
    y = conv_bn(relu(y, name=f"{name}_relu2"), 4 * filters, 1, name=name, index="3")
    return _join(shortcut(x, 4 * filters, stride=stride, style=style, name=name), y, name=name)


def preactivated_basic_block(x: Tensor, filters: int, *, stride: int = 1, style: Style = STYLE, name: str) -> Tensor:
    """A basic block whose batch norms and relus come before its convolutions (He et al., 2016, figure 4e)."""
    active = bn_relu(x, name=name, index="1")
    y = conv(active, filters, 3, stride=stride, name=name, index="1", padding=style.padding)
    y = conv(bn_relu(y, name=name, index="2"), filters, 3, name=name, index="2")
    side = _preactivated_shortcut(x, active, filters, stride=stride, style=style, name=name)
    return layers.Add(name=f"{name}_add")([side, y])


def preactivated_bottleneck(x: Tensor, filters: int, *, stride: int = 1, style: Style = STYLE, name: str) -> Tensor:
    """A bottleneck whose batch norms and relus come before its convolutions (He et al., 2016, figure 4e)."""
    active = bn_relu(x, name=name, index="1")
    y = conv(active, filters, 1, name=name, index="1")
    y = conv(bn_relu(y, name=name, index="2"), filters, 3, stride=stride, name=name, index="2", padding=style.padding)
    y = conv(bn_relu(y, name=name, index="3"), 4 * filters, 1, name=name, index="3")
    side = _preactivated_shortcut(x, active, 4 * filters, stride=stride, style=style, name=name)
    return layers.Add(name=f"{name}_add")([side, y])


def _preactivated_shortcut(x: Tensor, active: Tensor, filters: int, *, stride: int, style: Style, name: str) -> Tensor:
    """The identity of `x`, or a projection of what is activated already."""
    if _projects(x, filters, stride=stride, style=style):
        return conv(active, filters, 1, stride=stride, name=f"{name}_shortcut")
    return _identity(x, filters, stride=stride, name=name)


def shortcut(x: Tensor, filters: int, *, stride: int, style: Style = STYLE, name: str) -> Tensor:
    """The identity, or what `style.shortcut` puts where the shape changes."""
    if _projects(x, filters, stride=stride, style=style):
        return conv_bn(x, filters, 1, stride=stride, name=f"{name}_shortcut")
    return _identity(x, filters, stride=stride, name=name)


def _projects(x: Tensor, filters: int, *, stride: int, style: Style) -> bool:
    return style.shortcut == "C" or (style.shortcut == "B" and (stride > 1 or x.shape[-1] != filters))


def _identity(x: Tensor, filters: int, *, stride: int, name: str) -> Tensor:
    """Every `stride`-th pixel, and zeros for the channels that are added: nothing to learn, nothing to multiply."""
    if stride > 1:
        x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_shortcut_pool")(x)
    if (added := filters - x.shape[-1]) > 0:
        # Told that height is the channels, Keras' layer for pixels pads the two axes behind it: width by 0, channels.
        pad = layers.ZeroPadding2D(((0, 0), (0, added)), data_format="channels_first", name=f"{name}_shortcut_pad")
        x = pad(x)
    return x


def _join(x: Tensor, y: Tensor, *, name: str) -> Tensor:
    return relu(layers.Add(name=f"{name}_add")([x, y]), name=f"{name}_relu")


def max_pool(x: Tensor, *, name: str, padding: str = "same") -> Tensor:
    """The 3x3 pooling with stride 2 behind an ImageNet stem: (N, h, w, c) to (N, ⌈h / 2⌉, ⌈w / 2⌉, c)."""
    if padding == "both":
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, strides=2, padding="valid" if padding == "both" else "same", name=name)(x)


def classifier(x: Tensor, classes: int) -> Tensor:
    """Global average pooling and a linear layer: (N, h, w, c) to (N, classes) logits."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(classes, name="logits")(x)


def hidden(x: Tensor, units: int, *, name: str) -> Tensor:
    """A fully connected layer with its relu: (N, c) to (N, units)."""
    return relu(layers.Dense(units, kernel_initializer="he_normal", name=name)(x), name=f"{name}_relu")

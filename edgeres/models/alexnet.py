"""AlexNet with one column (Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014).

The network of 2012 (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks") was cut into
two columns to fit two GPUs; this is its author's later version for one. Neither has the local response normalization
here, which VGG (2014, section 4.1) found to help nothing.
"""

from __future__ import annotations

import tf_keras as keras
from tf_keras import layers

from edgeres.models.blocks import Tensor, hidden, relu
from edgeres.models.network import Network

PAPER = "Krizhevsky 2014, arXiv:1404.5997"


def alexnet(
    *,
    width: int = 64,
    classes: int = 1000,
    input_size: int = 224,
    dropout: float = 0.5,
    name: str | None = None,
) -> keras.Model:
    """AlexNet: `width`, 3, 6, 4 and 4 times `width` maps, two hidden layers of 64 · `width` units.

    Maps (N, input_size, input_size, 3) float32 pixels with their mean subtracted to (N, classes) logits.
    """
    inputs = keras.Input((input_size, input_size, 3), name="image")
    x = layers.ZeroPadding2D(2, name="stage1_pad")(inputs)
    x = _conv(x, width, 11, stride=4, padding="valid", name="stage1")
    x = layers.MaxPooling2D(3, strides=2, name="stage1_pool")(x)
    x = _conv(x, 3 * width, 5, name="stage2")
    x = layers.MaxPooling2D(3, strides=2, name="stage2_pool")(x)
    for index, filters in (("1", 6 * width), ("2", 4 * width), ("3", 4 * width)):
        x = _conv(x, filters, 3, name="stage3", index=index)
    x = layers.MaxPooling2D(3, strides=2, name="stage3_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for layer in ("fc1", "fc2"):
        x = hidden(layers.Dropout(dropout, name=f"{layer}_dropout")(x), 64 * width, name=layer)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name=name or "alexnet")


def _conv(
    x: Tensor, filters: int, kernel: int, *, stride: int = 1, padding: str = "same", name: str, index: str = "1"
) -> Tensor:
    convolution = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding=padding,
        kernel_initializer="he_normal",
        name=f"{name}_conv{index}",
    )
    return relu(convolution(x), name=f"{name}_relu{index}")


ALEXNET = Network(
    "alexnet",
    alexnet,
    width=64,
    classes=1000,
    input_size=224,
    paper=PAPER,
    published="ImageNet 57.67 %",  # table 1, one GPU
    smallest=64,
    preprocess="torch",
)

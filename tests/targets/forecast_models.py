"""Writes models whose forecasts are held against what runtimes do: `python -m tests.targets.forecast_models FOLDER`.

Networks of the zoo and networks of one odd operator, random weights, in every way to store them.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE, CLASSES = 16, 4
MODES = ("float16", "dynamic-int8", "int8", "int16x8", "int4")


def main(folder: Path) -> None:
    import tf_keras as keras

    from converters.export import to_flatbuffer
    from converters.quantization.post_training import quantize
    from edgeres.errors import EdgeresError

    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    for name, network in networks(keras):
        content = to_flatbuffer(network)
        (folder / f"{name}.float32.tflite").write_bytes(content)
        height, width = network.input_shape[1:3]
        pictures = [random.uniform(0, 255, (1, height, width, 3)).astype(np.float32) for _ in range(4)]
        for mode in MODES:
            images = pictures if mode in ("int8", "int16x8", "int4") else ()
            with contextlib.suppress(EdgeresError):
                (folder / f"{name}.{mode}.tflite").write_bytes(quantize(content, mode, images=images))


def networks(keras: Any) -> Iterator[tuple[str, Any]]:
    """Name and model of each."""
    from edgeres.models import find_network

    for name in ("resnet8", "resnet20-A", "resnet20v2", "plain20"):
        yield name, find_network(name).build(classes=10, width=0.5)
    for name in ("resnet50", "resnet18v2", "vgg16", "alexnet", "densenet121"):
        network = find_network(name)
        yield name, network.build(classes=10, width=0.125, input_size=max(32, network.smallest))
    for name, layers in odd(keras).items():
        yield name, single(keras, name, layers)


def odd(keras: Any) -> dict[str, Any]:
    """Name -> what is done to a map of (N, 16, 16, 8)."""
    import tensorflow as tf

    layers = keras.layers

    def apply(function: Any) -> Any:
        return layers.Lambda(function, name="odd")

    return {
        "average_pool": layers.AveragePooling2D(2, name="odd"),
        "max_pool": layers.MaxPooling2D(3, 2, "same", name="odd"),
        "wide_pool": layers.AveragePooling2D((16, 16), name="odd"),
        "depthwise": layers.DepthwiseConv2D(3, 2, "same", name="odd"),
        "dilated": layers.Conv2D(8, 3, dilation_rate=2, padding="same", name="odd"),
        "multiplier": layers.DepthwiseConv2D(3, depth_multiplier=2, name="odd"),
        "stride4": layers.Conv2D(8, 5, 4, "same", name="odd"),
        "stride4_inside": layers.Conv2D(8, 5, 4, name="odd"),
        "transposed": layers.Conv2DTranspose(8, 3, 2, "same", name="odd"),
        "upsampled": layers.UpSampling2D(2, interpolation="bilinear", name="odd"),
        "nearest": layers.UpSampling2D(2, name="odd"),
        "padded": layers.ZeroPadding2D(2, name="odd"),
        "cropped": layers.Cropping2D(2, name="odd"),
        "leaky": layers.LeakyReLU(0.1, name="odd"),
        "prelu": layers.PReLU(shared_axes=(1, 2), name="odd"),
        "elu": layers.ELU(name="odd"),
        "swish": layers.Activation("swish", name="odd"),
        "gelu": layers.Activation("gelu", name="odd"),
        "sigmoid": layers.Activation("sigmoid", name="odd"),
        "tanh": layers.Activation("tanh", name="odd"),
        "softplus": layers.Activation("softplus", name="odd"),
        "relu6": layers.ReLU(6.0, name="odd"),
        "hard_swish": apply(lambda x: x * tf.nn.relu6(x + 3) * (1 / 6)),
        "exponential": apply(lambda x: tf.exp(-tf.nn.relu(x))),
        "logarithm": apply(lambda x: tf.math.log(1 + tf.nn.relu(x))),
        "square_root": apply(lambda x: tf.sqrt(tf.nn.relu(x) + 1)),
        "inverse_root": apply(lambda x: tf.math.rsqrt(tf.nn.relu(x) + 1)),
        "absolute": apply(tf.abs),
        "sine": apply(tf.sin),
        "power": apply(lambda x: tf.pow(tf.nn.relu(x) + 1, 1.5)),
        "divided": apply(lambda x: x / (1 + tf.nn.relu(x))),
        "subtracted": apply(lambda x: x - 0.5 * tf.reduce_mean(x, (1, 2), keepdims=True)),
        "maximum": apply(lambda x: tf.maximum(x, tf.reverse(x, (1,)))),
        "minimum": apply(lambda x: tf.minimum(x, 0.5 * x)),
        "transpose": apply(lambda x: tf.transpose(x, (0, 2, 1, 3))),
        "to_depth": apply(lambda x: tf.nn.space_to_depth(x, 2)),
        "to_space": apply(lambda x: tf.nn.depth_to_space(x, 2)),
        "concatenated": apply(lambda x: tf.concat((x, x * 0.5), 3)),
        "split": apply(lambda x: tf.add(*tf.split(x, 2, 3))),
        "reduced_max": apply(lambda x: x - tf.reduce_max(x, (1, 2), keepdims=True)),
        "summed": apply(lambda x: x - tf.reduce_sum(x, (1, 2), keepdims=True)),
        "normalized": layers.LayerNormalization(name="odd"),
        "attention": apply(lambda x: tf.matmul(x, x, transpose_b=True)),
        "local_response": apply(lambda x: tf.nn.local_response_normalization(x, 5)),
        "l2": apply(lambda x: tf.nn.l2_normalize(x, -1)),
        "tiled": apply(lambda x: tf.tile(x, (1, 1, 2, 1))),
        "mirrored": apply(lambda x: tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "REFLECT")),
        "cumulative": apply(lambda x: tf.cumsum(x, 1)),
        "rounded": apply(tf.round),
        "floored": apply(tf.floor),
        "gathered": apply(lambda x: tf.gather(x, (3, 1, 2), axis=1)),
        "selected": apply(lambda x: tf.where(x > 0, x, 0.1 * x)),
    }


def single(keras: Any, name: str, layer: Any) -> Any:
    """A convolution, the layer, and a head: (N, 16, 16, 3) to (N, 4) probabilities."""
    layers = keras.layers
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = layer(layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(layers.Rescaling(1 / 255)(image)))
    x = layers.Dense(CLASSES, activation="softmax", name="head")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(image, x, name=name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

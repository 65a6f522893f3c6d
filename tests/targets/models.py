"""Writes the small models that the tests of `targets` run: `python -m tests.targets.models FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SIZE, CLASSES = 16, 4
SHAPE = (SIZE, SIZE, 3)


def main(folder: Path) -> None:
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(0)
    network = residual(keras, dead_channel=True)
    network.export(str(folder / "saved"))

    def converter() -> Any:
        return tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))

    def write(name: str, conversion: Any) -> None:
        (folder / f"{name}.tflite").write_bytes(conversion.convert())

    def function(name: str, body: Any, *shapes: tuple[int | None, ...]) -> None:
        signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        concrete = tf.function(body, input_signature=signature).get_concrete_function()
        write(name, tf.lite.TFLiteConverter.from_concrete_functions([concrete]))

    write("float32", converter())
    half = converter()
    half.optimizations, half.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    write("float16", half)
    behind = converter()
    behind._experimental_use_buffer_offset = True
    write("buffer_offset", behind)
    wide = converter()
    wide.optimizations, wide.representative_dataset = [tf.lite.Optimize.DEFAULT], lambda: ([x] for x in samples())
    wide.target_spec.supported_ops = [
        tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
    ]
    write("int16", wide)
    sparse = tf.lite.TFLiteConverter.from_keras_model(residual(keras, sparse=True))
    sparse.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    write("sparse", sparse)
    function("while_loop", lambda x: tf.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, v * 2), (0, x))[1], (1, 4))
    function("two_inputs", lambda x, y: tf.reduce_mean(x + y, (1, 2)), (1, *SHAPE), (1, *SHAPE))
    function("two_outputs", lambda x: (tf.reduce_mean(x, (1, 2)), tf.reduce_max(x, (1, 2))), (1, *SHAPE))
    function("batch_of_8", lambda x: tf.reduce_mean(x, (1, 2)), (8, *SHAPE))
    function("map_to_map", lambda x: x * 2, (1, *SHAPE))
    function("one_row", lambda x: tf.reshape(tf.reduce_mean(x, (1, 2)), (1, -1))[:, :3], (None, *SHAPE))
    function("open_size", lambda x: tf.reduce_mean(x, (1, 2)), (1, None, None, 3))
    for name, shape, classes in (("gray", (SIZE, SIZE, 1), CLASSES), ("fifty", SHAPE, 50)):
        flat = keras.Sequential([keras.Input(shape, batch_size=1), keras.layers.Flatten(), keras.layers.Dense(classes)])
        write(name, tf.lite.TFLiteConverter.from_keras_model(flat))
        whole = tf.lite.TFLiteConverter.from_keras_model(flat)
        whole.optimizations = [tf.lite.Optimize.DEFAULT]
        whole.representative_dataset = lambda depth=shape[-1]: ([x[..., :depth]] for x in samples())
        whole.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        whole.inference_input_type = whole.inference_output_type = tf.int8
        write(f"{name}_int8", whole)
    right = np.random.default_rng(3).normal(size=(1, 3, CLASSES)).astype(np.float32)
    function("matmul", lambda x: tf.reduce_mean(tf.matmul(x, right), (1, 2)), (1, *SHAPE))
    function("logarithm", lambda x: tf.math.log(tf.reduce_mean(x, (1, 2))), (1, *SHAPE))
    quantize(folder)


def residual(keras: Any, *, dead_channel: bool = False, sparse: bool = False) -> Any:
    """A residual network with a projection, random weights: (N, 16, 16, 3) in 0…255 to (N, 4) probabilities."""
    layers = keras.layers

    def convolve(x: Any, filters: int, size: int, stride: int, name: str) -> Any:
        x = layers.Conv2D(filters, size, stride, "same", use_bias=False, name=name)(x)
        return layers.BatchNormalization()(x)

    image = keras.Input(SHAPE, name="image")
    x = layers.ReLU()(convolve(layers.Rescaling(1 / 255)(image), 8, 3, 1, "stem"))
    y = convolve(layers.ReLU()(convolve(x, 16, 3, 2, "conv1")), 16, 3, 1, "conv2")
    x = layers.ReLU()(layers.Add()([convolve(x, 16, 1, 2, "projection"), y]))
    x = layers.Dense(64, activation="relu", name="wide")(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(image, layers.Dense(CLASSES, activation="softmax")(x))
    if dead_channel:  # what pruning leaves
        edit(network, "conv1", lambda weights: weights * (np.arange(16) != 2))
    if sparse:
        edit(network, "wide", lambda weights: weights * (np.arange(len(weights)) % 16 == 0)[:, None])
    return network


def edit(network: Any, layer: str, change: Any) -> None:
    first, *rest = network.get_layer(layer).get_weights()
    network.get_layer(layer).set_weights([change(first), *rest])


def samples() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.uniform(0, 255, (1, *SHAPE)).astype(np.float32) for _ in range(16)]


def quantize(folder: Path) -> None:
    from litert_quantizer import quantizer, recipe

    recipes = {
        "int8": recipe.static_wi8_ai8(),
        "dynamic_int8": recipe.dynamic_wi8_afp32(),
        "int4": recipe.dynamic_wi4_afp32(),
    }
    for name, settings in recipes.items():
        engine = quantizer.Quantizer(str(folder / "float32.tflite"))
        engine.load_quantization_recipe(settings)
        data = {"serving_default": [{"image": sample} for sample in samples()]}
        found = engine.calibrate(data) if engine.need_calibration else None
        engine.quantize(found).export_model(str(folder / f"{name}.tflite"), overwrite=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Small networks, float and quantized, and graphs by hand, for the tests of the linter."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema
from tf_keras import layers

from converters.export import to_flatbuffer
from converters.quantization.activations import activations
from converters.quantization.coverage import coverage
from converters.quantization.lint import lint_bytes
from converters.quantization.lint_activations import activation_findings
from converters.quantization.post_training import quantize
from converters.quantization.statistics import collect
from edgeres.calibration import Coverage
from edgeres.findings import Finding
from targets.flatbuffer import walk
from targets.graph import Graph, Operator, Subgraph, Tensor

Body = Callable[[Any], Any]


def pictures(side: int, high: float = 1) -> list[np.ndarray]:
    source = np.random.default_rng(0)
    return [source.uniform(0, high, (1, side, side, 3)).astype(np.float32) for _ in range(3)]


def keras_model(body: Body) -> Any:
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input((8, 8, 3), name="image")
    return tf_keras.Model(image, body(image), name="net")


@cache
def floating(body: Body) -> bytes:
    return to_flatbuffer(keras_model(body))


@cache
def integer(body: Body) -> bytes:
    return quantize(floating(body), "int8", images=pictures(8))


def looked_at(body: Body, **settings: Any) -> tuple[list[Finding], dict[str, Coverage]]:
    """What is said of a network once it is quantized (to int8 unless told), and its coverage by layer."""
    source, settings = floating(body), {"mode": "int8", "images": pictures(8, 255), **settings}
    product = quantize(source, **settings)
    found = collect(source, settings["images"])
    seen = activations(found, walk(source).main, walk(product).main)
    covered = {each.column: its for each in seen if (its := coverage(found, each)) is not None}
    return list(activation_findings(found, seen, covered)), {each.layer: each for each in covered.values()}


def of(rule: str, content: bytes, **options: bool) -> list[Finding]:
    return [finding for finding in lint_bytes(content, **options) if finding.rule == rule]


def one(rule: str, content: bytes, **options: bool) -> Finding:
    (found,) = of(rule, content, **options)
    return found


def conv(x: Any, name: str, filters: int = 4, **options: Any) -> Any:
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)(x)


def norm(x: Any, name: str) -> Any:
    some = tf_keras.initializers.RandomUniform(0.5, 1.5)
    return layers.BatchNormalization(name=name, gamma_initializer=some, beta_initializer=some)(x)


def head(x: Any, classes: int = 3, **options: Any) -> Any:
    return layers.Dense(classes, name="scores", **options)(layers.GlobalAveragePooling2D(name="pool")(x))


def plain(image: Any) -> Any:
    return head(conv(layers.ReLU(name="relu")(norm(conv(image, "first"), "norm")), "second"))


def norm_after_relu(image: Any) -> Any:
    return head(norm(conv(image, "first", activation="relu"), "norm"))


def norm_before_conv(image: Any) -> Any:
    return head(conv(norm(layers.MaxPooling2D(name="shrink")(image), "norm"), "first"))


def norm_of_what_is_shared(image: Any) -> Any:
    x = conv(image, "first")
    return head(layers.Add(name="sum")([x, conv(norm(x, "norm"), "second")]))


def rescaled(image: Any) -> Any:
    return plain(layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(image))


def shared_relus(image: Any) -> Any:
    x = conv(image, "first")
    return head(layers.Concatenate(name="joint")([layers.ReLU(name="open")(x), layers.ReLU(6, name="capped")(x)]))


def float_in_the_middle(image: Any) -> Any:
    x = layers.GlobalAveragePooling2D(name="pool")(conv(image, "first"))
    return layers.Dense(3, name="scores")(layers.ReLU(6, name="capped")(x))


def summed(ratio: float) -> Body:
    def body(image: Any) -> Any:
        weak = conv(image, "weak", kernel_initializer=tf_keras.initializers.RandomNormal(stddev=0.1 / ratio))
        strong = conv(image, "strong", kernel_initializer=tf_keras.initializers.RandomNormal(stddev=0.1))
        return head(layers.Add(name="sum")([weak, strong]))

    return body


def joined(deviation: float) -> Body:
    def body(image: Any) -> Any:
        x = layers.MaxPooling2D(name="shrink")(image)
        y = conv(x, "branch", kernel_initializer=tf_keras.initializers.RandomNormal(stddev=deviation))
        return head(layers.Concatenate(name="joint")([x, y]))

    return body


EVEN_SUM, UNEVEN_SUM = summed(2), summed(30)
NEAR_JOIN, FAR_JOIN = joined(0.08), joined(5)


def softmax_of(classes: int) -> Body:
    return lambda image: head(conv(image, "first"), classes, activation="softmax")


FEW, MANY = softmax_of(10), softmax_of(300)


def deep(image: Any) -> Any:
    x = image
    for name in ("a", "b", "c", "d", "e"):
        x = conv(x, name, activation="relu")
    return head(x)


def split_relu(model: Any) -> None:
    """Take the ReLU out of the first convolution and make it an operator of its own."""
    graph = model.subgraphs[0]
    place = next(i for i, operator in enumerate(graph.operators) if operator.builtinOptionsType == 1)
    graph.operators[place].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    model.operatorCodes.append(code)
    output = graph.operators[place].outputs[0]
    between = schema.TensorT()
    between.name, between.shape = b"net/first/Conv2D", graph.tensors[output].shape
    between.type, between.quantization = graph.tensors[output].type, graph.tensors[output].quantization
    graph.tensors.append(between)
    relu = schema.OperatorT()
    relu.opcodeIndex = len(model.operatorCodes) - 1
    relu.inputs, relu.outputs = [len(graph.tensors) - 1], [output]
    graph.operators[place].outputs = [len(graph.tensors) - 1]
    graph.operators.insert(place + 1, relu)


def drop_activation(model: Any) -> None:
    for operator in model.subgraphs[0].operators:
        if operator.builtinOptionsType == 1:
            operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE


def scale_inputs_of_join(model: Any) -> None:
    """Give the first input of the concatenation a scale of its own, as no converter would."""
    graph = model.subgraphs[0]
    join = next(operator for operator in graph.operators if operator.builtinOptionsType == 10)
    quantization = graph.tensors[join.inputs[0]].quantization
    quantization.scale = np.array([quantization.scale[0] * 3], np.float32)


def one_scale_for_weights(model: Any) -> None:
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None and tensor.quantization.scale is not None:
            tensor.quantization.scale = tensor.quantization.scale[:1]
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint[:1]


def dynamic(body: Body) -> bytes:
    return quantize(floating(body), "dynamic-int8")


def tensor(shape: tuple[int, ...], dtype: str = "int8", scale: float = 0.1, *, stored: bool = False) -> Tensor:
    scales = () if dtype.startswith("float") else (scale,)
    return Tensor("", shape, shape, dtype, scales, (0,) * len(scales), 0, 1, int(stored), False)


def graph_of(tensors: tuple[Tensor, ...], *operators: Operator) -> Graph:
    last = operators[-1].outputs
    return Graph(0, "", "", (Subgraph("main", tensors, (0,), last, operators),), {}, 0, 0)


DENSE = (tensor((1, 4)), tensor((3, 4), stored=True), tensor((1, 3)), tensor((1, 3), "float32"))


def by_tensorflow(body: Body) -> bytes:
    """Quantized by TensorFlow's own converter, which leaves the batch open."""
    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model(body))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in pictures(8))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content

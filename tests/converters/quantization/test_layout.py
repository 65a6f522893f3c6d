"""What tfmot is made to round is what TFLite rounds: proved on small networks of every family of the zoo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras
from numpy.typing import NDArray
from tf_keras import layers

from converters.export import keras_outputs, to_flatbuffer
from converters.quantization.aware import _prove_parity, rounded
from converters.quantization.initial_ranges import calibrate, settle_weights
from converters.quantization.lint import lint_bytes
from converters.quantization.post_training import quantize
from converters.steps import AwareStep
from edgeres.models.alexnet import alexnet
from edgeres.models.blocks import Style, bottleneck, classifier, preactivated_bottleneck
from edgeres.models.densenet import densenet_cifar
from edgeres.models.plain import plain_cifar
from edgeres.models.resnet import Block, imagenet_stem, resnet_cifar, stages
from edgeres.models.vgg import vgg
from edgeres.native_output import muted
from targets.flatbuffer import walk
from targets.runtimes.cpu import CPU

STEP = AwareStep(step="aware", preserve="none")
SMALL = {"classes": 4, "width": 8}

Kinds = dict[str, int]


def pictures(count: int, side: int, *, seed: int) -> NDArray[np.float32]:
    """A coarse pattern and noise: float32 (count, side, side, 3) in [0, 255]."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (count, side // 8, side // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    return np.clip(coarse + random.normal(0, 20, coarse.shape), 0, 255).astype(np.float32)


def plausible(model: Any) -> Any:
    """With the statistics of pictures in its batch norms."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(pictures(32, model.input_shape[1], seed=1), training=True)
    return model


def trained(model: Any) -> tuple[Any, bytes]:
    """The network as training rounds it, with the ranges of pictures, and the flatbuffer that it becomes."""
    with muted():
        found = rounded(model, STEP)
        calibrate(found, [pictures(32, model.input_shape[1], seed=2)])
        settle_weights(found)
    return found, to_flatbuffer(found, trained_int8=True)


def bottlenecks(block: Block) -> Any:
    """Two stages of one bottleneck each, as an ImageNet network begins."""
    image = tf_keras.Input((64, 64, 3))
    x = stages(imagenet_stem(image, 8), block, (1, 1), 8, style=Style(padding="both"))
    return tf_keras.Model(image, classifier(x, 4))


HEAD = {"MEAN": 1, "FULLY_CONNECTED": 1}
JOINED = {"CONCATENATION": 6, "AVERAGE_POOL_2D": 2, "QUANTIZE": 2}
"""Of a dense network of three stages. TFLite pools as what comes before is rounded, and joins as what comes after."""

FAMILIES: dict[str, tuple[Callable[[], Any], Kinds]] = {
    "v1": (lambda: resnet_cifar(8, **SMALL), {"CONV_2D": 9, "ADD": 3, **HEAD}),
    "v1, shortcut A": (
        lambda: resnet_cifar(8, shortcut="A", **SMALL),
        {"CONV_2D": 7, "ADD": 3, "PAD": 2, "MAX_POOL_2D": 2, **HEAD},
    ),
    "v2": (lambda: resnet_cifar(8, version="v2", **SMALL), {"CONV_2D": 9, "ADD": 3, "DEPTHWISE_CONV_2D": 4, **HEAD}),
    "bottlenecks": (lambda: bottlenecks(bottleneck), {"CONV_2D": 9, "ADD": 2, "PAD": 3, "MAX_POOL_2D": 1, **HEAD}),
    "bottlenecks, v2": (
        lambda: bottlenecks(preactivated_bottleneck),
        {"CONV_2D": 9, "ADD": 2, "PAD": 3, "MAX_POOL_2D": 1, "DEPTHWISE_CONV_2D": 2, **HEAD},
    ),
    "plain": (lambda: plain_cifar(8, **SMALL), {"CONV_2D": 7, **HEAD}),
    "dense": (
        lambda: densenet_cifar(16, input_size=16, **SMALL),
        {"CONV_2D": 15, "DEPTHWISE_CONV_2D": 9, **JOINED, **HEAD},
    ),
    "vgg": (
        lambda: vgg(16, input_size=32, **SMALL),
        {"CONV_2D": 13, "MAX_POOL_2D": 5, "FULLY_CONNECTED": 3},
    ),
    "alexnet": (
        lambda: alexnet(input_size=64, **SMALL),
        {"CONV_2D": 5, "PAD": 1, "MAX_POOL_2D": 3, "FULLY_CONNECTED": 3},
    ),
}
"""Family -> a small network, and the operators that are left of it: no product and no sum of a batch norm, no ReLU."""

MEANT = {"uneven sum", "wide activation", "requantization"}
"""What the linter may find: the first two are of random weights."""


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_int8_throughout_its_norms_and_activations_taken_up(family: str) -> None:
    build, kinds = FAMILIES[family]
    model = plausible(build())
    rounding, content = trained(model)
    graph = walk(content).main
    assert Counter(operator.kind for operator in graph.operators) == kinds
    assert {graph.tensors[index].dtype for each in graph.operators for index in each.outputs} == {"int8"}
    assert {finding.rule for finding in lint_bytes(content)} <= MEANT
    _prove_parity(rounding, content, pictures(16, model.input_shape[1], seed=3))


@pytest.mark.parametrize("family", ["v1", "v2"])
def test_the_first_ranges_lose_no_more_than_calibration_does(family: str) -> None:
    model = plausible(FAMILIES[family][0]())
    side = model.input_shape[1]
    calibrated = quantize(to_flatbuffer(model), "int8", images=[each[None] for each in pictures(32, side, seed=2)])
    held_out = pictures(16, side, seed=3)
    with CPU.open(calibrated) as session, CPU.open(trained(model)[1]) as other:
        after, during = session.infer(held_out), other.infer(held_out)
    whole = keras_outputs(model, held_out)
    assert np.sqrt(np.mean((during - whole) ** 2)) < 1.5 * np.sqrt(np.mean((after - whole) ** 2))


def test_what_is_joined_and_joined_again_has_one_range_and_zeros_stay() -> None:
    tf_keras.utils.set_random_seed(0)
    image = tf_keras.Input((8, 8, 3))
    parts = [layers.Conv2D(4, 1, name=f"part{number}")(image) for number in range(8)]
    first = layers.Concatenate(name="first")(parts)
    again = layers.Concatenate(name="again")([first, layers.Conv2D(4, 1, name="late")(first)])
    model = tf_keras.Model(image, layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D()(again)))
    for layer in model.layers:
        if layer.name.startswith("part"):
            kernel, bias = layer.get_weights()
            kernel[:, :, 0] = 0
            layer.set_weights([kernel, bias])
    step = AwareStep(step="aware", preserve="sparsity")
    found = rounded(model, step)
    calibrate(found, [pictures(8, 8, seed=1) / 255])
    settle_weights(found)
    graph = walk(content := to_flatbuffer(found, trained_int8=True)).main
    scales = [graph.tensors[each.outputs[0]].scales for each in graph.operators if each.kind == "CONCATENATION"]
    assert len(scales) == 2
    assert scales[0] == scales[1]
    assert not [each for each in graph.operators if each.kind == "QUANTIZE"]
    kernels = [graph.tensors[each.inputs[1]] for each in graph.operators if each.kind == "CONV_2D"]
    assert {tensor.dtype for tensor in kernels} == {"int8"}
    _prove_parity(found, content, pictures(8, 8, seed=1) / 255)


def test_weights_before_a_relu_of_its_own_are_rounded_too() -> None:
    image = tf_keras.Input((8, 8, 3))
    x = layers.ReLU(name="relu")(layers.Conv2D(4, 3, name="conv")(image))
    model = tf_keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    weighted = rounded(model, STEP).get_layer("quant_conv")
    assert [weight.name for weight, _, _ in weighted._weight_vars] == ["conv/kernel:0"]

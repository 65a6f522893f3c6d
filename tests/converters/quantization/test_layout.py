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
from converters.quantization.aware import PARITY, rounded
from converters.quantization.initial_ranges import calibrate, settle_weights
from converters.quantization.lint import lint_bytes
from converters.steps import AwareStep
from edgeres.models.alexnet import alexnet
from edgeres.models.densenet import densenet_cifar
from edgeres.models.plain import plain_cifar
from edgeres.models.resnet import resnet_cifar, resnet_imagenet
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


FAMILIES: dict[str, tuple[Callable[[], Any], Kinds]] = {
    "v1": (lambda: resnet_cifar(8, **SMALL), {"CONV_2D": 9, "ADD": 3}),
    "v1, shortcut A": (lambda: resnet_cifar(8, shortcut="A", **SMALL), {"CONV_2D": 7, "ADD": 3, "PAD": 2, "MAX_POOL_2D": 2}),
    "v2": (lambda: resnet_cifar(8, version="v2", **SMALL), {"CONV_2D": 9, "ADD": 3, "DEPTHWISE_CONV_2D": 4}),
    "plain": (lambda: plain_cifar(8, **SMALL), {"CONV_2D": 7}),
    "dense": (lambda: densenet_cifar(10, classes=4, width=8, input_size=16), {}),
    "bottlenecks": (
        lambda: resnet_imagenet(50, input_size=32, **SMALL), {"CONV_2D": 53, "ADD": 16, "MAX_POOL_2D": 1}
    ),
    "vgg": (lambda: vgg(16, classes=4, width=8, input_size=32), {"CONV_2D": 13, "MAX_POOL_2D": 5}),
    "alexnet": (lambda: alexnet(classes=4, width=8, input_size=64), {"CONV_2D": 5, "MAX_POOL_2D": 3}),
}
"""Family -> a small network, and the operators that are left of it beside the head's."""


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_int8_throughout_its_norms_and_activations_taken_up(family: str) -> None:
    build, kinds = FAMILIES[family]
    model = plausible(build())
    rounding, content = trained(model)
    graph = walk(content).main
    assert Counter(operator.kind for operator in graph.operators) == kinds
    assert not {graph.tensors[index].dtype for each in graph.operators for index in each.outputs} - {"int8"}
    assert {finding.rule for finding in lint_bytes(content)} <= {"uneven sum"}, "of random weights"
    held_out = pictures(16, model.input_shape[1], seed=3)
    expected = keras_outputs(rounding, held_out)
    with CPU.open(content) as session:
        found = session.infer(held_out)
    assert np.abs(found - expected).max() <= PARITY * np.abs(expected).max()
    whole = keras_outputs(model, held_out)
    assert np.corrcoef(found.ravel(), whole.ravel())[0, 1] > 0.9

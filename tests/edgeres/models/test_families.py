"""Networks that are not residual: VGG, AlexNet, DenseNet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeres.models import find_network
from edgeres.models.densenet import dense_block, densenet_cifar, densenet_imagenet, transition
from edgeres.models.plain import plain_cifar, plain_imagenet
from edgeres.models.vgg import vgg


def layer_names(name: str, **arguments: Any) -> list[str]:
    return [layer.name for layer in find_network(name).build(**arguments).layers]


def test_layer_names_are_an_api() -> None:
    vgg16 = layer_names("vgg16", width=0.05, input_size=32)
    assert vgg16[:6] == ["image", "stage1_conv1", "stage1_relu1", "stage1_conv2", "stage1_relu2", "stage1_pool"]
    head = ["fc1", "fc1_relu", "fc1_dropout", "fc2", "fc2_relu", "fc2_dropout", "logits"]
    assert vgg16[-9:] == ["stage5_pool", "flatten", *head]
    assert {"stage1_conv1", "stage3_conv3", "stage3_pool", "fc2"} <= set(layer_names("alexnet", width=0.05))
    assert {
        *("stem_conv", "stage1_block0_bn1", "stage1_block0_conv2", "stage1_block0_concat"),
        *("stage1_transition_conv", "stage3_block5_conv2", "final_bn", "logits"),
    } <= {layer.name for layer in densenet_cifar(40, width=4).layers}


@pytest.mark.parametrize("name", ["vgg16", "alexnet"])
def test_the_width_scales_hidden_layers_too(name: str) -> None:
    model = find_network(name).build(width=0.25, input_size=64)
    assert model.get_layer("stage1_conv1").filters == 16
    assert model.get_layer("fc1").units == 1024


def test_a_dense_block_puts_its_maps_beside_those_it_read() -> None:
    inputs = keras.Input((4, 4, 6))
    model = keras.Model(inputs, dense_block(inputs, 3, name="x"))
    given = np.random.default_rng(0).normal(size=(1, 4, 4, 6)).astype(np.float32)
    found = model(given).numpy()
    assert found.shape == (1, 4, 4, 9)
    np.testing.assert_array_equal(found[..., :6], given)
    assert found[..., 6:].any()
    assert transition(inputs, name="y").shape == (None, 2, 2, 3)


def test_dropout_is_where_the_paper_has_it() -> None:
    def rates(model: keras.Model) -> list[float]:
        return [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]

    assert rates(densenet_cifar(10)) == []
    assert rates(densenet_cifar(10, dropout=0.2)) == [0.2] * 3
    assert rates(vgg(16, width=2, input_size=32)) == [0.5, 0.5]
    assert rates(find_network("alexnet").build(width=0.05)) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("build", "depth"),
    [(vgg, 11), (densenet_cifar, 99), (densenet_imagenet, 100), (plain_cifar, 21), (plain_imagenet, 50)],
)
def test_a_depth_that_the_paper_lacks_is_a_mistake(build: Any, depth: int) -> None:
    with pytest.raises(ValueError, match="depth must be"):
        build(depth)

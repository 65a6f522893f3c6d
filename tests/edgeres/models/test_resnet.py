from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeres.models import find_network
from edgeres.models.blocks import basic_block, bottleneck, shortcut
from edgeres.models.cost import measure
from edgeres.models.resnet import resnet_cifar, resnet_imagenet


def build(name: str, **arguments: Any) -> keras.Model:
    return find_network(name).build(**arguments)


def test_layer_names_are_an_api() -> None:
    assert [layer.name for layer in build("resnet8").layers] == [
        "image",
        *("stem_conv", "stem_bn", "stem_relu"),
        *("stage1_block0_conv1", "stage1_block0_bn1", "stage1_block0_relu1"),
        *("stage1_block0_conv2", "stage1_block0_bn2", "stage1_block0_add", "stage1_block0_relu"),
        *("stage2_block0_conv1", "stage2_block0_bn1", "stage2_block0_relu1"),
        *("stage2_block0_shortcut_conv", "stage2_block0_conv2", "stage2_block0_shortcut_bn", "stage2_block0_bn2"),
        *("stage2_block0_add", "stage2_block0_relu"),
        *("stage3_block0_conv1", "stage3_block0_bn1", "stage3_block0_relu1"),
        *("stage3_block0_shortcut_conv", "stage3_block0_conv2", "stage3_block0_shortcut_bn", "stage3_block0_bn2"),
        *("stage3_block0_add", "stage3_block0_relu"),
        *("pool", "logits"),
    ]


def test_names_do_not_depend_on_what_was_built_before() -> None:
    first = [layer.name for layer in build("resnet8").layers]
    assert [layer.name for layer in build("resnet8").layers] == first
    names = {layer.name for layer in resnet_imagenet(50, width=2, classes=2, input_size=32).layers}
    assert {"stem_pool", "stage1_block0_conv3", "stage1_block0_shortcut_conv", "stage4_block2_bn3"} <= names
    assert "stage1_block1_shortcut_conv" not in names


@pytest.mark.parametrize("size", [16, 33, 64])
def test_any_input_size_has_the_same_weights(size: int) -> None:
    model = build("resnet8", input_size=size)
    assert model.input_shape == (None, size, size, 3)
    assert measure(model).parameters == 78_042
    assert model(np.zeros((2, size, size, 3), np.float32)).shape == (2, 10)


def test_the_width_multiplies_the_maps_of_every_stage() -> None:
    built = {width: build("resnet8", width=width) for width in (0.125, 0.5, 1, 1.5)}
    maps = {
        width: [model.get_layer(f"stage{stage}_block0_conv2").filters for stage in (1, 2, 3)]
        for width, model in built.items()
    }
    assert maps == {0.125: [2, 4, 8], 0.5: [8, 16, 32], 1: [16, 32, 64], 1.5: [24, 48, 96]}
    assert 3.7 < measure(built[1]).macs / measure(built[0.5]).macs < 4


def test_classes_change_the_last_layer_only() -> None:
    ten, hundred = build("resnet8"), build("resnet8", classes=100)
    assert hundred.output_shape == (None, 100)
    assert measure(hundred).parameters - measure(ten).parameters == 90 * (64 + 1)


def test_it_gives_logits_of_pixels_and_not_probabilities() -> None:
    keras.utils.set_random_seed(0)
    outputs = build("resnet8")(np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)).numpy()
    assert np.isfinite(outputs).all()
    assert (outputs < 0).any()
    assert not np.allclose(outputs.sum(axis=1), 1)


@pytest.mark.parametrize("depth", [2, 7, 9, 0, -4])
def test_a_depth_that_is_not_6n_plus_2_is_a_mistake(depth: int) -> None:
    with pytest.raises(ValueError, match=r"depth must be 6n \+ 2"):
        resnet_cifar(depth)


def test_an_imagenet_depth_that_the_paper_lacks_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"depth must be one of \[18, 34, 50, 101, 152\], got 20"):
        resnet_imagenet(20)


def block_macs(block: Any, *, maps: int, filters: int) -> int:
    inputs = keras.Input((1, 1, maps))
    return measure(keras.Model(inputs, block(inputs, filters, name="block"))).macs


def test_the_arithmetic_of_the_bottleneck() -> None:
    """What one position costs on 256 maps: 600 K multiplications for a 3x3, 70 K for a whole bottleneck."""
    inputs = keras.Input((1, 1, 256))
    plain = measure(keras.Model(inputs, keras.layers.Conv2D(256, 3, padding="same", use_bias=False)(inputs)))
    assert plain.macs == plain.parameters == 256 * 256 * 3 * 3 == 589_824
    narrow = block_macs(bottleneck, maps=256, filters=64)
    assert narrow == 256 * 64 + 64 * 64 * 3 * 3 + 64 * 256 == 69_632
    assert block_macs(basic_block, maps=256, filters=256) == 2 * 589_824


def test_a_shortcut_is_the_identity_unless_the_shape_changes() -> None:
    inputs = keras.Input((8, 8, 16))
    assert shortcut(inputs, 16, stride=1, name="a") is inputs
    assert shortcut(inputs, 32, stride=1, name="b").shape == (None, 8, 8, 32)
    assert shortcut(inputs, 16, stride=2, name="c").shape == (None, 4, 4, 16)


@pytest.mark.parametrize(("block", "growth"), [(basic_block, 1), (bottleneck, 4)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_adds_its_shortcut(block: Any, growth: int, stride: int) -> None:
    """With its own branch silenced, a block is its shortcut through a relu."""
    inputs = keras.Input((5, 5, 8 * growth))
    outputs = block(inputs, 8, stride=stride, name="x")
    model = keras.Model(inputs, outputs)
    assert outputs.shape == (None, -(-5 // stride), -(-5 // stride), 8 * growth)
    last = model.get_layer(f"x_bn{2 if growth == 1 else 3}")
    last.gamma.assign(np.zeros(8 * growth, np.float32))
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 8 * growth)).astype(np.float32)
    expected = images
    if stride == 2:
        side = keras.Model(inputs, model.get_layer("x_shortcut_bn").output)
        expected = side(images).numpy()
    np.testing.assert_allclose(model(images).numpy(), np.maximum(expected, 0), rtol=1e-6)

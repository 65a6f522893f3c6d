"""Where papers and implementations differ in a residual unit: shortcuts, strides, padding, pre-activation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeres.keras_config import check_config
from edgeres.models import find_network
from edgeres.models.blocks import Style, basic_block, bottleneck, plain_block, preactivated_bottleneck, shortcut
from edgeres.models.resnet import resnet_cifar, resnet_imagenet

A, C = Style("A"), Style("C")


def images(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def small(depth: int, **options: Any) -> keras.Model:
    return resnet_imagenet(depth, width=2, classes=2, input_size=32, **options)


def weighted(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if layer.weights}


@pytest.mark.parametrize("size", [6, 7])
def test_shortcut_a_takes_every_second_pixel_and_adds_channels_of_zeros(size: int) -> None:
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, shortcut(inputs, 8, stride=2, style=A, name="x"))
    given = images(2, size, size, 3)
    found = model(given).numpy()
    np.testing.assert_array_equal(found[..., :3], given[:, ::2, ::2])
    assert found.shape == (2, -(-size // 2), -(-size // 2), 8)
    assert not found[..., 3:].any()
    assert not model.weights


def test_shortcut_a_is_saved_without_code_and_becomes_two_operators(tmp_path: Path) -> None:
    import tensorflow as tf

    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, basic_block(inputs, 8, stride=2, style=A, name="x"))
    check_config(model.get_config(), where="model")
    model.save(tmp_path / "model.keras")
    given = images(1, 8, 8, 4)
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(given), model(given))
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    operators = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert sorted(set(operators) - {"DELEGATE"}) == ["ADD", "CONV_2D", "MAX_POOL_2D", "PAD"]


def test_shortcut_c_projects_in_every_block() -> None:
    projections = {
        letter: sum(name.endswith("shortcut_conv") for name in weighted(resnet_cifar(8, width=2, shortcut=letter)))
        for letter in ("A", "B", "C")
    }
    assert projections == {"A": 0, "B": 2, "C": 3}


@pytest.mark.parametrize(("block", "growth"), [(basic_block, 1), (bottleneck, 4), (preactivated_bottleneck, 4)])
@pytest.mark.parametrize("style", [A, C, Style(padding="both"), Style(early=True)])
@pytest.mark.parametrize("size", [5, 6])
def test_every_style_gives_the_same_shape(block: Any, growth: int, style: Style, size: int) -> None:
    inputs = keras.Input((size, size, 2))
    outputs = block(inputs, 2, stride=2, style=style, name="x")
    assert outputs.shape == (None, -(-size // 2), -(-size // 2), 2 * growth)


def test_versions_differ_in_where_a_bottleneck_strides() -> None:
    def strides(style: Style) -> list[int]:
        inputs = keras.Input((8, 8, 4))
        model = keras.Model(inputs, bottleneck(inputs, 2, stride=2, style=style, name="x"))
        return [model.get_layer(f"x_conv{number}").strides[0] for number in (1, 2, 3)]

    assert strides(Style(early=True)) == [2, 1, 1]
    assert strides(Style()) == [1, 2, 1]


def test_what_strides_pads_on_both_sides() -> None:
    """An even image of one bright pixel in its corner: the first output sees it from the middle of its 3x3 kernel."""
    inputs = keras.Input((6, 6, 1))
    block = basic_block(inputs, 1, stride=2, style=Style(padding="both"), name="x")
    model = keras.Model(inputs, [keras.Model(inputs, block).get_layer("x_conv1").output])
    kernel = np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
    model.get_layer("x_conv1").set_weights([kernel])
    bright = np.zeros((1, 6, 6, 1), np.float32)
    bright[0, 0, 0] = 1
    assert model(bright).numpy()[0, :, :, 0].tolist() == [[4, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_a_preactivated_network_keeps_its_residual_path_free() -> None:
    """Silence all branches of stage 1: what was its input is what its blocks add to nothing."""
    model = resnet_cifar(14, width=4, classes=2, version="v2")
    path = keras.Model(model.inputs, [model.get_layer(name).output for name in ("stem_conv", "stage1_block1_add")])
    for block in (0, 1):
        model.get_layer(f"stage1_block{block}_conv2").set_weights([np.zeros((3, 3, 4, 4), np.float32)])
    stem, added = path(images(1, 32, 32, 3))
    assert stem.numpy().min() < 0
    np.testing.assert_array_equal(stem, added)
    assert {"final_bn", "stage1_block0_bn1", "stage3_block1_bn2"} <= weighted(model)
    assert "stem_bn" not in weighted(model)


def test_the_last_block_of_a_stage_strides_in_the_preactivated_imagenet_networks() -> None:
    model = small(50, version="v2")  # 50 and not 18: only a bottleneck widens the first stage
    assert model.get_layer("stage1_block2_conv2").strides == (2, 2)
    assert model.get_layer("stage2_block0_conv2").strides == (1, 1)
    assert model.get_layer("stage4_block2_conv2").strides == (1, 1)
    assert not model.get_layer("stage1_block2_shortcut_pool").weights


@pytest.mark.parametrize(("plain", "residual"), [("plain20", "resnet20"), ("plain18", "resnet18")])
def test_a_plain_network_has_the_layers_of_the_residual_one_but_its_shortcuts(plain: str, residual: str) -> None:
    width = 0.125
    first, second = find_network(plain).build(width=width), find_network(residual).build(width=width)
    assert weighted(second) - weighted(first) == {name for name in weighted(second) if "shortcut" in name}
    assert not weighted(first) - weighted(second)
    assert not [layer for layer in first.layers if isinstance(layer, keras.layers.Add)]


def test_a_silenced_plain_block_passes_nothing() -> None:
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, plain_block(inputs, 3, name="x"))
    model.get_layer("x_bn2").gamma.assign(np.zeros(3, np.float32))
    assert not model(images(1, 4, 4, 3)).numpy().any()


@pytest.mark.slow
def test_a_network_of_hundreds_of_layers_can_be_built_and_copied() -> None:
    """Keras follows a graph by recursion, and Python's limit is a thousand."""
    model = resnet_cifar(302, width=2, classes=2, input_size=16)
    copy = keras.models.clone_model(model)
    assert len(copy.layers) == len(model.layers) > 1000
